internal import Synchronization

/// The operations of one WebSocket, each in a task of its own, by the names that its client gave them.
final class SocketOperations: Sendable {
    private let state = Mutex(State())
    private let mostNamed: Int
    private let mostRunning: Int

    private struct State {
        var named: [String: Task<Void, Never>] = [:]
        /// Those too that were cancelled and have not ended.
        var running: [Int: Task<Void, Never>] = [:]
        /// Those that do not end by themselves.
        var endless: [Int: Task<Void, Never>] = [:]
        var count = 0
        var isEnding = false
    }

    enum Refusal: Error { case known, tooMany }

    /// `named`: operations that a client may have; `running`: with those that it cancelled and that have not ended.
    init(named: Int, running: Int) {
        mostNamed = named
        mostRunning = running
    }

    /// Throws when the name is in use, or too much is under way.
    func begin(_ name: String, isEndless: Bool = false, _ body: @escaping @Sendable () async -> Void) throws(Refusal) {
        let refusal: Refusal? = state.withLock { state in
            if state.named[name] != nil { return .known }
            guard state.named.count < mostNamed, state.running.count < mostRunning, !state.isEnding else { return .tooMany }
            state.count += 1
            let number = state.count
            // Awaited by `end`.
            let task = Task { [self] in
                await body()
                self.state.withLock { state in
                    state.running[number] = nil
                    state.endless[number] = nil
                }
            }
            state.named[name] = task
            state.running[number] = task
            if isEndless { state.endless[number] = task }
            return nil
        }
        if let refusal { throw refusal }
    }

    /// Lets the name be used again: to be called before its client is told of the end, who may use it at once.
    func free(_ name: String) { state.withLock { $0.named[name] = nil } }

    func cancel(_ name: String) { state.withLock { $0.named[name] }?.cancel() }

    /// Whether the connection ends: operations end because of that.
    var isEnding: Bool { state.withLock { $0.isEnding } }

    /// Begins no more, cancels those that would not end, and returns when the others have.
    func wind() async {
        let (endless, running) = state.withLock { state in
            state.isEnding = true
            return (Array(state.endless.values), Array(state.running.values))
        }
        for task in endless { task.cancel() }
        for task in running { await task.value }
    }

    /// Cancels all of them, and returns when they have said what they had to.
    func end() async {
        let left: [Task<Void, Never>] = state.withLock { state in
            state.isEnding = true
            return Array(state.running.values)
        }
        for task in left { task.cancel() }
        for task in left { await task.value }
    }
}
