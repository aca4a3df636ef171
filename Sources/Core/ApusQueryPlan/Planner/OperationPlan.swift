public import ApusSchemas

/// What an operation comes to: statements, and the reply that their rows are part of.
public struct OperationPlan: Sendable {
    public internal(set) var statements: [StatementPlan] = []
    var data: Node = .object([])

    /// A part of the reply, in request order.
    indirect enum Node: Sendable {
        case object([(name: [UInt8], node: Node)])
        case text([UInt8])
        case statement(Int)
    }
}

/// One statement of a data source.
public struct StatementPlan: Sendable {
    public var source: String
    public var engine: SQLEngine
    public var sql: SQLStatement
    public var shape: RowShape
    /// The response field that it is for: keys from the root.
    public var path: [String]
    /// What is asked with keys of its rows, once these are known.
    public internal(set) var batches: [StatementPlan]
    /// Whether it changes anything. Such statements run one after the other, in one transaction.
    public var isMutation = false
    /// What the source does itself instead of running the SQL for its reply.
    public internal(set) var action: SourceAction?
}

/// How much an operation may be.
public struct PlanLimits: Sendable, Hashable {
    /// Rows of a list without a `limit`, which the reply then says.
    public var defaultRows = 2000
    /// Rows that one statement may send before the operation fails.
    public var rows = 1_000_000
    /// Keys that one batch may ask for.
    public var keys = 100_000

    public init() {}
}
