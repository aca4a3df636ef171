public import ApusDatabase
public import ApusQueryPlan
public import ApusSchemas
public import ApusTypes

/// Where data comes from, as requests use it. One that speaks SQL is a `SQLSource`, one whose functions are no SQL a `FunctionSource`; it
/// may be both.
///
/// Errors are `ApusError`s: `source.unavailable` where it cannot be asked now, `source.rejected` where it does not do what it is asked,
/// `source.constraint` where data stand against it, `write.outcome_unknown` where a commit was not confirmed.
public protocol DataSource: AnyObject, Sendable {
    var name: String { get }

    /// Ends what it holds open. Calls under way end with `source.unavailable`.
    func close() async
}

public protocol SQLSource: DataSource {
    var engine: SQLEngine { get }

    /// Runs one statement outside a transaction. At `deadline`, or when the caller's task is cancelled, the statement is cancelled too.
    func read(_ statement: SourceStatement, deadline: Instant) async throws -> SourceRows

    /// Runs `body`, which reads statements in pieces; their time is counted for each piece, and `deadline` is for beginning.
    func reading<Value: Sendable>(deadline: Instant, _ body: (any SourceReading) async throws -> Value) async throws -> Value

    /// Runs `body` in one transaction, which is committed when it returns and undone when it throws.
    func transaction<Value: Sendable>(
        deadline: Instant, _ body: (any SourceTransaction) async throws -> Value
    ) async throws -> Value
}

public protocol SourceTransaction: AnyObject, Sendable {
    func run(_ statement: SourceStatement) async throws -> SourceRows
}

/// The transaction of a source that changes its rows by code of its own.
public protocol ActingTransaction: SourceTransaction {
    /// `rows` tells the keys of those that are meant by an update or deletion. What came of it: the new row, or an `OperationResult`.
    func change(_ action: SourceAction, of rows: SourceStatement) async throws -> JSONValue
}

/// A source with functions that are no SQL: code of this program, or requests to another server.
public protocol FunctionSource: DataSource {
    /// The value as JSON, in the shape of the function's declared result. `identity`: the values of placeholders such as `[$auth.user_id]`.
    func call(_ function: DataFunction, _ arguments: JSONObject, identity: JSONObject, deadline: Instant) async throws -> JSONValue

    /// How many calls for the rows of one request may be under way.
    var callsAtOnce: Int { get }
}

extension FunctionSource {
    public var callsAtOnce: Int { 8 }
}

/// A source that tells what happens as it happens.
public protocol EventSource: DataSource {
    /// What a function of subscriptions tells from now on.
    func events(_ function: DataFunction, _ arguments: JSONObject, deadline: Instant) async throws -> any EventStream
}

/// What one subscription hears. One reader.
public protocol EventStream: AnyObject, Sendable {
    /// The next event, in the shape of the function's declared result. Throws when there will be no more.
    func next() async throws -> JSONValue
    func close()
}

/// A statement with the values of its parameters.
public struct SourceStatement: Sendable {
    public var sql: StaticSQL
    public var parameters: [BoundParameter]
    /// What is made of columns of rows that are read in pieces, where it is known.
    var uses = ColumnUses()

    public init(_ sql: StaticSQL, _ parameters: [BoundParameter] = []) {
        self.sql = sql
        self.parameters = parameters
    }

    init(_ call: StatementCall) { self.init(StaticSQL(call.statement.sql), call.parameters) }
}
