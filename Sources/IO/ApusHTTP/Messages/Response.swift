/// What a handler answers. The server adds framing, date, request id, CORS and compression.
public struct Response: Sendable {
    public var status: Int
    public var headers: Headers
    public var body: ResponseBody

    public init(status: Int = 200, headers: Headers = [:], body: ResponseBody = .none) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// `bytes` as they are, with their type.
    public init(status: Int = 200, type: String, bytes: [UInt8]) {
        self.init(status: status, headers: ["Content-Type": type], body: .bytes(bytes))
    }

    public static func json(_ bytes: [UInt8], status: Int = 200) -> Response {
        Response(status: status, type: "application/json", bytes: bytes)
    }

    public static func text(_ text: String, status: Int = 200) -> Response {
        Response(status: status, type: "text/plain; charset=utf-8", bytes: Array(text.utf8))
    }
}

public enum ResponseBody: Sendable {
    case none
    case bytes([UInt8])
    /// Written piece by piece; `write` returns when the client has taken enough, and throws when it is gone. Chunked, unless the
    /// response has a `Content-Length`, which then must be what is written (fewer bytes break the connection, more throw).
    case stream(@Sendable (any BodyWriter) async throws -> Void)
    /// A file of the local file system, with ranges and an ETag.
    case file(path: String)
    /// Takes the connection over as a WebSocket (RFC 6455).
    case webSocket(@Sendable (any WebSocket) async throws -> Void)
    /// Takes the connection over: the head is sent (status 101 and the response's headers, `Upgrade` among them), then the bytes are
    /// the closure's. The connection closes when it returns.
    case upgrade(@Sendable (any ByteStream) async throws -> Void)
}

public protocol BodyWriter: Sendable {
    func write(_ bytes: [UInt8]) async throws
}

/// Messages of one WebSocket. Pings are answered, fragments joined, sizes limited by the server.
public protocol WebSocket: Sendable {
    func receive() async throws -> WebSocketMessage?
    func send(_ message: WebSocketMessage) async throws
    func close(code: UInt16, reason: String) async
}

public enum WebSocketMessage: Sendable, Hashable {
    case text(String)
    case binary([UInt8])
}
