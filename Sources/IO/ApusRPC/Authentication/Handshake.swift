internal import ApusTypes

/// How two nodes prove to each other, over a connection that anybody may have opened, that they know the cluster secret: a challenge and a
/// response each way (the three-pass mutual authentication of ISO/IEC 9798-4). No clocks are compared, and nothing but a code over both
/// sides' random numbers, names and versions is told, so it is of no use on another stream.
struct Handshake: Sendable {
    private let identity: RPCIdentity
    private let own: Frame.Introduction

    /// Draws this side's random number, which must not be foreseen: from the system.
    init(_ identity: RPCIdentity) {
        self.identity = identity
        own = Frame.Introduction(
            node: identity.node, nonce: (0..<32).map { _ in UInt8.random(in: .min ... .max) },
            oldestVersion: identity.versions.lowerBound, newestVersion: identity.versions.upperBound)
    }

    // MARK: Server

    var challenge: Frame { .challenge(own) }

    /// The server's answer to `proof`. Throws `peer.version_mismatch`, and `peer.secret_mismatch` for anything that is no proof.
    func welcome(_ proof: Frame) throws(ApusError) -> (welcome: Frame, client: NodeName) {
        guard case .proof(let client, let code) = proof else { throw Self.mismatch() }
        try checkVersions(of: client)
        guard constantTimeEqual(code, self.code("client", server: own, client: client)) else { throw Self.mismatch() }
        return (.welcome(code: self.code("server", server: own, client: client)), client.node)
    }

    // MARK: Client

    /// The client's answer to `challenge`, and the only welcome that it takes then.
    func proof(_ challenge: Frame) throws(ApusError) -> (proof: Frame, server: NodeName, expected: [UInt8]) {
        guard case .challenge(let server) = challenge else { throw ApusError(.peerInvalid, "the peer did not begin with a challenge") }
        try checkVersions(of: server)
        return (
            .proof(own, code: code("client", server: server, client: own)), server.node, code("server", server: server, client: own)
        )
    }

    static func check(_ welcome: Frame, expected: [UInt8]) throws(ApusError) {
        guard case .welcome(let code) = welcome, constantTimeEqual(code, expected) else { throw mismatch() }
    }

    // MARK: Both

    private func code(_ role: String, server: Frame.Introduction, client: Frame.Introduction) -> [UInt8] {
        var message = ProtobufWriter()
        message.string(1, role)
        message.message(2, server.write)
        message.message(3, client.write)
        return identity.key.code(of: message.bytes)
    }

    private func checkVersions(of peer: Frame.Introduction) throws(ApusError) {
        guard peer.oldestVersion > own.newestVersion || peer.newestVersion < own.oldestVersion else { return }
        throw ApusError(
            .peerVersionMismatch,
            """
            node \(peer.node) speaks versions \(peer.oldestVersion) to \(peer.newestVersion) of the protocol between nodes, \
            and node \(own.node) versions \(own.oldestVersion) to \(own.newestVersion)
            """, hint: "upgrade the older of them; neighbouring releases of Apus understand each other")
    }

    static func mismatch(_ context: [String: String] = [:]) -> ApusError {
        ApusError(
            .peerSecretMismatch, "the two nodes do not have the same cluster secret",
            hint: "give both the cluster's secret; a node that belongs to another cluster needs another address", context: context)
    }
}
