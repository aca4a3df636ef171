internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// A machine that several threads drive. Its effects are carried out without the lock, one after the other, in the order in which they were
/// decided: by the thread that finds nobody else at it.
final class Performer<Machine: Sendable, Effect: Sendable>: Sendable {
    private let state: Mutex<State>

    private struct State {
        var machine: Machine
        var effects: [Effect] = []
        var isPerforming = false

        mutating func take() -> [Effect]? {
            isPerforming = !effects.isEmpty
            defer { effects = [] }
            return isPerforming ? effects : nil
        }
    }

    init(_ machine: Machine) { state = Mutex(State(machine: machine)) }

    func read<Value: Sendable>(_ body: (Machine) -> Value) -> Value { state.withLock { body($0.machine) } }

    func perform(_ change: (inout Machine, Instant) -> [Effect], _ carryOut: (Effect) -> Void) {
        let now = BootClock.now
        var effects = state.withLock { state in
            state.effects += change(&state.machine, now)
            return state.isPerforming ? nil : state.take()
        }
        while let some = effects {
            some.forEach(carryOut)
            effects = state.withLock { $0.take() }
        }
    }
}
