import ApusTypes
import Glibc
import TestKit
import Testing

@testable import ApusRPC
@testable import ApusRuntime

@Suite("calls between nodes")
struct CallTests {
    @Test("a reply comes back, and the handler knows who asks and why")
    func roundTrip() async throws {
        let pair = try RPCPair.start()
        #expect(try await pair.call("echo", [1, 2, 3]) == [1, 2, 3])
        #expect(try await pair.call("echo", []) == [])
        #expect(String(decoding: try await pair.call("who", trace: "search 7"), as: UTF8.self) == "client search 7")
        let text = String(decoding: pair.metrics.text(), as: UTF8.self)
        #expect(text.contains(#"apus_rpc_calls_total{peer="\#(pair.address)",outcome="ok"} 3"#))
        #expect(text.contains(#"apus_rpc_requests_total{method="echo",outcome="ok"} 2"#))
        #expect(text.contains(#"apus_rpc_request_duration_seconds_count{method="who"} 1"#))
        await pair.stop()
    }

    @Test("hundreds of calls at once each get their own reply over one connection")
    func concurrent() async throws {
        let pair = try RPCPair.start()
        let sums = try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<600 {
                group.addTask {
                    let payload = withUnsafeBytes(of: index) { Array($0) } + [UInt8](repeating: UInt8(index % 251), count: index * 7)
                    return try await pair.call("echo", payload) == payload
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(sums == 600)
        await pair.stop()
    }

    @Test("payloads up to the limit travel, larger ones are refused on either side")
    func largePayloads() async throws {
        let pair = try RPCPair.start(handlers: ["large": { [UInt8](repeating: 1, count: Int($0.payload[0]) << 20) }]) {
            $0.payload = .mebibytes(4)
        }
        let payload = [UInt8](repeating: 5, count: (4 << 20) - 3) + [1, 2, 3]
        #expect(try await pair.call("echo", payload) == payload)
        #expect(try await pair.code(of: "echo", payload + [0]) == .requestTooLarge)
        #expect(try await pair.call("large", [4]).count == 4 << 20)
        #expect(try await pair.code(of: "large", [5]) == .requestTooLarge)
        await pair.stop()
    }

    @Test("who has connections of its own is answered while another's calls to the same peer take all places")
    func ownConnections() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            "busy": { _ in
                try await gate.pass()
                return []
            }
        ]) { $0.requestsInFlight = 2 }
        let busy = (0..<2).map { _ in Task { try await pair.call("busy") } }
        try await eventually("all places are taken") { gate.entered == 2 }
        #expect(try await pair.code(of: "echo", within: 0.5) == .peerTimeout)
        let own = RPCPeers(identity: RPCPair.identity("client"), security: .plaintext, metrics: pair.metrics)
        #expect(try await own.call(pair.address, "echo", [7], deadline: .after(20)) == [7])
        own.close()
        gate.open()
        for call in busy { _ = try await call.value }
        await pair.stop()
    }

    @Test("what a handler throws comes back whole, and names its node")
    func errors() async throws {
        let pair = try RPCPair.start(handlers: [
            "fail": { _ in
                throw ApusError(
                    .shardBusy, "the shard is busy", hint: "wait", retry: .after(.milliseconds(1500)), context: ["shard": "7"],
                    cause: ApusError(.internalError, "a cause"))
            },
            "crash": { _ in throw TestKitError("a password") },
        ])
        let error = await #expect(throws: ApusError.self) { try await pair.call("fail") }
        #expect(error?.code == .shardBusy)
        #expect(error?.summary == "the shard is busy")
        #expect(error?.hint == "wait")
        #expect(error?.retry == .after(.milliseconds(1500)))
        #expect(error?.context == ["shard": "7", "node": "server"])
        let crash = await #expect(throws: ApusError.self) { try await pair.call("crash") }
        #expect(crash?.code == .internalError)
        #expect(crash.map { !$0.description.contains("password") } == true)
        #expect(try await pair.code(of: "nothing") == .methodUnknown)
        await pair.stop()
    }

    @Test("what a handler logs, and asks other nodes for, is for the request that its caller works for")
    func request() async throws {
        let pair = try RPCPair.start(handlers: ["for": { _ in Array(Caller.request.utf8) }])
        #expect(try await pair.call("for", trace: "abc-7") == Array("abc-7".utf8))
        #expect(try await pair.call("for") == Array("client/2".utf8), "a call that is part of nothing has a name too")
        #expect(Caller.request == "")
        await pair.stop()
    }

    @Test("a call ends at its deadline while the handler goes on, and others on the stream are not held up")
    func deadline() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            // It does not honour its cancellation.
            "deaf": { request in
                #expect(request.deadline > BootClock.now && request.deadline < .after(0.5))
                try await Task { try await gate.pass() }.value
                return []
            }
        ])
        #expect(try await pair.code(of: "deaf", within: 0.3) == .peerTimeout)
        #expect(gate.entered == 1 && gate.left == 0)
        #expect(try await pair.call("echo", [1]) == [1])
        gate.open()
        try await eventually("the handler has ended") { gate.left == 1 }
        #expect(try await pair.call("echo", [1]) == [1])
        await pair.stop()
    }

    @Test("a handler is cancelled when its caller is, at its caller's deadline, and when the connection breaks")
    func cancellation() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            "wait": { _ in
                try await gate.pass()
                return []
            }
        ])
        let task = Task { try await pair.call("wait") }
        try await eventually("the handler runs") { gate.entered == 1 }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await eventually("the handler was cancelled") { gate.cancelled == 1 }

        #expect(try await pair.code(of: "wait", within: 0.1) == .peerTimeout)
        try await eventually("the handler was cancelled at the deadline") { gate.cancelled == 2 }

        let broken = Task { try await pair.code(of: "wait") }
        try await eventually("the handler runs") { gate.entered == 3 }
        pair.peers.close()
        #expect(try await broken.value == .peerDisconnected)
        try await eventually("the handler was cancelled with its stream") { gate.cancelled == 3 }
        await pair.stop()
    }

    @Test("a call whose task was cancelled before it began is not sent")
    func cancelledBefore() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            "wait": { _ in
                try await gate.pass()
                return []
            }
        ])
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await pair.call("wait")
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await pair.call("echo", [1]) == [1])
        #expect(gate.entered == 0)
        await pair.stop()
    }

    @Test("where nobody listens a call fails at once, and says so")
    func unreachable() async throws {
        let pair = try RPCPair.start()
        let address = "127.0.0.1:\(try freePort())"
        for _ in 0..<3 {
            let error = await #expect(throws: ApusError.self) { try await pair.peers.call(address, "echo", [], deadline: .after(20)) }
            #expect(error?.code == .peerUnreachable)
            #expect(error?.retry == .after(.seconds(1)))
            #expect(error?.context["address"] == address)
            #expect(error?.context["reason"]?.isEmpty == false)
        }
        await pair.stop()
    }

    @Test("a peer that accepts connections and never answers costs a call its deadline, and is given up later")
    func frozen() async throws {
        let socket = try SilentListener()
        var settings = RPCSettings()
        settings.connectTime = .seconds(1)
        let peers = RPCPeers(identity: RPCPair.identity("c"), security: .plaintext, settings: settings, metrics: MetricsRegistry())
        for (seconds, code) in [(0.2, ErrorCode.peerTimeout), (60, .peerUnreachable)] {
            let error = await #expect(throws: ApusError.self) {
                try await peers.call("127.0.0.1:\(socket.port)", "echo", [], deadline: .after(seconds))
            }
            #expect(error?.code == code)
        }
        peers.close()
    }

    @Test("something else at the address is not taken for a node")
    func notANode() async throws {
        let pair = try RPCPair.start()
        let channel = try GRPCChannel(address: pair.address, security: .plaintext, settings: RPCSettings())
        let stream = RawStream(channel.open("/grpc.examples.Other/Call"))
        #expect(try await stream.status() == GRPCStatus.unimplemented)
        withExtendedLifetime(channel) {}
        await pair.stop()
    }

    @Test("calls go on after the server came back on its port")
    func restart() async throws {
        let first = try RPCPair.start { $0.maxBackoff = .milliseconds(200) }
        #expect(try await first.call("echo", [1]) == [1])
        await first.server.drain(deadline: .after(1))
        try await eventually("the peer is known to be gone") { try await first.code(of: "echo") == .peerUnreachable }
        let second = try RPCPair.start(port: first.port)
        try await eventually("the peer is found again") { try await first.code(of: "echo") == nil }
        first.peers.close()
        await second.stop()
    }

    @Test("a connection that is cut off under a call ends it: it may have run")
    func disconnected() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            "wait": { _ in
                try await gate.pass()
                return []
            }
        ])
        let task = Task { try await pair.code(of: "wait") }
        try await eventually("the handler runs") { gate.entered == 1 }
        #expect(await pair.server.drain(deadline: .after(0)) == 1)
        #expect(try await task.value == .peerDisconnected)
        try await eventually("the handler was cancelled") { gate.cancelled == 1 }
        pair.peers.close()
    }

    @Test("a draining server finishes what runs and refuses the rest, to be tried elsewhere")
    func drain() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            "wait": { _ in
                try await gate.pass()
                return [7]
            }
        ])
        let running = Task { try await pair.call("wait") }
        try await eventually("the handler runs") { gate.entered == 1 }
        let drained = Task { await pair.server.drain(deadline: .after(20)) }
        try await eventually("new requests are refused") {
            let error = await #expect(throws: ApusError.self) { try await pair.call("never", within: 0.2) }
            if error?.code == .nodeDraining { #expect(error?.retry == .immediately && error?.context["node"] == "server") }
            return error?.code == .nodeDraining
        }
        gate.open()
        #expect(try await running.value == [7])
        #expect(await drained.value == 0)
        try await eventually("it is gone") { try await pair.code(of: "echo") == .peerUnreachable }
        pair.peers.close()
    }

    @Test("a server runs so many requests of a stream at once, the rest waits and is served")
    func backPressure() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            "wait": { _ in
                try await gate.pass()
                return []
            }
        ]) { $0.requestsInFlight = 8 }
        // A client without such a limit of its own.
        let eager = RPCPeers(identity: RPCPair.identity("eager"), security: .plaintext, metrics: MetricsRegistry())
        let calls = (0..<100).map { _ in Task { try await eager.call(pair.address, "wait", [], deadline: .after(20)) } }
        try await eventually("as many run as may") { gate.entered == 8 }
        #expect(try await pair.call("echo", [1]) == [1], "another stream is not held up")
        #expect(gate.entered == 8)
        gate.open()
        for call in calls { _ = try await call.value }
        #expect(gate.left == 100)
        eager.close()
        await pair.stop()
    }

    @Test("a client sends so many calls at once, lets so many wait, and refuses the rest")
    func clientLimits() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            "wait": { _ in
                try await gate.pass()
                return []
            }
        ]) {
            $0.requestsInFlight = 4
            $0.callsWaiting = 10
        }
        #expect(try await pair.call("echo", [1]) == [1])
        let calls = (0..<14).map { _ in Task { try await pair.code(of: "wait") } }
        try await eventually("as many run as may") { gate.entered == 4 }
        try await eventually("no more may wait") { try await pair.code(of: "echo", within: 0.05) == .peerBusy }
        gate.open()
        for call in calls { #expect(try await call.value == nil) }
        await pair.stop()
    }

    @Test("replies that a peer does not read do not pile up")
    func unreadReplies() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            "large": { _ in
                try await gate.pass()
                return [UInt8](repeating: 1, count: 4 << 20)
            }
        ]) {
            $0.queuedBytes = .mebibytes(8)
            $0.requestsInFlight = 4
            $0.keepAliveInterval = .seconds(60)
        }
        gate.open()
        let raw = try await RawPeer(pair.address, RPCPair.identity("slow"))
        for id in 1...64 {
            raw.send(.request(Frame.Request(id: UInt64(id), method: "large", deadline: .after(60), trace: "", payload: [])))
        }
        try await eventually("some replies were made") { gate.left >= 2 }
        try await Task.sleep(for: .milliseconds(300))
        #expect(gate.left < 16, "a window of 4 MiB, a queue of 8 MiB, and the four that were begun before it was full")
        #expect(try await raw.replies(64) == 64)
        raw.close()
        await pair.stop()
    }

    @Test("a connection without calls is closed after a while, and opened again for the next one")
    func idle() async throws {
        let pair = try RPCPair.start { $0.idleTime = .milliseconds(200) }
        #expect(try await pair.call("echo", [1]) == [1])
        try await eventually("the stream is closed") { pair.server.streams == 0 }
        #expect(try await pair.call("echo", [2]) == [2])
        await pair.stop()
    }

    @Test("a proof of the secret is good for a while: a new stream takes the next call, and the old one keeps what it has")
    func proofLifetime() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            "wait": { _ in
                try await gate.pass()
                return [7]
            }
        ]) { $0.proofLifetime = .milliseconds(300) }
        let long = Task { try await pair.call("wait") }
        try await eventually("it runs") { gate.entered == 1 }
        try await eventually("another stream is open") {
            _ = try await pair.call("echo")
            return pair.server.streams == 2
        }
        gate.open()
        #expect(try await long.value == [7])
        try await eventually("the old stream is closed") { pair.server.streams == 1 }
        await pair.stop()
    }

    @Test("a half-open connection is found, also while nothing is asked")
    func keepAlive() async throws {
        let pair = try RPCPair.start {
            $0.keepAliveInterval = .milliseconds(1000)
            $0.keepAliveTimeout = .milliseconds(500)
        }
        let relay = try Relay(to: UInt16(pair.port))
        let address = "127.0.0.1:\(relay.port)"
        #expect(try await pair.peers.call(address, "echo", [1], deadline: .after(20)) == [1])
        let never = Task { try await pair.peers.call(address, "never", [], deadline: .after(60)) }
        try await eventually("both are open") { pair.server.streams == 1 }
        relay.freeze()
        let error = await #expect(throws: ApusError.self) { try await never.value }
        #expect(error?.code == .peerDisconnected)
        try await eventually("the server has found it too") { pair.server.streams == 0 }
        await pair.stop()
    }
}
