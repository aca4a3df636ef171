internal import Synchronization

/// Lets one task at a time through an asynchronous section, in the order they came.
final class Turn: Sendable {
    private let state = Mutex<(isTaken: Bool, waiters: [OneShot<Void>])>((false, []))

    func run<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        let waiter: OneShot<Void>? = state.withLock { state in
            guard state.isTaken else {
                state.isTaken = true
                return nil
            }
            let waiter = OneShot<Void>()
            state.waiters.append(waiter)
            return waiter
        }
        try await waiter?.value()
        defer { pass() }
        return try await body()
    }

    /// Gives the turn to the first waiter that was not cancelled meanwhile.
    private func pass() {
        while true {
            let next: OneShot<Void>? = state.withLock { state in
                guard state.waiters.isEmpty else { return state.waiters.removeFirst() }
                state.isTaken = false
                return nil
            }
            guard let next else { return }
            if next.resolve() { return }
        }
    }
}
