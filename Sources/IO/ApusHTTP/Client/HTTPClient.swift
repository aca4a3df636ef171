public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// Bounds of one client.
public struct HTTPClientLimits: Sendable, Hashable {
    /// Connections to one origin, idle ones included; further requests wait for one until their deadline.
    public var connectionsPerOrigin = 64
    public var idlePerOrigin = 16
    /// Shorter than servers keep idle connections, so that the client is the one that ends them.
    public var idleTime: Duration = .seconds(30)
    /// Name lookup, connection and TLS handshake together.
    public var connectTime: Duration = .seconds(5)
    /// Whether it connects to addresses of this machine's own link, where clouds answer with credentials (169.254.169.254), and to the other
    /// addresses of such services. What counts is what the name resolves to, and what is connected to is what was judged.
    public var allowsLinkLocal = true
    /// Status line, header fields and trailers of a reply.
    public var responseHead: ByteCount = .kibibytes(64)

    public init() {}
}

/// Asks other servers over HTTP/1.1, with connections that are kept for the next request to the same origin.
///
/// Redirects are not followed. A request is sent again only when its connection had served before and took none of its bytes: whatever
/// else fails may have had an effect, and only the caller knows whether that may happen twice.
public final class HTTPClient: Sendable {
    private let pool: ClientPool

    /// `authorities` is a PEM file that is trusted instead of the system's authorities.
    public init(loops: EventLoops, limits: HTTPClientLimits = HTTPClientLimits(), authorities: String? = nil) {
        let tls = Mutex<ClientTLS?>(nil)
        pool = ClientPool(loops: loops, limits: limits) {
            try tls.withLock { tls in
                if let tls { return tls }
                let new = try ClientTLS(authorities: authorities)
                tls = new
                return new
            }
        }
    }

    deinit { pool.closeIdle() }

    /// Sends the request and returns with the reply's head; its body is read afterwards.
    ///
    /// Throws `peer.unavailable` when the server cannot be reached or goes away, `peer.invalid_response` when it does not speak HTTP,
    /// `deadline.exceeded`, and `request.invalid` for a request that cannot be sent. Cancellation closes the connection.
    public func send(_ request: ClientRequest) async throws -> ClientResponse {
        let url = try ClientURL(request.url)
        let head = try RequestWriter.head(of: request, url)
        while true {
            let lease = try await withDeadline(request.deadline, "connecting to \(url.authority)") { [pool] in
                try await pool.lease(url.origin)
            }
            lease.limit(to: request.deadline)
            do {
                return try await exchange(request, head, lease)
            } catch let failure as ClientSocket.NothingSent {
                lease.abandon()
                guard lease.isReused else { throw failure.cause }
            } catch let error as ApusError
                where error.code == .peerUnavailable && lease.isReused && request.isRepeatable && !lease.connection.hasReply
            {
                lease.abandon()  // the server ended it when it thought that nobody used it (RFC 9110, 9.2.2)
            } catch {
                lease.abandon()
                throw error
            }
        }
    }

    /// Ends the connections that nobody uses.
    public func close() { pool.closeIdle() }

    var openConnections: Int { pool.openConnections }

    private func exchange(_ request: ClientRequest, _ head: [UInt8], _ lease: ClientLease) async throws -> ClientResponse {
        lease.connection.begin(request.method)
        let reply =
            switch request.body {
            case .none: try await exchange(head, lease)
            case .bytes(let bytes) where bytes.count <= 1 << 16: try await exchange(head + bytes, lease)
            case .bytes(let bytes):
                try await upload(head, lease, size: ByteCount(bytes.count)) { writer in
                    for start in stride(from: 0, to: bytes.count, by: 1 << 18) {
                        try await writer.write(Array(bytes[start..<min(start + 1 << 18, bytes.count)]))
                    }
                }
            case .stream(let size, let body): try await upload(head, lease, size: size, body)
            }
        if let rest = lease.connection.completeBody() {
            lease.finish(isReusable: lease.connection.isReusable)
            return ClientResponse(status: reply.status, headers: reply.headers, body: CompleteBody(rest))
        }
        let size = reply.headers["Content-Length"].flatMap { Int($0) }.map { ByteCount($0) }
        return ClientResponse(status: reply.status, headers: reply.headers, body: StreamedBody(lease, announcedSize: size))
    }

    /// Sends what is small at once, then reads.
    private func exchange(_ bytes: [UInt8], _ lease: ClientLease) async throws -> ResponseParser.Head {
        do {
            try await lease.connection.stream.write(bytes)
        } catch let failure as ApusError where failure.code == .peerUnavailable {
            // The server may have said why it ended the connection; if it has not, the first failure tells more.
            guard let reply = try? await lease.connection.readHead() else { throw failure }
            lease.isSpoiled.set(true)
            return reply
        }
        return try await lease.connection.readHead()
    }

    /// Sends a body piece by piece, also while the reply is read.
    private func upload(
        _ head: [UInt8], _ lease: ClientLease, size: ByteCount?, _ body: @escaping @Sendable (any BodyWriter) async throws -> Void
    ) async throws -> ResponseParser.Head {
        try await lease.connection.stream.write(head)
        let upload = ClientUpload(lease.connection, size: size, body)
        lease.own(upload)
        do {
            return try await lease.connection.readHead()
        } catch {
            throw upload.failure ?? error
        }
    }
}

extension ClientRequest {
    /// Whether sending it twice does what sending it once does.
    fileprivate var isRepeatable: Bool {
        if case .stream = body { return false }
        return switch method {
        case .get, .head, .put, .delete, .options: true
        case .post, .patch: false
        }
    }
}

/// A body that has arrived whole.
private final class CompleteBody: RequestBody {
    let announcedSize: ByteCount?
    private let bytes: Mutex<[UInt8]>

    init(_ bytes: [UInt8]) {
        announcedSize = ByteCount(bytes.count)
        self.bytes = Mutex(bytes)
    }

    func next() async throws -> [UInt8]? {
        bytes.withLock { bytes in
            defer { bytes = [] }
            return bytes.isEmpty ? nil : bytes
        }
    }
}

/// A reply's body that is still arriving.
private struct StreamedBody: RequestBody {
    let announcedSize: ByteCount?
    private let lease: ClientLease

    init(_ lease: ClientLease, announcedSize: ByteCount?) {
        self.lease = lease
        self.announcedSize = announcedSize
    }

    func next() async throws -> [UInt8]? {
        do {
            if let bytes = try await lease.connection.readBody() { return bytes }
        } catch {
            let cause = lease.uploadFailure ?? error
            lease.abandon()
            throw cause
        }
        lease.finish(isReusable: lease.connection.isReusable)
        return nil
    }
}
