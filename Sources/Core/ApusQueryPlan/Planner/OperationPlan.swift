public import ApusGraphQL
public import ApusSchemas
public import ApusTypes

/// What an operation comes to, with one request's values.
public final class OperationPlan: Sendable {
    let template: PlanTemplate
    let values: RequestValues
    /// Coerced, with defaults.
    public let variables: JSONObject

    init(_ template: PlanTemplate, _ values: RequestValues, _ variables: JSONObject) {
        self.template = template
        self.values = values
        self.variables = variables
    }

    public var statements: [StatementPlan] { template.statements }
    public var kind: OperationKind { template.kind }
    /// The name of an operation whose time is asked for, empty where it has none; nil: it is not asked for.
    public var measuredName: String? { template.measuredName }
    /// The fields whose time is asked for: that of their statements.
    public var measuredFields: [(path: [String], name: String)] { template.measuredFields }
    /// Whether any of its statements is done by a source itself, or may be kept: asked of every request.
    public var isActing: Bool { template.isActing }
    public var mayBeKept: Bool { template.mayBeKept }
    /// Whether its time, or that of one of its fields, is asked for.
    public var isMeasured: Bool { template.isMeasured }
}

/// What an operation comes to, for all requests whose variables have one shape: statements, and the reply that their rows are part of.
final class PlanTemplate: Sendable {
    let statements: [StatementPlan]
    let data: Node
    let observations: Observations
    let kind: OperationKind
    let measuredName: String?
    let measuredFields: [(path: [String], name: String)]
    let isActing: Bool
    let mayBeKept: Bool
    let isMeasured: Bool

    init(
        _ kind: OperationKind, _ statements: [StatementPlan], _ data: Node, _ observations: Observations, measuredName: String? = nil
    ) {
        self.kind = kind
        self.measuredName = measuredName
        self.statements = statements
        self.data = data
        self.observations = observations
        isActing = statements.contains { $0.action != nil }
        mayBeKept = statements.contains { $0.caching != nil }
        measuredFields =
            data.cells.compactMap { cells in cells.measuredName.map { (cells.path, $0) } }
            + statements.compactMap { one in one.measuredName.map { (one.path, $0) } }
        isMeasured = measuredName != nil || !measuredFields.isEmpty
    }

    /// A part of the reply, in request order.
    indirect enum Node: Sendable {
        case object([(name: [UInt8], node: Node)])
        case text([UInt8])
        case statement(Int)
        /// The cells of several statements' geometries, side by side.
        case cells(CellsPlan)
        /// A query whose result a program transforms; what the program makes of it is no part of the data.
        case transformed(Transform, Node)

        var cells: [CellsPlan] {
            switch self {
            case .object(let members): members.flatMap(\.node.cells)
            case .transformed(_, let node): node.cells
            case .cells(let cells): [cells]
            case .text, .statement: []
            }
        }

        /// Those that it holds, or that programs are given.
        func statements(onlyTransformed: Bool) -> Set<Int> {
            switch self {
            case .object(let members): members.reduce(into: []) { $0.formUnion($1.node.statements(onlyTransformed: onlyTransformed)) }
            case .text: []
            case .statement(let index): onlyTransformed ? [] : [index]
            case .cells(let cells): onlyTransformed ? [] : Set(cells.members.map(\.statement))
            case .transformed(_, let node): node.statements(onlyTransformed: false)
            }
        }
    }

    struct Transform: Sendable {
        var path: [String]
        /// Of jq.
        var program: String
        /// Whether the query's result stays in the data.
        var includesOrigin: Bool
    }
}

/// One statement of a data source. A class, since each request hands its statements from step to step.
public final class StatementPlan: Sendable {
    public let source: String
    public let engine: SQLEngine
    public let sql: SQLStatement
    let program: RowProgram
    /// What is asked with keys of its rows, once these are known.
    public let batches: [StatementPlan]
    /// Of a batch: how many columns its keys have.
    let keyCount: Int
    private let purpose: Purpose

    /// What a request wants it for.
    struct Purpose {
        var path: [String] = []
        var isMutation = false
        var action: SourceAction?
        var measuredName: String?
        var caching: StatementCaching?
    }

    init(
        source: String, engine: SQLEngine, sql: SQLStatement, program: RowProgram, batches: [StatementPlan] = [], keyCount: Int = 0,
        for purpose: Purpose = Purpose()
    ) {
        self.source = source
        self.engine = engine
        self.sql = sql
        self.program = program
        self.batches = batches
        self.keyCount = keyCount
        self.purpose = purpose
    }

    func with(_ change: (inout Purpose) -> Void) -> StatementPlan {
        var purpose = purpose
        change(&purpose)
        return StatementPlan(
            source: source, engine: engine, sql: sql, program: program, batches: batches, keyCount: keyCount, for: purpose)
    }

    /// Whether it is asked with keys of another's rows; its rows say first to which key they belong.
    public var isBatch: Bool { keyCount > 0 }
    /// The response field that it is for: keys from the root.
    public var path: [String] { purpose.path }
    /// Whether it changes anything. Such statements run one after the other, in one transaction.
    public var isMutation: Bool { purpose.isMutation }
    /// What the source does itself instead of running the SQL for its reply.
    public var action: SourceAction? { purpose.action }
    /// The name of a field whose time is asked for.
    public var measuredName: String? { purpose.measuredName }
    /// How what it tells is kept; nil: it is not, and nothing is invalidated with it.
    public var caching: StatementCaching? { purpose.caching }
}
