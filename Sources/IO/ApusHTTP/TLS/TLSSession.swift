internal import ApusTypes
internal import COpenSSL

/// One connection's TLS, between memory and memory: the connection moves the bytes. Belongs to one loop.
final class TLSSession {
    private let ssl: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    /// The peer said that nothing more comes.
    private(set) var isClosedByPeer = false

    /// Takes `ssl` over, as the side that is connected to.
    convenience init(server ssl: OpaquePointer) {
        SSL_set_accept_state(ssl)
        self.init(ssl)
    }

    /// Takes `ssl` over, as the side that connects.
    convenience init(client ssl: OpaquePointer) {
        SSL_set_connect_state(ssl)
        self.init(ssl)
    }

    private init(_ ssl: OpaquePointer) {
        self.ssl = ssl
        // Memory BIOs cannot fail but for memory, which Swift does not survive either. SSL_free frees them.
        guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else { preconditionFailure("out of memory") }
        self.incoming = incoming
        self.outgoing = outgoing
        SSL_set_bio(ssl, incoming, outgoing)
    }

    deinit { SSL_free(ssl) }

    /// Whether the handshake is over.
    var isEstablished: Bool { SSL_is_init_finished(ssl) == 1 }

    /// Why the connection cannot go on, in OpenSSL's words.
    var failure: String {
        let verdict = SSL_get_verify_result(ssl)
        if verdict != X509_V_OK { return String(cString: X509_verify_cert_error_string(verdict)) }
        return ERR_reason_error_string(ERR_peek_last_error()).map { String(cString: $0) } ?? "the other side broke the protocol"
    }

    /// Reads records: handshake, alerts, data. `deliver` gets the plain bytes in pieces that lie in `buffer`.
    /// False when the connection cannot go on; what is still to be sent then is an alert.
    func receive(
        _ records: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer, _ deliver: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        ERR_clear_error()
        BIO_write(incoming, records.baseAddress, Int32(records.count))
        while true {
            let count = SSL_read(ssl, buffer.baseAddress, Int32(buffer.count))
            if count > 0 {
                deliver(UnsafeRawBufferPointer(start: buffer.baseAddress, count: Int(count)))
                continue
            }
            switch SSL_get_error(ssl, count) {
            case SSL_ERROR_WANT_READ: return true
            case SSL_ERROR_ZERO_RETURN:
                isClosedByPeer = true
                return true
            default: return false
            }
        }
    }

    /// The records that carry `plain`, with whatever waited to be sent before.
    func seal(_ plain: UnsafeRawBufferPointer) throws(ApusError) -> [UInt8] {
        ERR_clear_error()
        // A memory BIO takes everything, so one call writes all of it.
        guard plain.isEmpty || SSL_write(ssl, plain.baseAddress, Int32(plain.count)) == plain.count else {
            throw ApusError(.clientGone, "the TLS connection to the client is broken")
        }
        return takeOutput()
    }

    /// What TLS has to send by itself.
    func takeOutput() -> [UInt8] {
        let waiting = Int(apus_bio_pending(outgoing))
        guard waiting > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: waiting) { buffer, count in
            count = max(0, Int(BIO_read(outgoing, buffer.baseAddress, Int32(waiting))))
        }
    }

    /// Says that nothing more comes from this side.
    func close() {
        ERR_clear_error()
        SSL_shutdown(ssl)
    }
}
