public import ApusTypes

/// Every bound of the HTTP server in one table. `docs/http-limits.md` explains each row; `problems()` checks a changed table.
///
/// A limit says what happens beyond it. Framing limits answer and close the connection, because what follows cannot be trusted.
public struct HTTPLimits: Sendable, Hashable {
    /// Request line without its line end: method, target and version. Beyond: 414, closed.
    public var requestLine: ByteCount = .kibibytes(8)
    /// All of a request's head: request line and header fields. Beyond: 431, closed.
    public var head: ByteCount = .kibibytes(32)
    /// Header fields of one request. Beyond: 431, closed.
    public var headerCount = 100
    /// Segments of the path, so that routing stays cheap. Beyond: 414.
    public var pathSegments = 64
    /// Items of the query string. Beyond: 414.
    public var queryItems = 256
    /// A request's body. An announced size beyond it is answered 413 before the body is read; a chunked one when it gets there.
    public var body: ByteCount = .gibibytes(16)
    /// Extensions of one chunk header; they are read past and never used. Beyond: 400, closed.
    public var chunkExtensions = ByteCount(256)
    /// Trailer section of one chunked body; it is read past and never used. Beyond: 431, closed.
    public var trailers: ByteCount = .kibibytes(8)
    /// Bytes of a body that are read ahead of its reader. Beyond: the connection is not read until half of it is taken.
    public var bodyReadAhead: ByteCount = .kibibytes(256)
    /// Bytes of further requests that wait behind the one being answered, on one connection; they are not parsed before their turn.
    /// Beyond: the connection is not read.
    public var pipelinedBytes: ByteCount = .kibibytes(32)
    /// Rest of a body, not read by its handler, that is read past to keep the connection. Beyond: the connection is closed.
    public var unreadBody: ByteCount = .kibibytes(256)

    /// Open connections of one listener. Beyond: 503, closed.
    public var connectionsPerListener = 10_000
    /// Open connections of all listeners of the process. Beyond: 503, closed.
    public var connections = 20_000

    /// From the first byte of a head to its end; also a TLS handshake. Beyond: 408, closed.
    public var headTime: Duration = .seconds(10)
    /// Without a new byte of a body that its handler waits for. Beyond: `request.timeout` to the handler, 408, closed.
    public var bodyStallTime: Duration = .seconds(30)
    /// Between two requests, and before the first. Beyond: closed.
    public var idleTime: Duration = .seconds(75)
    /// Without the client taking a byte of a reply. Beyond: the handler is cancelled, closed.
    public var writeStallTime: Duration = .seconds(30)
    /// What a request may take: `Request.deadline`. The server passes it on; handlers keep to it.
    public var requestTime: Duration = .seconds(60)

    public init() {}

    public static let standard = HTTPLimits()

    /// What is wrong with this table, in sentences for the operator; empty when nothing is.
    public func problems() -> [String] {
        var problems: [String] = []
        func require(_ isRight: Bool, _ problem: String) { if !isRight { problems.append(problem) } }
        require(requestLine.bytes >= 64, "the request line limit must be at least 64 B")
        require(head > requestLine, "the head limit must be larger than the request line limit (\(requestLine))")
        require(head <= .mebibytes(1), "the head limit must be at most 1 MiB, because a head is held in memory")
        require(headerCount >= 1 && pathSegments >= 1, "header and path segment limits must be at least 1")
        require(queryItems >= 0, "the query item limit must not be negative")
        require(bodyReadAhead.bytes >= 1024, "the body read-ahead must be at least 1 KiB")
        require(pipelinedBytes.bytes >= 1, "the limit of pipelined bytes must be at least 1 B")
        require(connections >= 1 && connectionsPerListener >= 1, "connection limits must be at least 1")
        let times = [headTime, bodyStallTime, idleTime, writeStallTime, requestTime]
        require(times.allSatisfy { $0 > .zero }, "times must be longer than zero")
        return problems
    }
}
