internal import ApusTypes
internal import COpenSSL
internal import Synchronization

/// What a listener's TLS connections have in common: certificate, key and settings. The files can be read again while it serves.
///
/// TLS 1.2 and later with OpenSSL's own choice of ciphers, no renegotiation, and `http/1.1` by ALPN.
final class TLSContext: Sendable {
    let files: TLSFiles
    private let listener: String
    private let current: Mutex<Settings>

    /// An `SSL_CTX` with its reference; sessions take references of their own, so a replaced one lives as long as they do.
    private final class Settings: Sendable {
        nonisolated(unsafe) let pointer: OpaquePointer  // never changed after init, and SSL_new locks it

        init(_ pointer: OpaquePointer) { self.pointer = pointer }
        deinit { SSL_CTX_free(pointer) }
    }

    init(files: TLSFiles, listener: String) throws(ApusError) {
        self.files = files
        self.listener = listener
        current = Mutex(try Self.load(files, listener))
    }

    /// Reads the files again. When they are not right the old certificate stays in use and the error says what is wrong. Blocks.
    func reload() throws(ApusError) {
        let settings = try Self.load(files, listener)
        current.withLock { $0 = settings }
    }

    func session() -> TLSSession? {
        let settings = current.withLock { $0 }
        return SSL_new(settings.pointer).map(TLSSession.init(server:))
    }

    private static func load(_ files: TLSFiles, _ listener: String) throws(ApusError) -> Settings {
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_server_method()) else { throw failure("TLS cannot be set up", files, listener) }
        let settings = Settings(context)
        _ = apus_ssl_ctx_set_min_proto_version(context, TLS1_2_VERSION)
        // Buffers of idle connections are given back, and a retried write may come from other memory.
        _ = apus_ssl_ctx_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        SSL_CTX_set_options(context, 1 << 30)  // SSL_OP_NO_RENEGOTIATION, a macro that Swift does not see
        SSL_CTX_set_alpn_select_cb(context, selectProtocol, nil)
        guard SSL_CTX_use_certificate_chain_file(context, files.certificateChain) == 1 else {
            throw failure("the certificate chain '\(files.certificateChain)' cannot be read", files, listener)
        }
        guard SSL_CTX_use_PrivateKey_file(context, files.privateKey, SSL_FILETYPE_PEM) == 1 else {
            throw failure("the private key '\(files.privateKey)' cannot be read, or is not the certificate's", files, listener)
        }
        return settings
    }

    private static func failure(_ summary: String, _ files: TLSFiles, _ listener: String) -> ApusError {
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(ERR_get_error(), &text, text.count)
        ERR_clear_error()
        let reason = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return ApusError(
            .tlsInvalid, summary, hint: "listener '\(listener)' wants a PEM certificate followed by its intermediates, and its PEM key",
            context: ["listener": listener, "openssl": reason])
    }

    /// Only HTTP/1.1 is spoken; a client that offers other protocols and not this one is refused (RFC 7301, 3.2).
    private static let selectProtocol: SSL_CTX_alpn_select_cb_func = { _, chosen, length, offered, count, _ in
        var rest = UnsafeBufferPointer(start: offered, count: Int(count))[...]
        while let size = rest.first, rest.count > Int(size) {
            let name = rest.dropFirst().prefix(Int(size))
            if name.elementsEqual("http/1.1".utf8) {
                chosen?.pointee = offered.map { $0 + name.startIndex }
                length?.pointee = size
                return SSL_TLSEXT_ERR_OK
            }
            rest = rest.dropFirst(1 + Int(size))
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
}
