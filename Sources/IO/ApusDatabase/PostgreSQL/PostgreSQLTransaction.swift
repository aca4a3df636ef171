internal import ApusTypes
internal import Synchronization

/// A transaction on a connection that nobody else uses meanwhile.
final class PostgreSQLTransaction: Transaction, Sendable {
    private let session: PostgreSQLSession
    private let beginning: [Statement]
    private let state = Mutex(State.unbegun)

    /// unbegun -> open -> committed or lost, which are final.
    private enum State {
        case unbegun, open, committed
        case lost(any Error)
    }

    init(session: PostgreSQLSession, beginning: [Statement]) {
        self.session = session
        self.beginning = beginning
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

    /// Rolls back what was begun and not committed, then calls `done`: whoever uses the connection next comes behind the ROLLBACK.
    func rollBack(then done: @escaping @Sendable () -> Void) {
        let isOpen = state.withLock { state in
            switch state {
            case .unbegun, .committed: return false
            case .open: return true
            case .lost(let error): return (error as? ApusError)?.code != .outcomeUnknown  // else COMMIT was its end, one way or the other
            }
        }
        if isOpen { session.send([Statement("ROLLBACK")], then: done) } else { done() }
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
        let before = isFirst ? beginning : []
        let all = before + statements + (commits ? [Statement("COMMIT")] : [])
        guard !all.isEmpty else { return [] }
        do {
            let outcome = await session.perform(all, isSeparate: false, deadline: nil)
            var rows = try outcome.rows(of: all.count, mayHaveCommitted: commits)
            rows.removeFirst(before.count)
            if commits {
                rows.removeLast()
                state.withLock { $0 = .committed }
            }
            return rows
        } catch {
            state.withLock { $0 = .lost(error) }
            throw error
        }
    }
}

extension PostgreSQLBatch.Outcome {
    /// The rows of all `count` statements, or the error that tells the caller the truth about a commit among them.
    func rows(of count: Int, mayHaveCommitted: Bool) throws -> [Rows] {
        switch self {
        case .answered(let results, let isCommitCut):
            let rows = try results.map { try $0.get() }
            guard rows.count == count else { throw ApusError(.databaseRejected, "the transaction had failed before") }
            if isCommitCut { throw ApusError.outcomeUnknown("the wait for a standby was cut short") }
            return rows
        case .lost(let error, let answered, let wasSent):
            for result in answered { _ = try result.get() }  // a statement failed before: nothing was committed
            if mayHaveCommitted && wasSent {
                throw ApusError.outcomeUnknown("the connection broke during the commit", cause: error)
            }
            throw error
        }
    }
}
