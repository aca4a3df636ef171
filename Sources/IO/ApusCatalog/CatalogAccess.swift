internal import ApusDatabase
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// What the typed stores share: the database, its incarnation, and the one way to write.
final class CatalogAccess: Sendable {
    let database: any Database
    let clock: any MonotonicClock
    let isReadOnly: Bool
    /// Raised by every commit that published a change, and by notifications of others.
    let changed = Signal()
    /// Raised by this node's own commits alone: what the others must be told.
    let published = PendingSignal()
    private let current: Mutex<Incarnation>

    init(database: any Database, clock: any MonotonicClock, isReadOnly: Bool, incarnation: Incarnation) {
        self.database = database
        self.clock = clock
        self.isReadOnly = isReadOnly
        current = Mutex(incarnation)
    }

    var dialect: SQLDialect { database.dialect }

    var incarnation: Incarnation {
        get { current.withLock { $0 } }
        set {
            let known = current.withLock { known in
                defer { known = newValue }
                return known
            }
            guard known != newValue else { return }
            Logger("catalog").warning(
                "the catalog has another incarnation: a standby was promoted, or a backup restored",
                ["before": known.description, "now": newValue.description])
        }
    }

    func read(_ statements: [Statement], deadline: Instant) async throws -> [Rows] {
        try await database.run(statements, on: .read, deadline: deadline)
    }

    func read(_ statement: Statement, deadline: Instant) async throws -> Rows {
        try await read([statement], deadline: deadline)[0]
    }

    func requireWritable() throws {
        guard !isReadOnly else {
            throw ApusError(
                .catalogReadOnly, "this node serves a read-only catalog", hint: "write through a node that owns the catalog")
        }
    }

    /// See `Catalog.transaction`.
    func transaction<Value: Sendable>(
        deadline: Instant, _ body: (CatalogTransaction) async throws -> Value
    ) async throws -> Value {
        try requireWritable()
        let (value, hasPublished) = try await settled(waiting: nil, deadline: deadline) {
            [dialect] (inner, attempt: MarkedAttempt<(Value, Bool)>) in
            let transaction = CatalogTransaction(inner, dialect: dialect, mark: attempt.mark)
            let value = try await body(transaction)
            let result = (value, transaction.hasPublished)
            attempt.whenDone = { result }
            try await transaction.finish()
            return result
        }
        if hasPublished {
            changed.raise()
            published.raise()
        }
        return value
    }

    /// Runs `body` in a transaction that leaves a mark of its own among the operation ids, by which its outcome is found out when the
    /// connection breaks during COMMIT. `body` writes the mark. `waiting` limits each wait for a lock; nil waits until the deadline.
    func settled<Value: Sendable>(
        waiting: Duration?, deadline: Instant, _ body: (any Transaction, MarkedAttempt<Value>) async throws -> Value
    ) async throws -> Value {
        let attempt = MarkedAttempt<Value>()
        // The end of the time is kept for finding out: a commit that hangs must not use it all.
        let remaining = clock.now.duration(to: deadline)
        let commitBy = deadline.advanced(by: .zero - min(remaining / 3, .milliseconds(800)))
        do {
            return try await database.transaction(.write.lockTimeout(waiting ?? remaining), on: .write, deadline: commitBy) { transaction in
                try await body(transaction, attempt)
            }
        } catch let unknown as ApusError where unknown.code == .outcomeUnknown {
            guard let whenDone = attempt.whenDone else { throw unknown }
            let outcome: Operations.Outcome
            do {
                outcome = try await Operations(access: self).settle(attempt.mark, deadline: deadline)
                if case .done = outcome { return try await whenDone() }
            } catch {
                throw unknown  // whatever keeps us from finding out, and from reading what was done, does not undo it
            }
            guard outcome == .refused else { throw unknown }
            throw ApusError(
                .catalogUnavailable, "the connection to the catalog broke before the commit; nothing was written", cause: unknown)
        }
    }
}

/// A transaction that may have to be asked after.
final class MarkedAttempt<Value> {
    let mark = OperationMark.unique()
    /// Gives the transaction's value when it turns out to have been committed; set before COMMIT is sent.
    var whenDone: (() async throws -> Value)?
}
