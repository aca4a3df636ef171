internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// A transaction on a SQLite thread that nobody else uses meanwhile.
final class SQLiteTransaction: Transaction, Sendable {
    private let thread: SQLiteThread
    private let begin: StaticSQL
    let deadline: Instant
    private let failures: SQLiteDatabase.Failures
    private let state = Mutex(State.unbegun)

    /// unbegun -> open -> committed or lost, which are final.
    private enum State {
        case unbegun, open, committed
        case lost(any Error)
    }

    init(thread: SQLiteThread, begin: StaticSQL, deadline: Instant, failures: SQLiteDatabase.Failures) {
        self.thread = thread
        self.begin = begin
        self.deadline = deadline
        self.failures = failures
    }

    func run(_ statements: [Statement]) async throws -> [Rows] { try await perform(statements, commits: false) }
    func commit(after statements: [Statement]) async throws -> [Rows] { try await perform(statements, commits: true) }

    /// Commits what is open. Throws what the transaction was lost by, even if its body ignored that.
    func finish() async throws {
        switch state.withLock({ $0 }) {
        case .open: _ = try await perform([], commits: true)
        case .lost(let error): throw error
        case .unbegun, .committed: break
        }
    }

    /// Rolls back what is open, then calls `done` on the thread: after everything that the transaction ever ran.
    func end(_ done: @escaping @Sendable () -> Void) {
        state.withLock { state in
            if case .open = state { state = .lost(ApusError.deadlinePassed("the transaction was open")) }
        }
        let isTaken = thread.add { connection in
            connection.rollBack()
            done()
        }
        if !isTaken { done() }
    }

    private func perform(_ statements: [Statement], commits: Bool) async throws -> [Rows] {
        let isFirst = try state.withLock { state in
            switch state {
            case .unbegun, .open: break
            case .committed: throw ApusError(.databaseRejected, "the transaction has been committed")
            case .lost(let error): throw error
            }
            defer { state = .open }
            if case .unbegun = state { return true }
            return false
        }

        do {
            let rows: [Rows] = try await thread.perform(deadline: deadline) { [begin, failures] connection, job in
                try failures.check()
                do {
                    if isFirst { try connection.execute(begin) }
                    let rows = try statements.map(connection.run)
                    if commits {
                        guard BootClock.now < connection.deadline, job.beginCommit() else {
                            throw ApusError.deadlinePassed("the statements ran")
                        }
                        try failures.commit(connection)
                    }
                    return rows
                } catch {
                    connection.rollBack()
                    throw error
                }
            }
            if commits { state.withLock { $0 = .committed } }
            return rows
        } catch {
            state.withLock { $0 = .lost(error) }
            throw error
        }
    }
}
