public import ApusTypes

/// A SQL database, as the catalog needs it: PostgreSQL for a cluster, SQLite for one machine.
///
/// Both take the same statements with parameters `$1`, `$2`, …; where the dialects differ the caller asks `dialect`.
/// Every call has a deadline and ends in one of the three outcomes of a write: done (it returns), not done
/// (it throws anything else), or `write.outcome_unknown` (the connection broke, or the wait was cut, during COMMIT).
public protocol Database: Sendable {
    var dialect: SQLDialect { get }

    /// Runs the statements one after another in one round trip, outside a transaction block of the caller's making: each
    /// statement commits by itself. For single statements and independent reads.
    func run(_ statements: [Statement], on lane: Lane, deadline: Instant) async throws -> [Rows]

    /// Runs `body` in one transaction and commits it when `body` returns; rolls back when it throws.
    /// `mode` `.snapshot` sees one state of the database in all of its statements and cannot write.
    func transaction<Value: Sendable>(
        _ mode: TransactionMode, on lane: Lane, deadline: Instant,
        _ body: (any Transaction) async throws -> Value
    ) async throws -> Value

    /// Notifications on `channels` (PostgreSQL's LISTEN; on SQLite those that this process sent). Only a hint to look sooner: they
    /// may be lost, and the stream ends when the connection breaks. Buffered up to a bound, then merged.
    func notifications(on channels: [String]) -> AsyncStream<Notification>

    /// Closes the connections; calls under way end with `catalog.unavailable`.
    func close() async
}

/// What a caller can do inside a transaction.
public protocol Transaction: AnyObject {
    /// Runs the statements in one round trip; stops at the first that fails, and the transaction is then lost.
    func run(_ statements: [Statement]) async throws -> [Rows]
}

public enum SQLDialect: Sendable, Hashable { case postgreSQL, sqlite }

/// The three connections of a node, so that a renewal never queues behind a commit.
public enum Lane: Sendable, Hashable, CaseIterable { case write, read, duty }

public enum TransactionMode: Sendable, Hashable {
    /// Reads and writes; durable when committed (waits for a synchronous standby where there is one).
    case write
    /// Reads and writes; durable on the local disk only (`synchronous_commit = local`), for lease renewals.
    case writeLocal
    case snapshot
}

/// One SQL statement with its parameters. The text is a constant of the program; values only ever travel as parameters.
public struct Statement: Sendable {
    public var sql: StaticSQL
    public var parameters: [SQLValue]

    public init(_ sql: StaticSQL, _ parameters: [SQLValue] = []) {
        self.sql = sql
        self.parameters = parameters
    }
}

/// SQL that came from a literal (or a migration file): it can only be made from a literal or joined from such, so that no request's
/// text reaches a statement. The text is the name under which it is prepared, once for each connection.
public struct StaticSQL: Hashable, Sendable, ExpressibleByStringLiteral {
    public let text: String

    public init(stringLiteral value: StaticString) { text = value.description }
    private init(joined: String) { text = joined }

    public static func + (left: StaticSQL, right: StaticSQL) -> StaticSQL { StaticSQL(joined: left.text + right.text) }
}

public enum SQLValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case text(String)
    case blob([UInt8])
}

/// The rows of one statement.
public struct Rows: Sendable {
    public var columns: [String]
    public var rows: [Row]
    /// Rows that an INSERT, UPDATE or DELETE changed.
    public var changed: Int

    public init(columns: [String] = [], rows: [Row] = [], changed: Int = 0) {
        self.columns = columns
        self.rows = rows
        self.changed = changed
    }
}

extension Rows: RandomAccessCollection {
    public var startIndex: Int { rows.startIndex }
    public var endIndex: Int { rows.endIndex }
    public subscript(position: Int) -> Row { rows[position] }
}

/// One row; columns by position, in the order of the statement. A column of another type than asked is a defect of ours: it throws
/// `database.rejected` naming the column's position.
public struct Row: Sendable {
    public var values: [SQLValue]

    public init(_ values: [SQLValue]) { self.values = values }

    public func integer(_ column: Int) throws -> Int64 {
        if case .integer(let value) = values[column] { return value }
        throw mismatch(column, "an integer")
    }

    public func text(_ column: Int) throws -> String {
        if case .text(let value) = values[column] { return value }
        throw mismatch(column, "text")
    }

    public func blob(_ column: Int) throws -> [UInt8] {
        if case .blob(let value) = values[column] { return value }
        throw mismatch(column, "bytes")
    }

    public func bool(_ column: Int) throws -> Bool {
        switch values[column] {
        case .bool(let value): return value
        case .integer(let value): return value != 0  // SQLite has no booleans
        default: throw mismatch(column, "a boolean")
        }
    }

    public func double(_ column: Int) throws -> Double {
        switch values[column] {
        case .double(let value): return value
        case .integer(let value): return Double(value)
        default: throw mismatch(column, "a number")
        }
    }

    public func isNull(_ column: Int) -> Bool { values[column] == .null }

    private func mismatch(_ column: Int, _ expected: String) -> ApusError {
        ApusError(.databaseRejected, "column \(column) is not \(expected)")
    }
}

public struct Notification: Sendable, Hashable {
    public var channel: String
    public var payload: String

    public init(channel: String, payload: String) {
        self.channel = channel
        self.payload = payload
    }
}
