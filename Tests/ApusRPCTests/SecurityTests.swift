import ApusTypes
import Synchronization
import TestKit
import Testing

@testable import ApusRPC
@testable import ApusRuntime

@Suite("who may call")
struct SecurityTests {
    @Test("a client with another secret is told so, and runs nothing")
    func wrongSecret() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(
            client: RPCPair.identity("c", secret: Redacted("other")),
            handlers: [
                "run": { _ in
                    try await gate.pass(); return []
                }
            ])
        let error = await #expect(throws: ApusError.self) { try await pair.call("run") }
        #expect(error?.code == .peerSecretMismatch)
        #expect(error?.hint?.isEmpty == false)
        #expect(error?.retry == .never)
        #expect(gate.entered == 0)
        await pair.stop()
    }

    @Test("a client that sends requests without a proof, or nothing at all, gets UNAUTHENTICATED")
    func noSecret() async throws {
        let gate = Gate()
        let pair = try RPCPair.start(handlers: [
            "run": { _ in
                try await gate.pass(); return []
            }
        ]) { $0.connectTime = .seconds(2) }
        let request = Frame.Request(id: 1, method: "run", deadline: .after(20), trace: "", payload: [])
        let eager = try RawPeer(pair.address)
        eager.send(.request(request))
        #expect(try await eager.raw.status() == GRPCStatus.unauthenticated)
        let silent = try RawPeer(pair.address)
        #expect(try await silent.raw.status() == GRPCStatus.unauthenticated)
        let late = try RawPeer(pair.address)
        late.raw.stream.send(Outgoing(head: [0xFF, 0xFF]))
        #expect(try await late.raw.status() == GRPCStatus.invalidArgument)
        [eager, silent, late].forEach { $0.close() }
        #expect(gate.entered == 0)
        try await eventually("the server has forgotten them") { pair.server.streams == 0 }
        await pair.stop()
    }

    @Test("so many streams may be without a proof; the next is refused and nodes that have proved are not held up")
    func manyUnproven() async throws {
        let pair = try RPCPair.start {
            $0.unprovenStreams = 3
            $0.connectTime = .seconds(60)
        }
        #expect(try await pair.call("echo", [1]) == [1])
        let idle = try (0..<3).map { _ in try RawPeer(pair.address) }
        try await eventually("they are there") { pair.server.streams == 4 }
        let next = try RawPeer(pair.address)
        #expect(try await next.raw.status() == GRPCStatus.resourceExhausted)
        next.close()
        #expect(try await pair.call("echo", [1]) == [1])
        idle.forEach { $0.close() }
        try await eventually("there is room again") { pair.server.streams == 1 }
        _ = try await RawPeer(pair.address, RPCPair.identity("another"))
        await pair.stop()
    }

    @Test("nodes whose protocols do not meet say which versions they speak")
    func versions() async throws {
        for (server, client) in [(2...3, 1...1), (1...1, 2...3)] as [(ClosedRange<UInt32>, ClosedRange<UInt32>)] {
            let pair = try RPCPair.start(server: RPCPair.identity("s", versions: server), client: RPCPair.identity("c", versions: client))
            let error = await #expect(throws: ApusError.self) { try await pair.call("echo") }
            #expect(error?.code == .peerVersionMismatch)
            #expect(error?.summary.contains("node s speaks versions \(server.lowerBound) to \(server.upperBound)") == true)
            await pair.stop()
        }
    }

    @Test("a stream whose proof is too old is ended by the server, whatever its client does")
    func oldProof() async throws {
        let pair = try RPCPair.start { $0.proofLifetime = .milliseconds(100) }
        let raw = try await RawPeer(pair.address, RPCPair.identity("stubborn"))
        try await Task.sleep(for: .milliseconds(150))
        raw.send(.request(Frame.Request(id: 1, method: "echo", deadline: .after(20), trace: "", payload: [])))
        #expect(try await raw.raw.status() == GRPCStatus.unavailable)
        raw.close()
        await pair.stop()
    }

    @Test("nothing of the secret is logged while peers come, fail and go")
    func logs() async throws {
        let lines = Mutex("")
        LogOutput.observe { line in lines.withLock { $0 += "\(line)" } }
        defer { LogOutput.observe(nil) }
        let pair = try RPCPair.start(client: RPCPair.identity("c", secret: Redacted("another horse")))
        _ = try await pair.code(of: "echo")
        await pair.stop()
        #expect(!lines.withLock { $0 }.contains("horse"))
    }

    @Test("with mutual TLS only certificates of the cluster's authority are taken, and plaintext is not")
    func mutualTLS() async throws {
        let authority = try await TestAuthority.make()
        let stranger = try await TestAuthority.make()
        let node = try await authority.certificate()
        let right = RPCSecurity.mutualTLS(ca: authority.certificate, certificate: node.certificate, key: node.key)
        let pair = try RPCPair.start(security: right)
        #expect(try await pair.call("echo", [1]) == [1])
        let other = try await stranger.certificate()
        let refused: [RPCSecurity] = [
            .plaintext,
            // Another authority's certificate, for a server of the right one; and the right certificate from a client that trusts another.
            .mutualTLS(ca: authority.certificate, certificate: other.certificate, key: other.key),
            .mutualTLS(ca: stranger.certificate, certificate: node.certificate, key: node.key),
        ]
        for security in refused {
            let peers = RPCPeers(identity: RPCPair.identity("c"), security: security, metrics: MetricsRegistry())
            let error = await #expect(throws: ApusError.self) { try await peers.call(pair.address, "echo", [], deadline: .after(20)) }
            #expect(error?.code == .peerUnreachable)
            peers.close()
        }
        // The secret is asked inside, too.
        let outsider = RPCPeers(identity: RPCPair.identity("c", secret: Redacted("other")), security: right, metrics: MetricsRegistry())
        let error = await #expect(throws: ApusError.self) { try await outsider.call(pair.address, "echo", [], deadline: .after(20)) }
        #expect(error?.code == .peerSecretMismatch)
        outsider.close()
        await pair.stop()
    }

    @Test("a certificate that is none, and an address that is taken, keep a server from starting")
    func badStart() async throws {
        let none = RPCSecurity.mutualTLS(ca: "no", certificate: "no", key: Redacted("no"))
        #expect(throws: ApusError.self) { try RPCPair.start(security: none) }
        let pair = try RPCPair.start()
        let error = #expect(throws: ApusError.self) { try RPCPair.start(port: pair.port) }
        #expect(error?.code == .listenerUnavailable)
        let peers = RPCPeers(identity: RPCPair.identity("c"), security: none, metrics: MetricsRegistry())
        await #expect(throws: ApusError.self) { try await peers.call(pair.address, "echo", [], deadline: .after(5)) }
        await pair.stop()
    }
}
