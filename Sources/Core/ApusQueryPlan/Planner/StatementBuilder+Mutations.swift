internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Insertions with related rows, updates, deletions: each is one statement. What an insertion tells is read by the new row's key, in the same
/// transaction.
extension StatementBuilder {
    static func insert(_ object: DataObject, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        try refuseSummary(use)
        var builder = try StatementBuilder(request, source: object.source)
        var insertion = Insertion(builder: builder)
        let stamps = request.stamps(of: use.field.name, on: use.parent)
        let row = try insertion.add(use.arguments["data"]?.asObject ?? [:], to: object, [], stamps)
        let tellsRow = !object.primaryKey.isEmpty && !object.isJunction
        builder.beginLevel()
        guard tellsRow else { return try builder.changes(insertion.sql(telling: ["1"], of: row), use) }
        let scope = Scope(number: 0, object: object, alias: row.name, level: 0)
        let key = object.primaryKey.map(\.name)
        let itself = Navigation(joining: object.name, by: .fields(key.map { Navigation.Pair(near: $0, far: $0) }, condition: nil))
        builder.levels[0].item = try builder.batch(itself, use, scope, result: .one)
        // The columns of the statement are those of the key, under the row's name.
        var plan = try builder.plan(try insertion.sql(telling: builder.key(of: scope), of: row), result: .one)
        plan.isMutation = true
        return plan
    }

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
        let isPlain = object.softDelete == nil && !object.fields.contains { if case .computed = $0.kind { true } else { false } }
        guard !isPlain else { return (scope.alias, condition.map { " WHERE \($0)" } ?? SQLFragment()) }
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
        return (outer.alias, " WHERE (\(own)) IN (SELECT \(keys) FROM \(from.source)\(from.whereClause))")
    }

    static let allRows = "all_rows"

    private static func refuseSummary(_ use: FieldUse) throws(GraphQLError) {
        if use.given("summary") != nil { throw GraphQLError("Argument \"summary\" needs an embedding model.") }
    }

    // MARK: What is told

    /// A statement of which the number of changed rows is told.
    private mutating func changes(_ sql: SQLFragment, _ use: FieldUse) throws(GraphQLError) -> StatementPlan {
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
        var plan = try plan(isTold ? counted : "\(counted) RETURNING 1", result: isTold ? .one : .changes)
        plan.isMutation = true
        return plan
    }

    // MARK: Values

    /// A value as a column stores it.
    func stored(_ value: PlanValue, _ field: DataField) throws(GraphQLError) -> SQLFragment {
        if value.isNull { return .value(JSONValue.null) }
        switch field.type {
        case .scalar(.geometry):
            let geometry = geometry(value)
            return field.srid.map { "ST_SetSRID(\(geometry), \(.integer($0)))" } ?? geometry
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

/// Rows that are inserted together. On PostgreSQL they are one statement: each row is a part of its WITH, and takes the keys of others from
/// there. Constraints are checked when all are there.
private struct Insertion {
    let builder: StatementBuilder
    private var parts: [(name: SQLFragment, sql: SQLFragment)] = []

    init(builder: StatementBuilder) { self.builder = builder }

    struct Row {
        var name: SQLFragment
        var object: DataObject
    }

    /// `keys`: columns whose values come from other rows; `stamps`: what is stored whatever the request says.
    mutating func add(
        _ data: PlanObject, to object: DataObject, _ keys: [(column: String, value: SQLFragment)], _ stamps: PlanObject = [:]
    ) throws(GraphQLError) -> Row {
        _ = try builder.request.filter(.insert, object)
        try builder.request.allow(inputs: data, "_mut_input_data", of: object)
        let stamps = stamps.stamped(with: builder.request.stamps(.insert, object))
        let data = data.stamped(with: stamps)
        var columns = keys
        var lists: [(Navigation, [PlanObject])] = []
        for (name, value) in data where object.column(name) == nil && !value.isNull {
            guard let navigation = object.navigation(name), navigation.isInsertable else {
                throw GraphQLError("\"\(name)\" cannot be inserted into \"\(object.name)\".")
            }
            if navigation.isList {
                lists.append((navigation, value.asArray?.compactMap(\.asObject) ?? []))
            } else if case .fields(let pairs, _) = navigation.path {
                let parent = try add(value.asObject ?? [:], to: builder.request.object(navigation.target), [])
                for pair in pairs { columns.append((pair.near, try given(pair.far, of: parent))) }
            }
        }
        // A related row that the request brings does not decide what a rule does.
        columns.removeAll { stamps[$0.column] != nil }
        for (name, value) in data where object.column(name) != nil && !columns.contains(where: { $0.column == name }) {
            columns.append((name, try builder.stored(value, try builder.field(name, of: object))))
        }
        for field in object.columns where !columns.contains(where: { $0.column == field.name }) {
            if let expression = field.defaults?.insertExpression {
                columns.append((field.name, try builder.expression(expression, data, object)))
            } else if let sequence = field.defaults?.sequence, builder.engine != .sqlite {
                let name = SQLFragment.value(.string(sequence), as: .string)
                columns.append((field.name, builder.engine == .postgreSQL ? "nextval((\(name))::regclass)" : "nextval(\(name))"))
            }
        }
        let row = Row(name: .identifier("row\(parts.count + 1)"), object: object)
        try insert(columns, row)
        for (navigation, items) in lists {
            for item in items { try add(item, along: navigation, from: row) }
        }
        return row
    }

    private mutating func add(_ item: PlanObject, along navigation: Navigation, from row: Row) throws(GraphQLError) {
        let target = try builder.request.object(navigation.target)
        switch navigation.path {
        case .fields(let pairs, _):
            var keys: [(column: String, value: SQLFragment)] = []
            for pair in pairs { keys.append((pair.far, try given(pair.near, of: row))) }
            _ = try add(item, to: target, keys)
        case .junction(let name, let near, let far):
            let other = try add(item, to: target, [])
            let junction = Row(name: .identifier("row\(parts.count + 1)"), object: try builder.request.object(name))
            var columns: [(column: String, value: SQLFragment)] = []
            for pair in near { columns.append((pair.far, try given(pair.near, of: row))) }
            for pair in far { columns.append((pair.near, try given(pair.far, of: other))) }
            try insert(columns, junction)
        }
    }

    /// What another row got in a column.
    private func given(_ field: String, of row: Row) throws(GraphQLError) -> SQLFragment {
        let column = builder.column(try builder.field(field, of: row.object), alias: row.name)
        return "(SELECT \(column) FROM \(row.name))"
    }

    private mutating func insert(_ columns: [(column: String, value: SQLFragment)], _ row: Row) throws(GraphQLError) {
        let table = SQLFragment.path(row.object.relation)
        guard !columns.isEmpty else { return parts.append((row.name, "INSERT INTO \(table) DEFAULT VALUES")) }
        var names: [SQLFragment] = []
        for (column, _) in columns {
            names.append(.identifier(try builder.field(column, of: row.object).storedColumn ?? column))
        }
        parts.append(
            (
                row.name,
                "INSERT INTO \(table) (\(names.joined(separator: ", "))) VALUES (\(columns.map(\.value).joined(separator: ", ")))"
            ))
    }

    /// The whole statement, which tells columns of a row.
    func sql(telling columns: [SQLFragment], of row: Row) throws(GraphQLError) -> SQLFragment {
        if builder.engine == .postgreSQL {
            let all = parts.map { "\($0.name) AS (\($0.sql) RETURNING *)" as SQLFragment }.joined(separator: ", ")
            let told: SQLFragment = columns == ["1"] ? "count(*)" : columns.joined(separator: ", ")
            return "WITH \(all) SELECT \(told) FROM \(row.name)"
        }
        guard parts.count == 1 else {
            throw GraphQLError("Related rows are inserted together by PostgreSQL alone; insert them one by one.")
        }
        if columns == ["1"] { return parts[0].sql }
        let names = row.object.primaryKey.compactMap(\.storedColumn).map { SQLFragment.identifier($0) }
        return "\(parts[0].sql) RETURNING \(names.joined(separator: ", "))"
    }
}

extension SQLFragment {
    /// Whether it tells a number by itself.
    fileprivate var isWith: Bool { text.hasPrefix("WITH") }
}
