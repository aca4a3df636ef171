internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Puts one statement together: a flat SELECT, and the shape of its rows.
struct StatementBuilder {
    let request: RequestContext
    let source: String
    let engine: SQLEngine
    var select = Select()
    var levels: [RowShape.Level] = []
    /// For each level what its rows are ordered by.
    var orders: [[SQLFragment]] = []
    var batches: [StatementPlan] = []
    /// What rows of a scope must fulfil because of what is selected below it, by the scope's number.
    var required: [Int: [SQLFragment]] = [:]
    /// Whether the columns are what rows are grouped by, and those that are not.
    var isGrouping = false
    var ungrouped: Set<Int> = []
    /// Of points: what those that are meant are, beside what the field says.
    var wanted: [SQLParameter.Value] = []
    /// What sums and means divide each value by.
    var divisor: SQLFragment?
    private var scopes = 0

    /// The columns and joins of one SELECT.
    struct Select {
        private(set) var columns: [SQLFragment] = []
        private var places: [SQLFragment: Int] = [:]
        /// By the list that they belong to: what belongs to an outer one comes before inner ones multiply its rows.
        var joins: [[SQLFragment]] = []

        /// The number of the column; equal expressions are one column.
        mutating func column(_ expression: SQLFragment) -> Int {
            if let known = places[expression] { return known }
            columns.append(expression)
            places[expression] = columns.count - 1
            return columns.count - 1
        }

        /// A place for a join whose condition is known later.
        mutating func reserveJoin(_ level: Int) -> (level: Int, index: Int) {
            while joins.count <= level { joins.append([]) }
            joins[level].append(SQLFragment())
            return (level, joins[level].count - 1)
        }

        var joined: SQLFragment { joins.joined().map { " " + $0 }.joined(separator: "") }
    }

    /// The rows of an object in the statement.
    struct Scope {
        var number: Int
        var object: DataObject
        var alias: SQLFragment
        /// The list that they are in.
        var level: Int
        /// Whether rows without a primary key were numbered.
        var isNumbered = false
        /// In which order aggregate functions see the rows.
        var order = RowOrder.any

        var row: AliasedRow { AliasedRow(object: object, alias: alias) }
    }

    enum RowOrder {
        case any
        /// As functions that depend on it are told.
        case by([SQLFragment])
        /// Rows come in the order that was asked for.
        case given
        /// The engine has no way to keep the order that was asked for.
        case impossible
    }

    init(_ request: RequestContext, source: String) throws(GraphQLError) {
        self.request = request
        self.source = source
        engine = try request.engine(of: source)
        try request.record.beginStatement()
    }

    /// Of what a source does itself. Where it speaks no SQL, its values are looked at as closely as SQLite's.
    init(_ request: RequestContext, acting source: String) throws(GraphQLError) {
        self.request = request
        self.source = source
        if case .database(let engine)? = request.model.sources[source]?.kind { self.engine = engine } else { engine = .sqlite }
        try request.record.beginStatement()
    }

    mutating func scope(_ object: DataObject, level: Int, isNumbered: Bool = false) -> Scope {
        scopes += 1
        return Scope(
            number: scopes, object: object, alias: .identifier("t\(scopes)"), level: level,
            isNumbered: isNumbered && object.primaryKey.isEmpty)
    }

    /// Columns that tell one row of the scope from another.
    func key(of scope: Scope) -> [SQLFragment] {
        if scope.isNumbered { return ["\(scope.alias).\(.identifier(Self.rowNumber))"] }
        return scope.object.primaryKey.map { column($0, of: scope) }
    }

    static let rowNumber = "#row"

    func column(_ field: DataField, of scope: Scope) -> SQLFragment { column(field, alias: scope.alias) }

    func column(_ field: DataField, alias: SQLFragment) -> SQLFragment {
        "\(alias).\(.identifier(field.storedColumn ?? Self.computed(field)))"
    }

    /// The name under which the value of a computed field is selected from its relation. Names of 60 bytes and more would be cut by PostgreSQL.
    static func computed(_ field: DataField) -> String {
        field.name.utf8.count < 60 ? "=\(field.name)" : "=\(Digest(of: field.name).description.prefix(40))"
    }

    func field(_ name: String, of object: DataObject) throws(GraphQLError) -> DataField {
        guard let field = object.column(name) else { throw GraphQLError("\"\(name)\" is no column of \"\(object.name)\".") }
        return field
    }

    // MARK: Whole statements

    static func list(_ object: DataObject, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        var builder = try StatementBuilder(request, source: object.source)
        let scope = builder.scope(object, level: 0, isNumbered: builder.selectsList(use.fields, object))
        builder.beginLevel()
        builder.levels[0].item = try builder.object(use.fields, use.type, scope)
        var set = try builder.rowSet(use, scope)
        set.require(builder.required[scope.number])
        builder.keepPlaces(&set.order, scope)
        builder.limit(&set)
        return try builder.finish(scope, set, use, result: .list)
    }

    static func one(
        _ object: DataObject, key: [String], _ use: FieldUse, _ request: RequestContext
    ) throws(GraphQLError) -> StatementPlan {
        var builder = try StatementBuilder(request, source: object.source)
        let scope = builder.scope(object, level: 0, isNumbered: builder.selectsList(use.fields, object))
        builder.beginLevel()
        builder.levels[0].item = try builder.object(use.fields, use.type, scope)
        var set = RowSet()
        if let match = object.uniqueKeys.first(where: { $0.fields == key })?.match {
            set.require([
                try builder.template(match) { name throws(GraphQLError) in
                    guard name.hasPrefix("$"), let value = use.arguments[String(name.dropFirst())] else { return nil }
                    return .value(value, as: .string)
                }
            ])
        } else {
            for name in key {
                let field = try builder.field(name, of: object)
                let value = use.arguments[name] ?? .known(.null)
                set.require(["\(builder.column(field, of: scope)) = \(.value(value))"])
                builder.want(field, value)
            }
        }
        if let rule = try request.filter(of: use.field.name, on: use.parent).flatMap({ rule throws(GraphQLError) in
            try builder.rule(rule, scope.row)
        }) {
            set.require([rule])
        }
        set.require(builder.required[scope.number])
        return try builder.finish(scope, set, use, result: .one)
    }

    static func aggregation(_ object: DataObject, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        var builder = try StatementBuilder(request, source: object.source)
        var scope = builder.scope(object, level: 0)
        builder.beginLevel()
        var set = try builder.rowSet(use, scope)
        if let plan = try builder.countOfPoints(object, use, set) { return plan }
        if builder.engine != .sqlite {
            scope.order = set.order.isEmpty ? .any : .by(set.order)
        } else if !set.order.isEmpty {
            // Ordered inside a subquery, whose order SQLite drops without a limit.
            scope.order = .given
            set.limit = set.limit ?? "-1"
        }
        builder.levels[0].item = .object(try builder.aggregates(use.fields, use.type, scope), presence: nil)
        let from = try builder.from(scope, set, use, isRestricted: set.isRestricting)
        return try builder.plan("\(builder.selectClause) FROM \(from.source)\(builder.select.joined)\(from.whereClause)", result: .one)
    }

    static func buckets(_ object: DataObject, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        var builder = try StatementBuilder(request, source: object.source)
        let scope = builder.scope(object, level: 0)
        builder.beginLevel()
        let groups = try builder.groups(use.fields, use.type, scope)
        builder.levels[0].item = .object(groups.members, presence: nil)
        var limit = try builder.limit(use, prefix: "")
        if limit.limit == nil {
            limit.limit = .integer(request.planner.limits.defaultRows + 1)
            builder.levels[0].limit = request.planner.limits.defaultRows
        }
        let rows = RowSet(condition: try builder.condition(use, scope))
        let from = try builder.from(scope, rows, use, isRestricted: false)
        var sql: SQLFragment = "\(builder.selectClause) FROM \(from.source)\(builder.select.joined)\(from.whereClause)"
        sql.append(groups.clause)
        sql.append(Self.clause(" ORDER BY ", try builder.groupOrder(use, groups)))
        sql.append(limit.clause)
        return try builder.plan(sql, result: .list)
    }

    /// Without a limit there is the default one.
    mutating func limit(_ set: inout RowSet) {
        guard set.limit == nil else { return }
        // One row more shows whether there are more.
        set.limit = .integer(request.planner.limits.defaultRows + 1)
        levels[0].limit = request.planner.limits.defaultRows
    }

    mutating func beginLevel() {
        levels.append(RowShape.Level(item: .nested))
        orders.append([])
    }

    /// The statement for the rows of an object that is at its root.
    mutating func finish(
        _ scope: Scope, _ set: RowSet, _ use: FieldUse, result: RowShape.Result
    ) throws(GraphQLError) -> StatementPlan {
        let hasLists = levels.count > 1
        if hasLists { levels[0].key = key(of: scope).map { select.column($0) } }
        // Rows are counted before lists multiply them.
        let isRestricted = set.isDistinct || hasLists && set.isRestricting
        let from = try from(scope, set, use, isRestricted: isRestricted)
        orders[0] = set.order
        var sql: SQLFragment = "\(selectClause) FROM \(from.source)\(select.joined)\(from.whereClause)"
        sql.append(Self.clause(" ORDER BY ", rowOrder()))
        if !isRestricted { sql.append(set.page.clause) }
        return try plan(sql, result: result)
    }

    /// Rows of one object come one after the other, at each level but the innermost.
    func rowOrder() -> [SQLFragment] {
        var order: [SQLFragment] = []
        for (index, level) in levels.enumerated() {
            order += orders[index]
            if index < levels.count - 1 { order += level.key.map { select.columns[$0] }.filter { !order.contains($0) } }
        }
        return order
    }

    var selectClause: SQLFragment {
        // A statement needs a column, even if nothing but `__typename` is asked for.
        select.columns.isEmpty ? "SELECT 1" : "SELECT \(select.columns.joined(separator: ", "))"
    }

    static func clause(_ keyword: SQLFragment, _ parts: [SQLFragment]) -> SQLFragment {
        parts.isEmpty ? SQLFragment() : keyword + parts.joined(separator: ", ")
    }

    /// `group`: of a batch, the column with the number of the key.
    func plan(
        _ sql: SQLFragment, result: RowShape.Result, group: Int? = nil, keyCount: Int = 0, absent: [UInt8]? = nil
    ) throws(GraphQLError) -> StatementPlan {
        let limits = request.planner.limits
        func check(_ count: Int, _ limit: Int, _ what: String) throws(GraphQLError) {
            guard count <= limit else {
                throw GraphQLError("A statement for this field has \(count) \(what), and \(limit) are the limit; ask for less at once.")
            }
        }
        try check(select.columns.count, limits.columns, "columns")
        try check(sql.parameters.count, limits.parameters, "parameters")
        let statement = SQLStatement(hasPoints ? Self.tellingColumns(sql) : sql, for: engine)
        try check(statement.text.utf8.count, limits.textBytes, "bytes of SQL")
        var shape = RowShape(levels: levels, result: result, group: group)
        if let absent { shape.absent = absent }
        return StatementPlan(
            source: source, engine: engine, sql: statement, program: RowProgram(shape), batches: batches, keyCount: keyCount)
    }
}
