internal import Synchronization

/// One sleeping task, resumed exactly once: by its timer or by its cancellation, whichever is first.
final class Sleeper: Sendable {
    private enum State {
        case idle
        case waiting(CheckedContinuation<Void, any Error>, cleanup: (@Sendable () -> Void)?)
        case finished(Result<Void, any Error>)
    }

    private let state = Mutex(State.idle)

    var isWaiting: Bool { state.withLock { if case .waiting = $0 { true } else { false } } }

    /// False if the end came before the beginning; the continuation is then resumed already.
    func arm(_ continuation: CheckedContinuation<Void, any Error>) -> Bool {
        let early: Result<Void, any Error>? = state.withLock { state in
            if case .finished(let result) = state { return result }
            state = .waiting(continuation, cleanup: nil)
            return nil
        }
        if let early { continuation.resume(with: early) }
        return early == nil
    }

    /// Runs `cleanup` when the sleep ends.
    func onFinish(_ cleanup: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            guard case .waiting(let continuation, _) = state else { return true }
            state = .waiting(continuation, cleanup: cleanup)
            return false
        }
        if isLate { cleanup() }
    }

    func finish(_ result: Result<Void, any Error>) {
        let previous = state.withLock { state in
            let previous = state
            if case .finished = previous { return previous }
            state = .finished(result)
            return previous
        }
        if case .waiting(let continuation, let cleanup) = previous {
            cleanup?()
            continuation.resume(with: result)
        }
    }
}
