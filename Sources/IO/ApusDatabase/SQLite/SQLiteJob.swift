internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// How far a job on a SQLite thread has come, so that a caller whose deadline passes is told the truth about its write.
///
/// queued -> running -> committing -> finished; abandoned can follow queued and running, and then nothing is committed.
final class SQLiteJob<Value: Sendable>: Sendable {
    private enum State {
        case queued, running, committing, abandoned, finished
    }

    private let state = Mutex(State.queued)
    private let continuation: CheckedContinuation<Value, any Error>

    init(_ continuation: CheckedContinuation<Value, any Error>) { self.continuation = continuation }

    /// False if the caller has gone: the job must do nothing.
    func begin() -> Bool { advance(from: .queued, to: .running) }

    /// False if the caller has gone: the job must roll back.
    func beginCommit() -> Bool { advance(from: .running, to: .committing) }

    func finish(_ result: Result<Value, any Error>) {
        let isAwaited = state.withLock { state in
            defer { state = .finished }
            return state != .abandoned && state != .finished
        }
        if isAwaited { continuation.resume(with: result) }
    }

    /// Answers the caller at its deadline.
    func expire() {
        let answer: ApusError? = state.withLock { state in
            switch state {
            case .queued, .running:
                state = .abandoned
                return .deadlinePassed("the catalog's disk was busy")
            case .committing:
                state = .finished
                return .outcomeUnknown("the disk did not confirm the commit in time")
            case .abandoned, .finished: return nil
            }
        }
        if let answer { continuation.resume(throwing: answer) }
    }

    private func advance(from old: State, to new: State) -> Bool {
        state.withLock { state in
            guard state == old else { return false }
            state = new
            return true
        }
    }
}

extension SQLiteThread {
    /// Runs `body` on the thread. At `deadline` the caller is answered whatever the thread does; `body` is interrupted
    /// between statements and inside them, but not inside COMMIT.
    func perform<Value: Sendable>(
        deadline: Instant, _ body: @escaping @Sendable (SQLiteConnection, SQLiteJob<Value>) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let job = SQLiteJob(continuation)
            let cancelTimer = Deadlines.shared.schedule(at: deadline) { job.expire() }
            let isTaken = add { connection in
                guard job.begin() else { return }
                connection.deadline = deadline
                let result = Result { try body(connection, job) }
                cancelTimer?()
                job.finish(result)
            }
            if !isTaken { job.finish(.failure(SQLiteDatabase.closed)) }
        }
    }
}
