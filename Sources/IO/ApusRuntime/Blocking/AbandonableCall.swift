internal import Synchronization

/// A call that is answered exactly once: by its result, its deadline or its caller's cancellation, whichever is first.
package final class AbandonableCall<Value: Sendable>: Sendable {
    private enum State {
        case idle
        case waiting(CheckedContinuation<Value, any Error>, cleanup: (@Sendable () -> Void)?)
        case finished(Result<Value, any Error>)
    }

    private let state = Mutex(State.idle)

    package init() {}

    package var isWaiting: Bool { state.withLock { if case .waiting = $0 { true } else { false } } }

    /// False if the end came before the beginning; the continuation is then resumed already.
    package func begin(_ continuation: CheckedContinuation<Value, any Error>) -> Bool {
        let early: Result<Value, any Error>? = state.withLock { state in
            if case .finished(let result) = state { return result }
            state = .waiting(continuation, cleanup: nil)
            return nil
        }
        if let early { continuation.resume(with: early) }
        return early == nil
    }

    /// Runs `cleanup` when the call ends; at once if it has ended.
    package func onFinish(_ cleanup: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            guard case .waiting(let continuation, _) = state else { return true }
            state = .waiting(continuation, cleanup: cleanup)
            return false
        }
        if isLate { cleanup() }
    }

    package func finish(_ result: Result<Value, any Error>) {
        let previous = state.withLock { state in
            let previous = state
            if case .finished = previous { return previous }
            state = .finished(result)
            return previous
        }
        guard case .waiting(let continuation, let cleanup) = previous else { return }
        cleanup?()
        continuation.resume(with: result)
    }
}
