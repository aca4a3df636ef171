internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// Lets requests run as `RoleQueues` says.
final class RoleGate: Sendable {
    private struct State {
        var queues: RoleQueues
        var waiting: [UInt64: CheckedContinuation<Bool, Never>] = [:]
        /// Of requests that do not wait yet: whether they are let in.
        var outcome: [UInt64: Bool] = [:]
        var next: UInt64 = 0
    }

    private let state: Mutex<State>
    private let patience: Duration
    private let clock = BootClock()

    /// `patience`: how long a request waits at most.
    init(places: Int, mostWaiting: Int, patience: Duration) {
        state = Mutex(State(queues: RoleQueues(places: places, mostWaiting: mostWaiting)))
        self.patience = patience
    }

    /// Returns when the request may run; `leave` must follow. Throws `role.busy`.
    func enter(role: String, limit: Int?, deadline: Instant) async throws(ApusError) {
        let (id, arrival) = state.withLock { state in
            state.next += 1
            return (state.next, state.queues.arrive(state.next, role: role, limit: limit))
        }
        switch arrival {
        case .runs: return
        case .refused: throw Self.busy(role, "as many of its requests wait as may")
        case .waits: break
        }
        let end = min(deadline, clock.now.advanced(by: patience))
        let isLetIn = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.turn(of: id, role) }
            group.addTask { [clock] in
                do { try await clock.sleep(until: end, tolerance: nil) } catch { return false }  // let in meanwhile
                self.give(up: id, role)
                return false
            }
            let first = await group.next() ?? false
            // When time is up, the other one says whether its turn came at that moment.
            let isLetIn = first ? true : await group.next() ?? false
            group.cancelAll()
            return isLetIn
        }
        guard isLetIn else { throw Self.busy(role, "it has waited for its turn in vain") }
    }

    /// Whether it was let in.
    private func turn(of id: UInt64, _ role: String) async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver: Bool? = state.withLock { state in
                    // It may have been let in, or have given up, before it began to wait.
                    guard let known = state.outcome.removeValue(forKey: id) else {
                        state.waiting[id] = continuation
                        return nil
                    }
                    return known
                }
                if let isOver { continuation.resume(returning: isOver) }
            }
        } onCancel: {
            give(up: id, role)
        }
    }

    func leave(role: String) {
        let admitted = state.withLock { state in
            state.queues.leave(role: role).compactMap { id -> CheckedContinuation<Bool, Never>? in
                if let continuation = state.waiting.removeValue(forKey: id) { return continuation }
                state.outcome[id] = true
                return nil
            }
        }
        for continuation in admitted { continuation.resume(returning: true) }
    }

    private func give(up id: UInt64, _ role: String) {
        let continuation: CheckedContinuation<Bool, Never>? = state.withLock { state in
            guard state.queues.give(up: id, role: role) else { return nil }
            if let continuation = state.waiting.removeValue(forKey: id) { return continuation }
            state.outcome[id] = false
            return nil
        }
        continuation?.resume(returning: false)
    }

    private static func busy(_ role: String, _ why: String) -> ApusError {
        ApusError(
            .roleBusy, "the role \"\(role)\" has as many requests under way as it may, and \(why)", hint: "send fewer at the same time")
    }
}
