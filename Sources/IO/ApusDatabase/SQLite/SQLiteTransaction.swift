internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// A transaction on a SQLite thread that nobody else uses meanwhile.
final class SQLiteTransaction: Transaction, Sendable {
    private let thread: SQLiteThread
    private let begin: StaticSQL
    private let deadline: Instant
    private let failures: SQLiteDatabase.Failures
    private let state = Mutex(State.unbegun)

    /// unbegun -> open -> ended; ended is final: committed, rolled back, failed or expired.
    private enum State { case unbegun, open, ended }

    init(thread: SQLiteThread, begin: StaticSQL, deadline: Instant, failures: SQLiteDatabase.Failures) {
        self.thread = thread
        self.begin = begin
        self.deadline = deadline
        self.failures = failures
    }

    func run(_ statements: [Statement]) async throws -> [Rows] { try await perform(statements, commits: false) }
    func commit(after statements: [Statement]) async throws -> [Rows] { try await perform(statements, commits: true) }

    /// Commits what is open.
    func finish() async throws {
        switch state.withLock({ $0 }) {
        case .open: _ = try await perform([], commits: true)
        case .unbegun, .ended: break
        }
    }

    /// Rolls back what is open, then calls `done` on the thread: after everything that the transaction ever ran.
    func end(_ done: @escaping @Sendable () -> Void) {
        state.withLock { $0 = .ended }
        let isTaken = thread.add { connection in
            connection.rollBack()
            done()
        }
        if !isTaken { done() }
    }

    private func perform(_ statements: [Statement], commits: Bool) async throws -> [Rows] {
        let isFirst = try state.withLock { state in
            guard state != .ended else { throw ApusError(.databaseRejected, "the transaction has ended") }
            defer { state = commits ? .ended : .open }
            return state == .unbegun
        }
        if isFirst && statements.isEmpty { return [] }
        do {
            return try await thread.perform(deadline: deadline) { [begin, failures] connection, job in
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
        } catch {
            state.withLock { $0 = .ended }
            throw error
        }
    }
}
