public import ApusSockets
public import ApusTypes

/// One HTTP request, as handlers see it. The head is complete and checked; the body arrives as it is read.
public struct Request: Sendable {
    public var method: Method
    /// The path, percent-decoded segment by segment after splitting at "/", so that `a%2Fb` is one segment.
    public var path: [String]
    /// The path as it was sent, for logs and signatures.
    public var rawPath: String
    public var query: Query
    public var headers: Headers
    public var body: any RequestBody
    /// Path parameters of the route that matched, by name.
    public var parameters: [String: String]
    /// From `X-Request-Id` when the client sent a sane one, else random; echoed in the reply and in every log line.
    public var id: String
    public var connection: ConnectionFacts
    /// When the client's answer is due; handlers pass it on.
    public var deadline: Instant
    /// Who asks, once the listener's access control has found out; nil on public paths.
    public var principal: Principal?

    public init(
        method: Method, path: [String], rawPath: String, query: Query, headers: Headers, body: any RequestBody,
        parameters: [String: String] = [:], id: String, connection: ConnectionFacts, deadline: Instant
    ) {
        self.method = method
        self.path = path
        self.rawPath = rawPath
        self.query = query
        self.headers = headers
        self.body = body
        self.parameters = parameters
        self.id = id
        self.connection = connection
        self.deadline = deadline
    }

    /// The path parameter `name`, which the route declares, as `Value`; else 400 naming the parameter.
    public func parameter<Value: LosslessStringConvertible>(_ name: String, as type: Value.Type = Value.self) throws -> Value {
        guard let text = parameters[name], let value = Value(text) else {
            throw ApusError(.requestInvalid, "the path parameter '\(name)' is not valid", context: ["field": name])
        }
        return value
    }
}

/// What is known about the other end of a connection without believing anything it says.
public struct ConnectionFacts: Sendable {
    /// Numeric address of the peer, without the port.
    public var peerAddress: String
    public var peerPort: Int
    public var isLoopback: Bool
    /// The peer's socket, when it is on this machine and Linux tells.
    public var peerSocket: @Sendable () async -> PeerSocket?
    /// The listener that accepted it.
    public var listener: String
    public var isTLS: Bool

    public init(
        peerAddress: String, peerPort: Int, isLoopback: Bool, listener: String, isTLS: Bool,
        peerSocket: @escaping @Sendable () async -> PeerSocket?
    ) {
        self.peerAddress = peerAddress
        self.peerPort = peerPort
        self.isLoopback = isLoopback
        self.listener = listener
        self.isTLS = isTLS
        self.peerSocket = peerSocket
    }
}

/// The query string, percent-decoded, in order; names may repeat.
public struct Query: Sendable, Hashable {
    public var items: [(name: String, value: String)] { pairs.map { ($0.name, $0.value) } }
    private var pairs: [Pair]
    private struct Pair: Hashable { var name: String, value: String }

    public init(_ items: [(name: String, value: String)] = []) { pairs = items.map { Pair(name: $0.name, value: $0.value) } }

    public subscript(name: String) -> String? { pairs.first { $0.name == name }?.value }

    /// The value of `name` as `Value`, nil when absent; 400 naming the parameter when it does not parse.
    public func value<Value: LosslessStringConvertible>(_ name: String, as type: Value.Type = Value.self) throws -> Value? {
        guard let text = self[name] else { return nil }
        guard let value = Value(text) else {
            throw ApusError(.requestInvalid, "the query parameter '\(name)' is not valid", context: ["field": name])
        }
        return value
    }
}

/// A request's body. Reading is bounded: what the client sends ahead of the reader stays in the socket.
/// Exactly one reader; a handler that does not read leaves the rest to the server, which drains a little or closes.
public protocol RequestBody: Sendable {
    /// Bytes the client announced (`Content-Length`), nil when chunked.
    var announcedSize: ByteCount? { get }
    /// The next piece, nil at the end. Throws `request.too_large`, `request.timeout`, `request.unparsable`.
    func next() async throws -> [UInt8]?
    /// The whole body, or 413 beyond `limit` (before reading, when the size was announced).
    func collect(limit: ByteCount) async throws -> [UInt8]
}

extension RequestBody {
    public func collect(limit: ByteCount) async throws -> [UInt8] { try await collect(limit: limit) { _ in } }

    /// `admit` is asked before each piece is kept. Memory grows with what has arrived, not with what was announced.
    func collect(limit: ByteCount, _ admit: (Int) throws -> Void) async throws -> [UInt8] {
        func tooLarge() -> ApusError { ApusError(.requestTooLarge, "the request body is larger than \(limit)") }
        if let announcedSize, announcedSize > limit { throw tooLarge() }
        var bytes: [UInt8] = []
        while let piece = try await next() {
            guard bytes.count + piece.count <= limit.bytes else { throw tooLarge() }
            try admit(piece.count)
            if bytes.isEmpty { bytes = piece } else { bytes.append(contentsOf: piece) }
        }
        return bytes
    }
}
