internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Insertions of one row or several, with related rows: each is one statement. What an insertion tells is read by the new rows' keys, in the
/// same transaction.
extension StatementBuilder {
    static func insert(_ object: DataObject, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        try refuseSummary(use)
        return try insert([use.arguments["data"]?.asObject ?? [:]], into: object, use, request, result: .one)
    }

    static func insertMany(_ object: DataObject, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        // Whoever may not insert one row may not insert several.
        try request.allow("insert_\(object.queryName)", on: use.parent)
        let rows = use.arguments["data"]?.asArray?.map { $0.asObject ?? [:] } ?? []
        return try insert(rows, into: object, use, request, result: .list)
    }

    private static func insert(
        _ data: [PlanObject], into object: DataObject, _ use: FieldUse, _ request: RequestContext, result: RowShape.Result
    ) throws(GraphQLError) -> StatementPlan {
        var builder = try StatementBuilder(request, source: object.source)
        let stamps = request.stamps(of: "insert_\(object.queryName)", on: use.parent)
            .stamped(with: request.stamps(of: use.field.name, on: use.parent))
        let conflict = try builder.conflict(object, use)
        var insertion = Insertion(builder: builder)
        let rows = try insertion.add(data, to: object, stamps, conflict)
        let tellsRow = !object.primaryKey.isEmpty && !object.isJunction
        builder.beginLevel()
        guard tellsRow else { return try builder.changes(insertion.sql(counting: rows, object), use) }
        let key = object.primaryKey.map(\.name)
        let itself = Navigation(joining: object.name, by: .fields(key.map { Navigation.Pair(near: $0, far: $0) }, condition: nil))
        let scope = Scope(number: 0, object: object, alias: Insertion.told, level: 0)
        builder.levels[0].item = try builder.batch(itself, use, scope, result: .one)
        // The columns of the statement are those of the key, under one name for all rows.
        let plan = try builder.plan(try insertion.sql(telling: builder.key(of: scope), of: rows, object), result: result)
        return plan.with { $0.isMutation = true }
    }
}

/// What becomes of a row that is there already.
struct Conflict {
    /// Of the row that is there.
    var alias: SQLFragment
    /// Behind the values.
    var clause: SQLFragment
}

extension StatementBuilder {
    /// A row that is changed instead is bound by what binds updates: rules about the object's updates, about its input fields, and about the
    /// field that updates it.
    fileprivate mutating func conflict(_ object: DataObject, _ use: FieldUse) throws(GraphQLError) -> Conflict? {
        guard let asked = use.given("on_conflict")?.asObject else { return nil }
        let name = asked["constraint"]?.asString
        guard let key = object.conflictKeys.first(where: { $0.name == name }) else {
            throw GraphQLError("\"\(object.name)\" has no constraint \"\(name ?? "")\".")
        }
        var target: [SQLFragment] = []
        for field in key.fields { target.append(.identifier(try self.field(field, of: object).storedColumn ?? field)) }
        let scope = self.scope(object, level: 0)
        let start: SQLFragment = " ON CONFLICT (\(target.joined(separator: ", "))) DO "
        let updated = asked["update_columns"]?.asArray?.compactMap(\.asString) ?? []
        guard !updated.isEmpty else { return Conflict(alias: scope.alias, clause: "\(start)NOTHING") }

        let update = "update_\(object.queryName)"
        try request.allow(update, on: use.parent)
        try request.allow(inputs: PlanObject(updated.map { ($0, .known(.null)) }), "_mut_data", of: object)
        let stamps = request.stamps(of: update, on: use.parent).stamped(with: request.stamps(.update, object))
        func proposed(_ field: DataField) -> SQLFragment { "excluded.\(.identifier(field.storedColumn ?? field.name))" }
        var assignments: [SQLFragment] = []
        for field in object.columns {
            guard let column = field.storedColumn else { continue }
            let value: SQLFragment
            if let stamp = stamps[field.name] {
                value = try stored(stamp, field)
            } else if updated.contains(field.name) {
                value = proposed(field)
            } else if let expression = field.defaults?.updateExpression {
                value = try template(expression) { name throws(GraphQLError) in
                    name.hasPrefix("$") ? object.column(String(name.dropFirst())).map(proposed) : nil
                }
            } else {
                continue
            }
            assignments.append("\(.identifier(column)) = \(value)")
        }
        var condition = try asked["where"]?.asObject.flatMap { filter throws(GraphQLError) in try self.condition(filter, scope.row) }
        for filter in [try request.filter(.update, object), request.filter(of: update, on: use.parent)] {
            if let filter { condition = Self.both(condition, try rule(filter, scope.row)) }
        }
        let rows = try rows(that: condition, scope, use)
        let restriction = rows.condition.map { " WHERE \($0)" as SQLFragment } ?? SQLFragment()
        return Conflict(alias: rows.alias, clause: "\(start)UPDATE SET \(assignments.joined(separator: ", "))\(restriction)")
    }
}

/// Rows that are inserted together. On PostgreSQL they are one statement: rows are parts of its WITH, and take the keys of others from there.
/// Constraints are checked when all are there.
private struct Insertion {
    /// What the rows that are told are called.
    static let told: SQLFragment = .identifier("told")

    let builder: StatementBuilder
    private var parts: [(name: SQLFragment, sql: SQLFragment)] = []

    init(builder: StatementBuilder) { self.builder = builder }

    struct Row {
        var name: SQLFragment
        var object: DataObject
    }

    /// A row's own values, and the lists of rows that come with it.
    private struct Prepared {
        var columns: [(column: String, value: SQLFragment)]
        var lists: [(Navigation, [PlanObject])]
    }

    /// `stamps`: what is stored whatever the request says. The parts of the statement that the rows are in.
    mutating func add(
        _ rows: [PlanObject], to object: DataObject, _ stamps: PlanObject, _ conflict: Conflict?
    ) throws(GraphQLError) -> [Row] {
        var prepared: [Prepared] = []
        for row in rows {
            if conflict != nil, let related = row.members.first(where: { object.column($0.key) == nil && !$0.value.isNull }) {
                throw GraphQLError(
                    "\"\(related.key)\" cannot be inserted beside \"on_conflict\": a row that is there already has related rows of its own."
                )
            }
            prepared.append(try prepare(row, object, [], stamps))
        }
        if rows.count > 1, prepared.allSatisfy(\.lists.isEmpty) { return [try insert(together: prepared, object, conflict)] }
        var names: [Row] = []
        for row in prepared { names.append(try insert(row, object, conflict)) }
        return names
    }

    /// `keys`: columns whose values come from other rows.
    private mutating func prepare(
        _ data: PlanObject, _ object: DataObject, _ keys: [(column: String, value: SQLFragment)], _ stamps: PlanObject
    ) throws(GraphQLError) -> Prepared {
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
        return Prepared(columns: columns, lists: lists)
    }

    private mutating func add(
        _ data: PlanObject, to object: DataObject, _ keys: [(column: String, value: SQLFragment)]
    ) throws(GraphQLError) -> Row {
        try insert(try prepare(data, object, keys, [:]), object, nil)
    }

    private mutating func insert(_ prepared: Prepared, _ object: DataObject, _ conflict: Conflict?) throws(GraphQLError) -> Row {
        let row = nextRow(object)
        try insert(prepared.columns, row, conflict)
        for (navigation, items) in prepared.lists {
            for item in items { try add(item, along: navigation, from: row) }
        }
        return row
    }

    private func nextRow(_ object: DataObject) -> Row { Row(name: .identifier("row\(parts.count + 1)"), object: object) }

    private mutating func add(_ item: PlanObject, along navigation: Navigation, from row: Row) throws(GraphQLError) {
        let target = try builder.request.object(navigation.target)
        switch navigation.path {
        case .fields(let pairs, _):
            var keys: [(column: String, value: SQLFragment)] = []
            for pair in pairs { keys.append((pair.far, try given(pair.near, of: row))) }
            _ = try add(item, to: target, keys)
        case .junction(let name, let near, let far):
            let other = try add(item, to: target, [])
            var columns: [(column: String, value: SQLFragment)] = []
            for pair in near { columns.append((pair.far, try given(pair.near, of: row))) }
            for pair in far { columns.append((pair.near, try given(pair.far, of: other))) }
            // Rules about its rows hold though the request does not name it.
            _ = try add([:], to: builder.request.object(name), columns)
        }
    }

    /// What another row got in a column.
    private func given(_ field: String, of row: Row) throws(GraphQLError) -> SQLFragment {
        let column = builder.column(try builder.field(field, of: row.object), alias: row.name)
        return "(SELECT \(column) FROM \(row.name))"
    }

    private func table(_ object: DataObject, _ conflict: Conflict?) -> SQLFragment {
        conflict.map { "\(.path(object.relation)) AS \($0.alias)" } ?? .path(object.relation)
    }

    private mutating func insert(
        _ columns: [(column: String, value: SQLFragment)], _ row: Row, _ conflict: Conflict?
    ) throws(GraphQLError) {
        let clause = conflict?.clause ?? SQLFragment()
        let table = table(row.object, conflict)
        guard !columns.isEmpty else { return parts.append((row.name, "INSERT INTO \(table) DEFAULT VALUES\(clause)")) }
        var names: [SQLFragment] = []
        for (column, _) in columns { names.append(try name(of: column, row.object)) }
        parts.append(
            (
                row.name,
                "INSERT INTO \(table) (\(names.joined(separator: ", "))) VALUES (\(columns.map(\.value).joined(separator: ", ")))\(clause)"
            ))
    }

    private func name(of column: String, _ object: DataObject) throws(GraphQLError) -> SQLFragment {
        .identifier(try builder.field(column, of: object).storedColumn ?? column)
    }

    /// Rows of one list of values: what one of them does not say is the column's default.
    private mutating func insert(together rows: [Prepared], _ object: DataObject, _ conflict: Conflict?) throws(GraphQLError) -> Row {
        var columns: [String] = []
        for row in rows { for (column, _) in row.columns where !columns.contains(column) { columns.append(column) } }
        guard !columns.isEmpty else { throw GraphQLError("Argument \"data\" has several rows, and none of them says anything.") }
        var values: [SQLFragment] = []
        for row in rows {
            var own: [SQLFragment] = []
            for column in columns {
                if let value = row.columns.first(where: { $0.column == column })?.value {
                    own.append(value)
                } else if builder.engine == .sqlite {
                    throw GraphQLError(
                        "SQLite inserts rows together where all of them give the same fields, and \"\(column)\" is missing in one.")
                } else {
                    own.append("DEFAULT")
                }
            }
            values.append("(\(own.joined(separator: ", ")))")
        }
        var names: [SQLFragment] = []
        for column in columns { names.append(try name(of: column, object)) }
        let row = nextRow(object)
        let clause = conflict?.clause ?? SQLFragment()
        parts.append(
            (
                row.name,
                "INSERT INTO \(table(object, conflict)) (\(names.joined(separator: ", "))) VALUES \(values.joined(separator: ", "))\(clause)"
            ))
        return row
    }

    // MARK: The statement

    private var with: SQLFragment { "WITH \(parts.map { "\($0.name) AS (\($0.sql) RETURNING *)" as SQLFragment }.joined(separator: ", "))" }

    private func onlyPart() throws(GraphQLError) -> SQLFragment {
        guard parts.count == 1 else {
            throw GraphQLError("Related rows are inserted together by PostgreSQL alone; insert them one by one.")
        }
        return parts[0].sql
    }

    /// The whole statement, which tells `columns`, of `told`, of the rows.
    func sql(telling columns: [SQLFragment], of rows: [Row], _ object: DataObject) throws(GraphQLError) -> SQLFragment {
        guard !rows.isEmpty else { return "SELECT \(columns.map { _ in "NULL" as SQLFragment }.joined(separator: ", ")) WHERE 1 = 0" }
        guard builder.engine == .postgreSQL else {
            let names = object.primaryKey.compactMap(\.storedColumn).map { SQLFragment.identifier($0) }
            return "\(try onlyPart()) RETURNING \(names.joined(separator: ", "))"
        }
        let selections = rows.map { "SELECT \(columns.joined(separator: ", ")) FROM \($0.name) AS \(Self.told)" as SQLFragment }
        return "\(with) \(selections.joined(separator: " UNION ALL "))"
    }

    /// The same for rows that have no key to be told by.
    func sql(counting rows: [Row], _ object: DataObject) throws(GraphQLError) -> SQLFragment {
        guard !rows.isEmpty else { return "WITH \(Self.told) AS (SELECT 1 WHERE 1 = 0) SELECT count(*) FROM \(Self.told)" }
        guard builder.engine == .postgreSQL else { return try onlyPart() }
        if rows.count == 1 { return "\(with) SELECT count(*) FROM \(rows[0].name)" }
        return "\(with) SELECT \(rows.map { "(SELECT count(*) FROM \($0.name))" as SQLFragment }.joined(separator: " + "))"
    }
}
