internal import ApusTypes
internal import COpenSSL
internal import Synchronization

/// What a client trusts when it speaks TLS: the system's authorities, or those of one file.
final class ClientTLS: Sendable {
    // Never changed after init; SSL_new takes its own lock and reference.
    private nonisolated(unsafe) let context: OpaquePointer

    /// `authorities` is a PEM file that replaces the system's authorities.
    init(authorities: String?) throws(ApusError) {
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw ApusError(.tlsInvalid, "TLS cannot be set up") }
        self.context = context
        _ = apus_ssl_ctx_set_min_proto_version(context, TLS1_2_VERSION)
        _ = apus_ssl_ctx_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        let isLoaded =
            if let authorities { SSL_CTX_load_verify_file(context, authorities) } else { SSL_CTX_set_default_verify_paths(context) }
        guard isLoaded == 1 else {
            throw ApusError(
                .tlsInvalid, "the certificate authorities cannot be read", hint: "name a file of PEM certificates",
                context: ["file": authorities ?? "the system's"])
        }
    }

    deinit { SSL_CTX_free(context) }

    /// A session that accepts only a certificate for `host`, a name or a numeric address.
    func session(host: String) throws(ApusError) -> TLSSession {
        guard let ssl = SSL_new(context) else { throw ApusError(.tlsInvalid, "TLS cannot be set up") }
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) != 1 {
            ERR_clear_error()
            SSL_set1_host(ssl, host)
            // SSL_set_tlsext_host_name, a macro that Swift does not see.
            _ = host.withCString { name in
                SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), UnsafeMutableRawPointer(mutating: name))
            }
        }
        let protocols: [UInt8] = [8] + Array("http/1.1".utf8)
        SSL_set_alpn_protos(ssl, protocols, UInt32(protocols.count))
        return TLSSession(client: ssl)
    }
}

/// The bytes inside a TLS connection that this process opened.
final class ClientTLSStream: ByteStream {
    private let socket: ClientSocket
    private let session: Mutex<TLSSession>

    /// Shakes hands. Throws `peer.unavailable` when the server's certificate is not trusted, with the reason.
    static func open(_ socket: ClientSocket, _ tls: ClientTLS, host: String) async throws -> ClientTLSStream {
        let stream = ClientTLSStream(socket, try tls.session(host: host))
        try await stream.shakeHands(host)
        return stream
    }

    private init(_ socket: ClientSocket, _ session: sending TLSSession) {
        self.socket = socket
        self.session = Mutex(session)
    }

    private func shakeHands(_ host: String) async throws {
        var records: [UInt8] = []
        while true {
            let received = records
            let (output, isEstablished, problem) = session.withLock { session in
                var buffer = [UInt8](repeating: 0, count: 1024)
                let goesOn = received.withUnsafeBytes { records in
                    buffer.withUnsafeMutableBytes { session.receive(records, into: $0) { _ in } }
                }
                return (session.takeOutput(), session.isEstablished, goesOn ? nil : session.failure)
            }
            try await socket.write(output)
            if let problem {
                throw ApusError(
                    .peerUnavailable, "the TLS connection to \(host) was refused: \(problem)",
                    hint: "check the server's certificate and the client's authorities")
            }
            if isEstablished { return }
            guard let next = try await socket.read() else {
                throw ApusError(.peerUnavailable, "\(host) ended the connection during the TLS handshake")
            }
            records = next
        }
    }

    func read() async throws -> [UInt8]? {
        while let records = try await socket.read() {
            let (plain, output, problem, isClosed) = session.withLock { session in
                var plain: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 16_384)
                let goesOn = records.withUnsafeBytes { records in
                    buffer.withUnsafeMutableBytes { session.receive(records, into: $0) { plain += $0 } }
                }
                return (plain, session.takeOutput(), goesOn ? nil : session.failure, session.isClosedByPeer)
            }
            if !output.isEmpty { try await socket.write(output) }
            if !plain.isEmpty { return plain }
            if let problem { throw ApusError(.peerUnavailable, "the TLS connection broke: \(problem)") }
            if isClosed { return nil }
        }
        // Without TLS's own goodbye anyone on the path could have cut the reply short.
        throw ApusError(.peerUnavailable, "the TLS connection was cut off")
    }

    func write(_ bytes: [UInt8]) async throws {
        let records = try session.withLock { session in try bytes.withUnsafeBytes { try session.seal($0) } }
        try await socket.write(records)
    }
}
