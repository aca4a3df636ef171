public import ApusTypes

/// A SQL database, as the catalog needs it: PostgreSQL for a cluster, SQLite for one machine.
///
/// Both take the same statements with parameters `$1`, `$2`, …; where the dialects differ the caller asks `dialect`.
/// Every call has a deadline and ends in one of the three outcomes of a write: done (it returns), not done
/// (it throws anything else), or `write.outcome_unknown` (the connection broke, or the wait was cut, during COMMIT).
public protocol Database: Sendable {
    var dialect: SQLDialect { get }

    /// Runs the statements in one round trip, outside a transaction block: each commits by itself, and all are run even if one
    /// fails; then the first error is thrown. For single statements and independent reads. The read lane cannot write.
    func run(_ statements: [Statement], on lane: Lane, deadline: Instant) async throws -> [Rows]

    /// Runs `body` in one transaction and commits it when `body` returns; rolls back when it throws, and at the deadline.
    /// A `.snapshot` sees one state of the database in all of its statements and cannot write.
    ///
    /// BEGIN travels with the first statements; COMMIT costs a round trip of its own unless `body` ends with `commit(after:)`.
    func transaction<Value: Sendable>(
        _ mode: TransactionMode, on lane: Lane, deadline: Instant,
        _ body: (any Transaction) async throws -> Value
    ) async throws -> Value

    /// Wakes those who listen on the channel. In a transaction of its own, on the duty lane.
    func notify(_ notification: Notification, deadline: Instant) async throws

    /// Notifications on `channels` (PostgreSQL's LISTEN; on SQLite those that this process sent). Only a hint to look sooner: they
    /// may be lost, and the stream ends when the connection breaks. Buffered up to a bound, then the oldest are dropped.
    func notifications(on channels: [String]) -> AsyncStream<Notification>

    /// Closes the connections; calls under way end with `catalog.unavailable`.
    func close() async
}

/// What a caller can do inside a transaction.
public protocol Transaction: AnyObject {
    /// Runs the statements in one round trip; stops at the first that fails, and the transaction is then lost.
    func run(_ statements: [Statement]) async throws -> [Rows]

    /// Runs the statements and, if none failed, commits, all in one round trip. Nothing can be run afterwards.
    func commit(after statements: [Statement]) async throws -> [Rows]
}

public enum SQLDialect: Sendable, Hashable { case postgreSQL, sqlite }

/// The three connections of a node, so that a renewal never queues behind a commit.
public enum Lane: String, Sendable, Hashable, CaseIterable { case write, read, duty }

/// What a transaction may do, how durable it is, and how long it waits for a lock.
public struct TransactionMode: Sendable, Hashable {
    enum Kind: Sendable, Hashable { case write, writeLocal, snapshot }

    let kind: Kind
    var lockTimeout: Duration?

    /// Reads and writes; durable when committed (waits for a synchronous standby where there is one).
    public static let write = TransactionMode(kind: .write)
    /// Reads and writes; durable on the local disk only (`synchronous_commit = local`), for lease renewals.
    public static let writeLocal = TransactionMode(kind: .writeLocal)
    /// Reads one state of the database.
    public static let snapshot = TransactionMode(kind: .snapshot)

    /// The same, but a statement that waits longer than this for a lock fails with `database.lock_timeout`. Whole milliseconds.
    /// SQLite has one writer and nothing to wait for.
    public func lockTimeout(_ limit: Duration) -> TransactionMode {
        var mode = self
        mode.lockTimeout = limit
        return mode
    }
}

/// A wake-up, with a few bytes that say why.
public struct Notification: Sendable, Hashable {
    public var channel: String
    public var payload: String

    public init(channel: String, payload: String) {
        self.channel = channel
        self.payload = payload
    }
}
