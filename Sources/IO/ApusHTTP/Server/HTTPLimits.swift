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
    /// Bytes of a body that are read ahead of its reader. Beyond: the connection is not read until the reader has taken it.
    public var bodyReadAhead: ByteCount = .kibibytes(256)
    /// Bytes of further requests that wait behind the one being answered, on one connection; they are not parsed before their turn.
    /// Beyond: the connection is not read.
    public var pipelinedBytes: ByteCount = .kibibytes(32)
    /// Rest of a body, not read by its handler, that is read past to keep the connection. Beyond: the connection is closed.
    public var unreadBody: ByteCount = .kibibytes(256)

    /// Bodies of all requests of the process that are being collected or have been, until their replies are sent. Beyond: 503.
    public var collectedBodies: ByteCount = .mebibytes(512)
    /// What a body that is streamed must bring in a second while its handler waits for it, over each `bodyStallTime`. Beyond:
    /// `request.timeout` to the handler, 408, closed.
    public var bodyRate = ByteCount(1024)

    /// Open connections of one listener. Beyond: 503, closed.
    public var connectionsPerListener = 10_000
    /// Open connections of all listeners of the process. Beyond: 503, closed.
    public var connections = 20_000

    /// From the first byte of a head to its end. Beyond: 408, closed. Also a TLS handshake. Beyond: closed.
    public var headTime: Duration = .seconds(10)
    /// Without a new byte of a body that its handler waits for. Beyond: `request.timeout` to the handler, 408, closed.
    public var bodyStallTime: Duration = .seconds(30)
    /// Between two requests, and before the first. Beyond: closed.
    public var idleTime: Duration = .seconds(75)
    /// Without the client taking a byte of a reply. Beyond: the handler is cancelled, closed.
    public var writeStallTime: Duration = .seconds(30)
    /// What a request may take: `Request.deadline`. A body that is collected must have arrived by then. Beyond: 408, closed. For the rest
    /// the server passes it on, and handlers keep to it.
    public var requestTime: Duration = .seconds(60)
    /// When the server drains: how long a client that has connected and said nothing yet may take to begin its request.
    public var drainGrace: Duration = .seconds(1)

    public init() {}

    public static let standard = HTTPLimits()

    /// Lowers the connection limits to what a process that may have `descriptors` open can serve, keeping a reserve for listening sockets,
    /// databases and files. Returns whether anything had to be lowered.
    public mutating func cap(toDescriptors descriptors: Int) -> Bool {
        let most = max(1, descriptors - min(256, descriptors / 4))
        guard connections > most || connectionsPerListener > most else { return false }
        connections = min(connections, most)
        connectionsPerListener = min(connectionsPerListener, most)
        return true
    }

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
        require(collectedBodies.bytes >= 1, "the limit of collected bodies must be at least 1 B")
        require(bodyRate.bytes >= 0, "the rate of a body must not be negative")
        let times = [headTime, bodyStallTime, idleTime, writeStallTime, requestTime, drainGrace]
        require(times.allSatisfy { $0 > .zero }, "times must be longer than zero")
        return problems
    }
}
