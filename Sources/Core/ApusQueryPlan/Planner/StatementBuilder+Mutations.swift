internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Updates and deletions: each is one statement.
extension StatementBuilder {
    static func update(_ object: DataObject, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        try refuseSummary(use)
        var builder = try StatementBuilder(request, source: object.source)
        builder.beginLevel()
        let given = use.arguments["data"]?.asObject ?? [:]
        try request.allow(inputs: given, "_mut_data", of: object)
        let data = given.stamped(with: request.stamps(of: use.field.name, on: use.parent))
            .stamped(with: request.stamps(.update, object))
        var assignments: [SQLFragment] = []
        for (name, value) in data {
            let field = try builder.field(name, of: object)
            assignments.append("\(.identifier(field.storedColumn ?? name)) = \(try builder.stored(value, field))")
        }
        for field in object.columns where data[field.name] == nil {
            guard let column = field.storedColumn, let expression = field.defaults?.updateExpression else { continue }
            assignments.append("\(.identifier(column)) = \(try builder.expression(expression, data, object))")
        }
        guard !assignments.isEmpty else { throw GraphQLError("Argument \"data\" sets nothing.") }
        let rows = try builder.changedRows(object, use, .update)
        return try builder.changes(
            "UPDATE \(.path(object.relation)) AS \(rows.alias) SET \(assignments.joined(separator: ", "))\(rows.whereClause)", use)
    }

    static func delete(_ object: DataObject, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        var builder = try StatementBuilder(request, source: object.source)
        builder.beginLevel()
        let rows = try builder.changedRows(object, use, .delete)
        let table = SQLFragment.path(object.relation)
        guard let soft = object.softDelete else {
            return try builder.changes("DELETE FROM \(table) AS \(rows.alias)\(rows.whereClause)", use)
        }
        let assignment = try builder.template(soft.assignment) { _ throws(GraphQLError) in nil }
        return try builder.changes("UPDATE \(table) AS \(rows.alias) SET \(assignment)\(rows.whereClause)", use)
    }

    // MARK: Which rows

    /// The rows that an update or deletion is for. A filter that says nothing means all rows only where the request says so: a variable that
    /// was forgotten must not delete a table.
    private mutating func changedRows(
        _ object: DataObject, _ use: FieldUse, _ operation: RolePermissions.Operation
    ) throws(GraphQLError) -> (alias: SQLFragment, whereClause: SQLFragment) {
        let scope = self.scope(object, level: 0)
        let rule = try request.filter(operation, object)
        // What the request itself says: a rule does not make a forgotten variable harmless.
        var condition = try use.given("filter")?.asObject.flatMap { filter throws(GraphQLError) in try self.condition(filter, scope.row) }
        if condition == nil, !request.hasDirective(Self.allRows, use.field) {
            throw GraphQLError(
                "\"\(use.field.name)\" has no filter that says anything, and would change every row; if that is meant, write @\(Self.allRows) behind the field."
            )
        }
        for filter in [rule, request.filter(of: use.field.name, on: use.parent)] {
            if let filter { condition = Self.both(condition, try self.rule(filter, scope.row)) }
        }
        let rows = try rows(that: condition, scope, use)
        return (rows.alias, rows.condition.map { " WHERE \($0)" } ?? SQLFragment())
    }

    /// A condition on rows of a table as it may stand in a statement that changes the table: under which alias, and what is true of them.
    mutating func rows(
        that condition: SQLFragment?, _ scope: Scope, _ use: FieldUse
    ) throws(GraphQLError) -> (alias: SQLFragment, condition: SQLFragment?) {
        let object = scope.object
        let isPlain = object.softDelete == nil && !object.fields.contains { if case .computed = $0.kind { true } else { false } }
        guard !isPlain else { return (scope.alias, condition) }
        // Conditions on what the table itself does not have are asked of the rows as they are read.
        let outer = self.scope(object, level: 0)
        let key = object.primaryKey
        guard !key.isEmpty else { throw GraphQLError("\"\(object.name)\" needs a @pk to change rows of it.") }
        let own = key.map { column($0, of: outer) }.joined(separator: ", ")
        // The rule of the operation stands in the place of the one for queries.
        let from = try request.record.inRule { () throws(GraphQLError) in
            try self.from(scope, RowSet(condition: condition), use, isRestricted: false)
        }
        let keys = key.map { column($0, of: scope) }.joined(separator: ", ")
        return (outer.alias, "(\(own)) IN (SELECT \(keys) FROM \(from.source)\(from.whereClause))")
    }

    static let allRows = "all_rows"

    static func refuseSummary(_ use: FieldUse) throws(GraphQLError) {
        if use.given("summary") != nil { throw GraphQLError("Argument \"summary\" needs an embedding model.") }
    }

    // MARK: What is told

    /// A statement of which the number of changed rows is told.
    mutating func changes(_ sql: SQLFragment, _ use: FieldUse) throws(GraphQLError) -> StatementPlan {
        let isCounted = engine == .postgreSQL
        let counted: SQLFragment =
            isCounted && !sql.isWith ? "WITH \"changed\" AS (\(sql) RETURNING 1) SELECT count(*) FROM \"changed\"" : sql
        let members = use.fields.map { field in
            let shape: Shape =
                switch field.name {
                case "success": .text(Array("true".utf8))
                case "affected_rows": .value(column: 0, .count)
                case "message": .text(JSONText.quoted("success"))
                case "last_id": .text(Array("null".utf8))
                default: .text(JSONText.quoted(use.type.name))
                }
            return Shape.Member(field.responseKey, shape)
        }
        levels[0].item = .object(members, presence: nil)
        let isTold = counted.isWith
        let plan = try plan(isTold ? counted : "\(counted) RETURNING 1", result: isTold ? .one : .changes)
        return plan.with { $0.isMutation = true }
    }

    // MARK: Values

    /// A value as a column stores it.
    func stored(_ value: PlanValue, _ field: DataField) throws(GraphQLError) -> SQLFragment {
        if value.isNull { return .value(JSONValue.null) }
        switch field.type {
        case .scalar(.geometry): return geometry(value, field.srid)
        case .scalar(.json), .structure, .list(.structure): return .value(value, form: .json)
        case .scalar(.vector): return .value(value, form: .json)
        case .list: return .value(value)
        case .scalar, .enumeration, .object: return .value(value)
        }
    }

    /// An expression of the schema's author: `[$field]` is the value that the request gives.
    func expression(_ text: String, _ data: PlanObject, _ object: DataObject) throws(GraphQLError) -> SQLFragment {
        try template(text) { name throws(GraphQLError) in
            guard name.hasPrefix("$"), let field = object.column(String(name.dropFirst())) else { return nil }
            return try stored(data[field.name] ?? .known(.null), field)
        }
    }
}

extension SQLFragment {
    /// Whether it tells a number by itself.
    fileprivate var isWith: Bool { text.hasPrefix("WITH") }
}
