internal import COpenSSL
internal import CPostgreSQL
internal import Glibc

/// The bytes of a connection that libpq has opened: over its socket, or over the TLS that it has set up there. Nothing here blocks.
struct ServerStream {
    private let socket: Int32
    private let tls: OpaquePointer?

    enum Outcome {
        case bytes(Int)
        /// Later, when the socket is ready.
        case none
        case ended(String)
    }

    init(_ connection: OpaquePointer?) {
        socket = PQsocket(connection)
        tls = PQgetssl(connection).map { OpaquePointer($0) }
    }

    func read(into space: UnsafeMutableRawBufferPointer) -> Outcome {
        if let tls { return secured(tls) { SSL_read(tls, space.baseAddress, Int32(clamping: space.count)) } }
        return plain { recv(socket, space.baseAddress, space.count, 0) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        if let tls { return secured(tls) { SSL_write(tls, bytes.baseAddress, Int32(clamping: bytes.count)) } }
        return plain { Glibc.send(socket, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)) }
    }

    private func plain(_ call: () -> Int) -> Outcome {
        let count = call()
        if count > 0 { return .bytes(count) }
        if count == 0 { return .ended("the server closed the connection") }
        switch errno {
        case EAGAIN, EWOULDBLOCK, EINTR: return .none
        default: return .ended(String(cString: strerror(errno)))
        }
    }

    private func secured(_ tls: OpaquePointer, _ call: () -> Int32) -> Outcome {
        ERR_clear_error()
        let count = call()
        if count > 0 { return .bytes(Int(count)) }
        switch SSL_get_error(tls, count) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .none
        case SSL_ERROR_ZERO_RETURN: return .ended("the server closed the connection")
        default: return .ended("its TLS failed")
        }
    }
}
