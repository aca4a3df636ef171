internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// Copies SQLite's log into the database file before it grows long, without stalling the writer.
///
/// The bulk is copied by a connection of its own beside the writer. It never catches up with a busy writer, and only a log that was copied
/// to its end starts again from the front; so the writer's thread copies the few pages left, between two transactions.
final class SQLiteCheckpoints: Sendable {
    private let state = Mutex(State())
    private let log = Logger("database")

    private struct State {
        var copier: SQLiteThread?
        var writer: SQLiteThread?
        var isRunning = false
    }

    func start(copier: SQLiteThread, writer: SQLiteThread) {
        state.withLock { state in
            state.copier = copier
            state.writer = writer
        }
    }

    /// Called on the writer's thread after each commit.
    func committed(pages: Int) {
        guard pages >= SQLiteDatabase.checkpointPages else { return }
        let parts: (SQLiteThread, SQLiteThread)? = state.withLock { state in
            guard !state.isRunning, let copier = state.copier, let writer = state.writer else { return nil }
            state.isRunning = true
            return (copier, writer)
        }
        guard let (copier, writer) = parts else { return }
        copier.add { [self] connection in
            copy(connection)
            // Jobs of a transaction come one after another, so this one may find it open: then the log is busy, and the next commit asks again.
            writer.add { [self] connection in
                if !connection.isInTransaction { copy(connection) }
                state.withLock { $0.isRunning = false }
            }
        }
    }

    func stop() async {
        let copier = state.withLock { state in
            defer { state.copier = nil }
            return state.copier
        }
        await copier?.stop()
    }

    private func copy(_ connection: SQLiteConnection) {
        do { try connection.checkpoint() } catch { log.warning("sqlite log not copied", ["error": "\(error)"]) }
    }
}
