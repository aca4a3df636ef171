internal import ApusTypes

extension Response {
    /// Turns the bodies that have a protocol of their own (a file with its ranges, a WebSocket) into plain ones for `request`.
    /// The server knows bytes, streams and upgrades only.
    func prepared(for request: Request) async throws -> Response {
        switch body {
        case .none, .bytes, .stream, .upgrade: self
        case .file, .webSocket: throw ApusError(.internalError, "this kind of reply is not served here")
        }
    }
}
