internal import ApusRuntime
internal import Glibc

/// A client that sends exactly the bytes it is given, and reads what comes back: for what a well-behaved client never sends.
///
/// Every call is bounded by ten seconds and then throws `RawClientError.timeout`; no call blocks Swift's own threads.
public final class RawClient: Sendable {
    private let descriptor: Int32
    private static let threads = BlockingPool(name: "raw-client", threads: 256, queueLimit: 4096)

    /// Connects to a port of this machine. With `receiveBuffer` (bytes) the window is small from the start, as a slow client's.
    public init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw RawClientError.system(errno) }
        if var receiveBuffer { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, 4) }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        let status = withUnsafeBytes(of: address) {
            Glibc.connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count))
        }
        guard status == 0 else { throw RawClientError.system(errno) }  // and deinit closes
    }

    deinit { Glibc.close(descriptor) }

    public func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    public func send(_ bytes: [UInt8]) async throws {
        let descriptor = descriptor
        try await Self.threads.run {
            var sent = 0
            while sent < bytes.count {
                // not empty
                let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL)) }
                guard count > 0 else { throw errno == EAGAIN ? RawClientError.timeout : RawClientError.system(errno) }
                sent += count
            }
        }
    }

    /// How many of `count` bytes the other end takes before it takes no more: the reader's bound, its socket's included.
    public func sendUntilFull(_ count: Int) async throws -> Int {
        let descriptor = descriptor
        return try await Self.threads.run {
            let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 64 << 10)
            var sent = 0
            var limit = timeval(tv_sec: 0, tv_usec: 500_000)
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            while sent < count {
                let taken = Glibc.send(descriptor, piece, min(piece.count, count - sent), Int32(MSG_NOSIGNAL))
                if taken < 0 { break }
                sent += taken
            }
            limit.tv_sec = 10
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            return sent
        }
    }

    /// The next bytes; empty at the end.
    public func receive(atMost limit: Int = 64 << 10) async throws -> [UInt8] {
        let descriptor = descriptor
        return try await Self.threads.run {
            var buffer = [UInt8](repeating: 0, count: limit)
            let count = recv(descriptor, &buffer, limit, 0)
            guard count >= 0 else { throw errno == EAGAIN ? RawClientError.timeout : RawClientError.system(errno) }
            return Array(buffer.prefix(count))
        }
    }

    /// Everything until the other end closes.
    public func receiveAll() async throws -> String {
        var all: [UInt8] = []
        while case let bytes = try await receive(), !bytes.isEmpty { all += bytes }
        return String(decoding: all, as: UTF8.self)
    }

    /// Whether the other end closes, with or without a reset, and sends nothing before.
    public func isClosed() async throws -> Bool {
        do { return try await receive().isEmpty } catch RawClientError.system(ECONNRESET) { return true }
    }

    /// Closes our side only: the other end reads the end of the stream and can still answer.
    public func endInput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Goes away with a reset, as a killed client does.
    public func reset() {
        var immediately = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &immediately, socklen_t(MemoryLayout<linger>.size))
        // dup2 keeps the number taken until deinit, so that no other test's descriptor is closed by it.
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        dup2(null, descriptor)
        Glibc.close(null)
    }
}

public enum RawClientError: Error, Equatable {
    /// Nothing happened for ten seconds.
    case timeout
    case system(Int32)
    /// The reply is not one.
    case malformed(String)
}
