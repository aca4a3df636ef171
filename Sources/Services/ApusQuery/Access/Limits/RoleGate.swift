internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// Lets requests run as `RoleQueues` says.
final class RoleGate: Sendable {
    private struct State {
        var queues: RoleQueues
        var waiting: [UInt64: AbandonableCall<Bool>] = [:]
        var next: UInt64 = 0
    }

    private let state: Mutex<State>
    private let patience: Duration

    /// `patience`: how long a request waits at most.
    init(places: Int, mostWaiting: Int, shared: Int = .max, patience: Duration) {
        state = Mutex(State(queues: RoleQueues(places: places, mostWaiting: mostWaiting, shared: shared)))
        self.patience = patience
    }

    /// Returns when the request may run; `leave` must follow. Throws `role.busy`.
    func enter(role: String, limit: Int?, deadline: Instant) async throws(ApusError) {
        let now = BootClock.now
        let (id, arrival, call) = state.withLock { state -> (UInt64, RoleQueues.Arrival, AbandonableCall<Bool>?) in
            state.next += 1
            let arrival = state.queues.arrive(state.next, role: role, limit: limit, at: now)
            guard arrival == .waits else { return (state.next, arrival, nil) }
            let call = AbandonableCall<Bool>()
            state.waiting[state.next] = call
            return (state.next, arrival, call)
        }
        if arrival == .refused { throw Self.busy(role, "as many of its requests wait as may") }
        guard let call else { return }
        let end = min(deadline, now.advanced(by: patience))
        guard await turn(call, of: id, role, until: end) else { throw Self.busy(role, "it has waited for its turn in vain") }
    }

    /// Whether it was let in.
    private func turn(_ call: AbandonableCall<Bool>, of id: UInt64, _ role: String, until end: Instant) async -> Bool {
        await withTaskCancellationHandler {
            let isLetIn: Bool? = try? await withCheckedThrowingContinuation { continuation in  // it never fails
                guard call.begin(continuation) else { return }
                let timer = Deadlines.shared.schedule(at: end) { self.give(up: id, role) }
                if let timer { call.onFinish(timer) }
            }
            return isLetIn ?? false
        } onCancel: {
            give(up: id, role)
        }
    }

    func leave(role: String) {
        let now = BootClock.now
        let admitted = state.withLock { state in
            state.queues.leave(role: role, at: now).compactMap { state.waiting.removeValue(forKey: $0) }
        }
        for call in admitted { call.finish(.success(true)) }
    }

    private func give(up id: UInt64, _ role: String) {
        let call = state.withLock { state in
            state.queues.give(up: id, role: role) ? state.waiting.removeValue(forKey: id) : nil
        }
        call?.finish(.success(false))
    }

    private static func busy(_ role: String, _ why: String) -> ApusError {
        ApusError(
            .roleBusy, "the role \"\(role)\" has as many requests under way as it may, and \(why)", hint: "send fewer at the same time")
    }
}
