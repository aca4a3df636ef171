import ApusTypes
import TestKit
import Testing

@testable import ApusRPC

@Suite("the proof of the cluster secret")
struct HandshakeTests {
    private func handshake(_ node: NodeName, secret: Redacted<String> = RPCPair.secret, versions: ClosedRange<UInt32>? = nil) -> Handshake {
        Handshake(RPCPair.identity(node, secret: secret, versions: versions))
    }

    @Test("two nodes with one secret know each other's names")
    func mutual() throws {
        let (server, client) = (handshake("s"), handshake("c"))
        let (proof, name, expected) = try client.proof(server.challenge)
        let (welcome, peer) = try server.welcome(proof)
        try Handshake.check(welcome, expected: expected)
        #expect(name == "s" && peer == "c")
    }

    @Test("another secret, another stream's proof, a changed name, and the server's own words are no proof")
    func refused() throws {
        let (server, client) = (handshake("s"), handshake("c"))
        let (proof, _, expected) = try client.proof(server.challenge)
        func isRefused(_ frame: Frame, by server: Handshake) -> Bool {
            do throws(ApusError) {
                _ = try server.welcome(frame)
                return false
            } catch {
                return error.code == .peerSecretMismatch
            }
        }
        #expect(isRefused(try handshake("c", secret: Redacted("other")).proof(server.challenge).proof, by: server))
        #expect(isRefused(proof, by: handshake("s")))
        guard case .proof(var introduction, let code) = proof else { return }
        introduction.node = "another"
        #expect(isRefused(.proof(introduction, code: code), by: server))
        introduction.node = "c"
        #expect(isRefused(.proof(introduction, code: []), by: server))
        #expect(isRefused(.proof(introduction, code: expected), by: server))
        #expect(isRefused(server.challenge, by: server))
        #expect(throws: ApusError.self) { try Handshake.check(.welcome(code: code), expected: expected) }
        #expect(throws: ApusError.self) { try Handshake.check(.cancel(id: 1), expected: expected) }
    }

    @Test("versions that overlap are understood, others are named on both sides")
    func versions() throws {
        let server = handshake("s", versions: 2...4)
        for range: ClosedRange<UInt32> in [1...2, 3...3, 4...9] {
            _ = try server.welcome(try handshake("c", versions: range).proof(server.challenge).proof)
        }
        for range: ClosedRange<UInt32> in [1...1, 5...6] {
            let client = handshake("c", versions: range)
            let error = #expect(throws: ApusError.self) { try client.proof(server.challenge) }
            #expect(error?.code == .peerVersionMismatch)
            #expect(error?.summary.contains("node s speaks versions 2 to 4") == true)
            #expect(error?.summary.contains("node c versions \(range.lowerBound) to \(range.upperBound)") == true)
            guard case .challenge(let own) = client.challenge else { return }
            #expect(throws: ApusError.self) { try server.welcome(.proof(own, code: [])) }
        }
    }

    @Test("what is shown of an identity, or goes over the wire, does not hold the secret or its key")
    func secrecy() throws {
        let identity = RPCPair.identity("s")
        #expect(!"\(identity)".contains("horse"))
        let (server, client) = (handshake("s"), handshake("c"))
        let (proof, _, _) = try client.proof(server.challenge)
        for frame in [server.challenge, proof, try server.welcome(proof).welcome] {
            let bytes = FrameTests.bytes([frame])
            for hidden in [Array(RPCPair.secret.reveal().utf8), identity.key.reveal()] {
                #expect(!bytes.indices.contains { bytes[$0...].starts(with: hidden.prefix(8)) })
            }
        }
    }
}
