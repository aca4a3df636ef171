internal import Synchronization

/// One result that one task waits for. The first of result and cancellation wins.
final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case waiting(CheckedContinuation<Value, any Error>)
        case done(Result<Value, any Error>)
        case taken
    }

    private let state = Mutex(State.empty)

    /// False when it was resolved before, by its waiter's cancellation too.
    @discardableResult
    func resolve(_ result: Result<Value, any Error>) -> Bool {
        let (waiter, isFirst): (CheckedContinuation<Value, any Error>?, Bool) = state.withLock { state in
            switch state {
            case .empty:
                state = .done(result)
                return (nil, true)
            case .waiting(let waiter):
                state = .taken
                return (waiter, true)
            case .done, .taken:
                return (nil, false)
            }
        }
        waiter?.resume(with: result)
        return isFirst
    }

    /// The result; throws `CancellationError` when the task is cancelled first. Called once.
    func value() async throws -> Value {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let early: Result<Value, any Error>? = state.withLock { state in
                    guard case .done(let result) = state else {
                        state = .waiting(continuation)
                        return nil
                    }
                    state = .taken
                    return result
                }
                if let early { continuation.resume(with: early) }
            }
        } onCancel: {
            resolve(.failure(CancellationError()))
        }
    }
}

extension OneShot where Value == Void {
    @discardableResult
    func resolve() -> Bool { resolve(.success(())) }
}
