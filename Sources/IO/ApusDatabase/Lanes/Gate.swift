internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// A first-come-first-served semaphore, bounded, whose waiters have deadlines: who may use a lane's connection now.
///
/// A large request at the head is not overtaken by small ones behind it.
final class Gate: Sendable {
    private let units: Int
    private let limit: Int
    private let state: Mutex<State>

    private struct State {
        var free: Int
        var waiters: [Waiter] = []
        var nextID = 0
        var closed: ApusError?
    }

    private struct Waiter {
        var id: Int
        var units: Int
        var continuation: CheckedContinuation<ApusError?, Never>
        var cancelTimer: (@Sendable () -> Void)?

        func resume(_ answer: ApusError?) {
            cancelTimer?()
            continuation.resume(returning: answer)
        }
    }

    /// `units` may be held at once; at most `limit` callers wait.
    init(units: Int, limit: Int) {
        self.units = units
        self.limit = limit
        state = Mutex(State(free: units))
    }

    /// Returns when the caller holds `wanted` units (all of them if nil).
    func enter(_ wanted: Int? = nil, deadline: Instant) async throws(ApusError) {
        let wanted = wanted ?? units
        let failure = await withCheckedContinuation { continuation in
            var waiter: Int?
            let answer: ApusError?? = state.withLock { state in
                if let closed = state.closed { return .some(closed) }
                if state.waiters.isEmpty, state.free >= wanted {
                    state.free -= wanted
                    return .some(nil)
                }
                guard state.waiters.count < limit else {
                    return .some(ApusError(.catalogUnavailable, "too many calls wait for the catalog", context: ["waiting": "\(limit)"]))
                }
                state.nextID += 1
                waiter = state.nextID
                state.waiters.append(Waiter(id: state.nextID, units: wanted, continuation: continuation))
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
            if let waiter, let cancel = Deadlines.shared.schedule(at: deadline, { [self] in expire(waiter) }) {
                keep(cancel, for: waiter)
            }
        }
        if let failure { throw failure }
    }

    /// Callers that wait.
    var waiting: Int { state.withLock { $0.waiters.count } }

    func leave(_ held: Int? = nil) {
        let woken = state.withLock { state in
            state.free += held ?? units
            return admit(&state)
        }
        woken.forEach { $0.resume(nil) }
    }

    /// Refuses those who wait, and all who come later.
    func close(_ error: ApusError) {
        let refused = state.withLock { state in
            state.closed = state.closed ?? error
            return state.waiters.take()
        }
        refused.forEach { $0.resume(error) }
    }

    private func keep(_ cancelTimer: @escaping @Sendable () -> Void, for id: Int) {
        let isLate = state.withLock { state in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return true }
            state.waiters[index].cancelTimer = cancelTimer
            return false
        }
        if isLate { cancelTimer() }
    }

    private func expire(_ id: Int) {
        let (late, woken) = state.withLock { state -> (Waiter?, [Waiter]) in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return (nil, []) }
            let late = state.waiters.remove(at: index)
            return (late, admit(&state))  // those behind a large request may fit now
        }
        late?.resume(.deadlinePassed("waiting for the catalog's connection"))
        woken.forEach { $0.resume(nil) }
    }

    private func admit(_ state: inout State) -> [Waiter] {
        var admitted = 0
        while admitted < state.waiters.count, state.waiters[admitted].units <= state.free {
            state.free -= state.waiters[admitted].units
            admitted += 1
        }
        let woken = Array(state.waiters.prefix(admitted))
        state.waiters.removeFirst(admitted)
        return woken
    }
}

extension Array {
    mutating func take() -> [Element] {
        var taken: [Element] = []
        swap(&taken, &self)
        return taken
    }
}

extension ApusError {
    static func deadlinePassed(_ doing: String) -> ApusError {
        ApusError(.deadlineExceeded, "the deadline passed while \(doing)")
    }

    static func outcomeUnknown(_ why: String, cause: (any Error)? = nil) -> ApusError {
        ApusError(
            .outcomeUnknown, "it is not known whether the write was committed: \(why)",
            hint: "repeat it with the same idempotency key: it takes effect once", cause: cause)
    }
}
