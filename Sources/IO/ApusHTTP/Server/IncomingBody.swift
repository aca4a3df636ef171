internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

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
    /// When the request is due: a body that is collected must be there by then.
    var deadline = Instant.distantFuture
    /// When the handler began to wait for the next piece.
    private var waitingSince = Instant.distantFuture
    /// How long the handler has waited, and for how many bytes, since the rate was last judged.
    private var waited = Duration.zero
    private var arrived = 0
    private let isCollected = Atomic<Bool>(false)
    /// Bytes of the server's budget, given back when the request is done with.
    private let held = Atomic<Int>(0)
    private let connection: Connection
    private var buffered: [UInt8] = []
    private var reader: CheckedContinuation<[UInt8]?, any Error>?

    init(connection: Connection, announcedSize: ByteCount?, awaitsContinue: Bool) {
        self.connection = connection
        self.announcedSize = announcedSize
        self.awaitsContinue = awaitsContinue
    }

    deinit { giveBack() }

    /// The handler has its answer: what was collected is of no use any more.
    func giveBack() {
        let count = held.exchange(0, ordering: .relaxed)
        if count > 0 { connection.server.bodies.giveBack(count) }
    }

    // MARK: The handler's side

    func next() async throws -> [UInt8]? {
        let loop = connection.loop
        if loop.isCurrent, let outcome = take() { return try outcome.get() }
        // The cancellation may come to the loop before the wait does.
        let isCancelled = Flag(false)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if loop.isCurrent { wait(continuation, isCancelled) } else { loop.execute { self.wait(continuation, isCancelled) } }
            }
        } onCancel: {
            isCancelled.set(true)
            loop.execute { self.endWait(throwing: CancellationError()) }
        }
    }

    func collect(limit: ByteCount) async throws -> [UInt8] {
        isCollected.store(true, ordering: .relaxed)
        return try await collect(limit: limit) { [self] count in
            guard connection.server.bodies.take(count) else {
                throw ApusError(.serverBusy, "too many requests with large bodies at once")
            }
            held.wrappingAdd(count, ordering: .relaxed)
        }
    }

    private func wait(_ continuation: CheckedContinuation<[UInt8]?, any Error>, _ isCancelled: Flag) {
        precondition(reader == nil, "a request body has one reader")
        if isCancelled.isSet { return continuation.resume(throwing: CancellationError()) }
        if let outcome = take() { return continuation.resume(with: outcome) }
        reader = continuation
        waitingSince = connection.now
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

    /// What to tell a handler that has waited too long for the next piece; nil when it has not.
    func delay(_ now: Instant) -> ApusError? {
        guard reader != nil else { return nil }
        let limits = connection.limits
        func timeout(_ what: String) -> ApusError { ApusError(.requestTimeout, "the request's body \(what)") }
        if waitingSince.advanced(by: limits.bodyStallTime) <= now { return timeout("stopped arriving") }
        if isCollected.load(ordering: .relaxed) { return deadline <= now ? timeout("did not arrive in time") : nil }
        let waited = waited + waitingSince.duration(to: now)
        guard waited >= limits.bodyStallTime else { return nil }
        if Double(arrived) < Double(limits.bodyRate.bytes) * waited.seconds { return timeout("arrives too slowly") }
        self.waited = waitingSince.duration(to: now) * -1
        arrived = 0
        return nil
    }

    var isOpen: Bool { if case .open = state { true } else { false } }

    /// Whether the connection should go on reading.
    func receive(_ bytes: [UInt8]) -> Bool {
        awaitsContinue = false
        switch state {
        case .open:
            arrived += bytes.count
            if let reader {
                self.reader = nil
                waited += waitingSince.duration(to: connection.server.coarseNow)
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

    /// The handler is done; what comes is counted and dropped. False when more has come already than is worth reading past.
    func discard() -> Bool {
        guard case .open = state else { return true }
        defer { buffered = [] }
        state = .discarding(bytes: buffered.count)
        return buffered.count <= connection.limits.unreadBody.bytes
    }
}

/// The body of a request that has none.
struct EmptyBody: RequestBody {
    var announcedSize: ByteCount? { ByteCount(0) }
    func next() async throws -> [UInt8]? { nil }
}
