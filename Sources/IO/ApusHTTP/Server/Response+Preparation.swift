internal import ApusTypes

extension Response {
    /// Turns the bodies that have a protocol of their own (a file with its ranges, a WebSocket) into plain ones for `request`.
    /// The server knows bytes, streams and upgrades only.
    func prepared(for request: Request) async throws -> Response {
        switch body {
        case .none, .bytes, .stream, .upgrade: self
        case .file(let path): try await FileResponder.shared.response(to: request, path: path, headers: headers)
        case .webSocket(let handler):
            try .webSocket(for: request, subprotocol: headers["Sec-WebSocket-Protocol"], handler)
        }
    }

    /// The reply that turns `request`'s connection into a WebSocket, with bounds of its own.
    public static func webSocket(
        for request: Request, subprotocol: String? = nil, limits: WebSocketLimits = WebSocketLimits(),
        _ handler: @escaping @Sendable (any WebSocket) async throws -> Void
    ) throws -> Response {
        let headers = try WebSocketHandshake.answer(method: request.method, headers: request.headers, subprotocol: subprotocol)
        return Response(
            status: 101, headers: headers,
            body: .upgrade { stream in
                try await WebSocketSession.serve(stream, limits: limits, handler)
            })
    }
}
