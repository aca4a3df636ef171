internal import ApusTypes
internal import Synchronization

/// A request's body on its way, beside the reply: a server may answer while it still reads, and stop reading when it has.
///
/// Its task ends with the exchange that owns it.
final class ClientUpload: Sendable {
    private enum State {
        case running
        case sent
        /// The body could not be made; nil when it is the connection that failed.
        case failed((any Error)?)
    }

    private let state = Mutex(State.running)
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(_ connection: ClientConnection, size: ByteCount?, _ body: @escaping @Sendable (any BodyWriter) async throws -> Void) {
        let task = Task(executorPreference: connection.socket.loop) {
            let writer = RequestWriter(connection.stream, size: size)
            do {
                try await body(writer)
                try await writer.finish()
                self.state.withLock { $0 = .sent }
            } catch {
                let isOwn = !writer.hasConnectionFailed
                self.state.withLock { $0 = .failed(isOwn ? error : nil) }
                // Whoever waits for the reply would wait for ever. A broken connection may still hold the reply that says why.
                if isOwn { connection.socket.close() }
            }
        }
        self.task.withLock { $0 = task }
    }

    /// Whether the server got all of it.
    var isSent: Bool { state.withLock { if case .sent = $0 { true } else { false } } }

    /// Why the body could not be made.
    var failure: (any Error)? { state.withLock { if case .failed(let error) = $0 { error } else { nil } } }

    func cancel() { task.withLock { $0?.cancel() } }
}
