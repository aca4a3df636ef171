internal import ApusRuntime
internal import ApusTypes

/// The body of the request that a connection is answering: decoded bytes on their way from the connection to the handler.
///
/// State is touched on the connection's loop only; `next()` may be called from anywhere. It holds at most
/// `HTTPLimits.bodyReadAhead` and one read; beyond that the connection is not read, and the client waits.
final class IncomingBody: RequestBody, @unchecked Sendable {  // loop-bound, see above
    /// open -> ended | failed; discarding is for what the handler left unread, and goes to ended or the connection's end.
    enum State {
        case open
        case ended
        case failed(any Error)
        case discarding(bytes: Int)
    }

    let announcedSize: ByteCount?
    private(set) var state = State.open
    /// Whether the client waits for `100 Continue` before it sends anything.
    var awaitsContinue: Bool
    /// When the last byte arrived, or the handler began to wait.
    private(set) var lastProgress = Instant.distantFuture
    private let connection: Connection
    private var buffered: [UInt8] = []
    private var reader: CheckedContinuation<[UInt8]?, any Error>?

    init(connection: Connection, announcedSize: ByteCount?, awaitsContinue: Bool) {
        self.connection = connection
        self.announcedSize = announcedSize
        self.awaitsContinue = awaitsContinue
    }

    // MARK: The handler's side

    func next() async throws -> [UInt8]? {
        let loop = connection.loop
        if loop.isCurrent, let outcome = take() { return try outcome.get() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if loop.isCurrent { wait(continuation) } else { loop.execute { self.wait(continuation) } }
            }
        } onCancel: {
            loop.execute { self.endWait(throwing: CancellationError()) }
        }
    }

    private func wait(_ continuation: CheckedContinuation<[UInt8]?, any Error>) {
        precondition(reader == nil, "a request body has one reader")
        if let outcome = take() { return continuation.resume(with: outcome) }
        reader = continuation
        lastProgress = connection.now
        if awaitsContinue { connection.sendContinue() }
        connection.startReading()
    }

    private func endWait(throwing error: any Error) {
        guard let reader else { return }
        self.reader = nil
        reader.resume(throwing: error)
    }

    /// What a reader gets at once; nil when it must wait.
    private func take() -> Result<[UInt8]?, any Error>? {
        if !buffered.isEmpty {
            var taken: [UInt8] = []
            swap(&taken, &buffered)
            if case .open = state { connection.startReading() }
            return .success(taken)
        }
        switch state {
        case .open: return nil
        case .ended, .discarding: return .success(nil)
        case .failed(let error): return .failure(error)
        }
    }

    // MARK: The connection's side

    var isWaitedFor: Bool { reader != nil }
    var isOpen: Bool { if case .open = state { true } else { false } }

    /// Whether the connection should go on reading.
    func receive(_ bytes: [UInt8]) -> Bool {
        awaitsContinue = false
        switch state {
        case .open:
            if let reader {
                self.reader = nil
                reader.resume(returning: bytes)
                return true
            }
            if buffered.isEmpty { buffered = bytes } else { buffered.append(contentsOf: bytes) }
            return buffered.count < connection.limits.bodyReadAhead.bytes
        case .discarding(let discarded):
            state = .discarding(bytes: discarded + bytes.count)
            return discarded + bytes.count <= connection.limits.unreadBody.bytes
        case .ended, .failed: return true
        }
    }

    func end() {
        switch state {
        case .open, .discarding: state = .ended
        case .ended, .failed: return
        }
        if let reader {
            self.reader = nil
            reader.resume(returning: nil)
        }
    }

    func fail(_ error: any Error) {
        if case .open = state { state = .failed(error) }
        endWait(throwing: error)
    }

    /// The handler is done; what comes is counted and dropped.
    func discard() {
        guard case .open = state else { return }
        state = .discarding(bytes: buffered.count)
        buffered = []
    }
}

/// The body of a request that has none.
struct EmptyBody: RequestBody {
    var announcedSize: ByteCount? { ByteCount(0) }
    func next() async throws -> [UInt8]? { nil }
}
