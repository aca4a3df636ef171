import ApusRuntime
import ApusSockets
import ApusTypes
import HTTPTestKit
import Synchronization
import TestKit
import Testing

/// Sends back what it gets, and remembers what happened.
private final class Echo: StreamHandler, Sendable {
    private let connection: StreamConnection
    private let events: Events

    init(_ connection: StreamConnection, _ events: Events) {
        self.connection = connection
        self.events = events
        connection.loop.execute { connection.startReading() }
    }

    func receive(_ bytes: UnsafeRawBufferPointer) {
        connection.send(Array(bytes))
        if connection.queued > 1 << 20 {
            events.add("paused")
            connection.stopReading()
        }
    }
    func inputEnded() {
        events.add("ended")
        connection.finish()
    }
    func sent(queued: Int) {
        if queued == 0 { connection.startReading() }
    }
    func drain() { connection.finish() }
    func sweep(_ now: Instant) {}
    func closed() { events.add("closed") }
}

private final class Events: Sendable {
    private let all = Mutex<[String]>([])
    func add(_ event: String) { all.withLock { $0.append(event) } }
    var list: [String] { all.withLock { $0 } }
}

@Suite("stream server")
struct StreamServerTests {
    private func with(
        _ limits: StreamServer.Limits = .init(), _ body: (StreamServer, Int, Events, MetricsRegistry) async throws -> Void
    ) async throws {
        let loops = EventLoops(count: 2)
        defer { loops.stop() }
        let events = Events()
        let metrics = MetricsRegistry()
        let server = StreamServer(name: "echo", loops: loops, limits: limits, metrics: metrics) { Echo($0, events) }
        let port = try await server.start(host: "127.0.0.1", port: 0, setting: "echo.address")
        do { try await body(server, port, events, metrics) } catch {
            await server.drain(deadline: BootClock.now)
            throw error
        }
        await server.drain(deadline: BootClock.now)
    }

    @Test("bytes come back, in order, also more than the sockets hold")
    func echo() async throws {
        try await with { _, port, events, _ in
            let client = try RawClient(port: port)
            let sent = (0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            let reading = Task {
                var bytes: [UInt8] = []
                while bytes.count < sent.count { bytes += try await client.receive() }
                return bytes
            }
            try await client.send(sent)
            #expect(try await reading.value == sent)
            client.endInput()
            try await eventually("the connection is closed") { events.list.last == "closed" }
            #expect(events.list.contains("ended"))
        }
    }

    @Test("beyond the limit connections are closed, and counted")
    func limit() async throws {
        var limits = StreamServer.Limits()
        limits.connections = 1
        try await with(limits) { _, port, events, metrics in
            let first = try RawClient(port: port)
            try await first.send("a")
            #expect(try await first.receive() == Array("a".utf8))
            let second = try RawClient(port: port)
            #expect(try await second.receive() == [])
            #expect(String(decoding: metrics.text(), as: UTF8.self).contains(#"apus_stream_connections_refused_total{listener="echo"} 1"#))
            first.endInput()
            try await eventually("there is room again") { events.list.contains("closed") }
            let third = try RawClient(port: port)
            try await third.send("b")
            #expect(try await third.receive() == Array("b".utf8))
        }
    }

    @Test("a peer that takes nothing is closed")
    func stalled() async throws {
        var limits = StreamServer.Limits()
        limits.writeStallTime = .milliseconds(100)
        limits.sweepInterval = .milliseconds(20)
        try await with(limits) { _, port, events, _ in
            let client = try RawClient(port: port, receiveBuffer: 4096)
            _ = try await client.sendUntilFull(64 << 20)
            try await eventually("the connection is closed") { events.list.contains("closed") }
            #expect(events.list.contains("paused"))
        }
    }

    @Test("a port that is taken is told with the setting that names it")
    func taken() async throws {
        try await with { _, port, _, _ in
            let loops = EventLoops(count: 1)
            defer { loops.stop() }
            let second = StreamServer(name: "echo", loops: loops, metrics: MetricsRegistry()) { Echo($0, Events()) }
            let error = await #expect(throws: ApusError.self) {
                try await second.start(host: "127.0.0.1", port: port, setting: "rpc.address")
            }
            #expect(error?.code == .listenerUnavailable)
            #expect(error?.hint?.contains("give rpc.address another port") == true)
        }
    }

    @Test("a drain ends what is idle, and after it nobody gets in")
    func drain() async throws {
        try await with { server, port, events, _ in
            let client = try RawClient(port: port)
            try await client.send("a")
            #expect(try await client.receive() == Array("a".utf8))
            let drained = Task { await server.drain(deadline: BootClock.now.advanced(by: .seconds(10))) }
            #expect(try await client.receive() == [])
            client.endInput()
            #expect(await drained.value == 0)
            #expect(events.list.last == "closed")
            #expect(throws: (any Error).self) { try RawClient(port: port) }
        }
    }
}
