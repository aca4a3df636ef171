public import ApusTypes

/// One request to another server.
public struct ClientRequest: Sendable {
    public var method: Method
    /// `http://host[:port]/path?query` or `https://…`, percent-encoded.
    public var url: String
    /// `Host`, `Content-Length` and `Transfer-Encoding` are the client's own and must not be given.
    public var headers: Headers
    public var body: Body
    /// When the whole exchange, the reply's body included, must be over.
    public var deadline: Instant

    public enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Written piece by piece: with its size when that is known, else chunked. Never repeated.
        case stream(size: ByteCount?, @Sendable (any BodyWriter) async throws -> Void)
    }

    public init(_ method: Method, _ url: String, headers: Headers = [:], body: Body = .none, deadline: Instant) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.deadline = deadline
    }
}

/// A reply's head, and its body as it arrives. Redirects are replies like any other.
public struct ClientResponse: Sendable {
    public var status: Int
    public var headers: Headers
    /// Exactly one reader. The connection goes back to its pool when the body was read to its end, and is closed otherwise.
    public var body: any RequestBody

    public init(status: Int, headers: Headers, body: any RequestBody) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The whole body, or an error beyond `limit`.
    public func collect(limit: ByteCount) async throws -> [UInt8] { try await body.collect(limit: limit) }
}
