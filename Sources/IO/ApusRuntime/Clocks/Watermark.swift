public import ApusTypes
internal import Synchronization

/// A number that rises, and tasks that wait for it to reach something.
public final class Watermark: Sendable {
    private struct State {
        var value: Int64
        var waiters: [UInt64: (threshold: Int64, continuation: CheckedContinuation<Void, Never>)] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state: Mutex<State>
    private let clock: any MonotonicClock

    public init(_ value: Int64 = 0, clock: any MonotonicClock) {
        state = Mutex(State(value: value))
        self.clock = clock
    }

    public var value: Int64 { state.withLock { $0.value } }

    /// Does nothing if the mark is higher already.
    public func rise(to value: Int64) {
        let woken = state.withLock { state in
            guard value > state.value else { return [CheckedContinuation<Void, Never>]() }
            state.value = value
            let reached = state.waiters.filter { $0.value.threshold <= value }
            reached.keys.forEach { state.waiters[$0] = nil }
            return reached.values.map(\.continuation)
        }
        for continuation in woken { continuation.resume() }
    }

    public func rise(by step: Int64) { rise(to: value + step) }

    /// Back to the beginning: what was reached counts no more. Waiters go on waiting.
    public func reset() { state.withLock { $0.value = 0 } }

    /// True once the mark is at `threshold` or above; false at `deadline`, or when the task is cancelled.
    public func wait(for threshold: Int64, until deadline: Instant) async -> Bool {
        if value >= threshold { return true }
        return await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait(for: threshold) }
            group.addTask { [clock] in
                do { try await clock.sleep(until: deadline, tolerance: nil) } catch { return }  // cancelled: the mark was reached
            }
            await group.next()
            group.cancelAll()
            return value >= threshold
        }
    }

    /// Returns when the mark is reached, or when the task is cancelled.
    private func wait(for threshold: Int64) async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goesOn = state.withLock { state in
                    if state.value >= threshold || Task.isCancelled { return true }
                    state.waiters[id] = (threshold, continuation)
                    return false
                }
                if goesOn { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume()
        }
    }
}
