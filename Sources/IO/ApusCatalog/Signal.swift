internal import ApusTypes
internal import Synchronization

/// Wakes waiting tasks. A hint, not a message: several raises before a wait are one.
final class Signal: Sendable {
    private struct State {
        var generation: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Taken before looking; `wait(after:)` returns at once when a raise has come since.
    var generation: UInt64 { state.withLock { $0.generation } }

    func raise() {
        let woken = state.withLock { state in
            state.generation += 1
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in woken { waiter.resume() }
    }

    /// Returns when raised after `generation`, or when the task is cancelled.
    func wait(after generation: UInt64) async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isLate = state.withLock { state in
                    if state.generation != generation || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isLate { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }

    /// The same, and returns at `deadline` too.
    func wait(after generation: UInt64, until deadline: Instant, clock: any MonotonicClock) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait(after: generation) }
            group.addTask { try await clock.sleep(until: deadline, tolerance: nil) }
            try await group.next()
            group.cancelAll()
        }
        try Task.checkCancellation()
    }
}

/// A signal that remembers whether something was raised since it was last taken.
final class PendingSignal: Sendable {
    private let signal = Signal()
    private let isPending = Mutex(false)

    var generation: UInt64 { signal.generation }

    func raise() {
        isPending.withLock { $0 = true }
        signal.raise()
    }

    func take() -> Bool {
        isPending.withLock { pending in
            defer { pending = false }
            return pending
        }
    }

    func wait(after generation: UInt64) async { await signal.wait(after: generation) }
}
