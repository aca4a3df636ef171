internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// A part of a result: how many rows, from where.
struct Page {
    var limit: SQLFragment?
    var offset: SQLFragment?

    var clause: SQLFragment {
        var clause = SQLFragment()
        if let limit { clause.append(" LIMIT \(limit)") }
        if let offset { clause.append(" OFFSET \(offset)") }
        return clause
    }
}

/// Which rows of an object are meant, and in which order.
struct RowSet {
    var condition: SQLFragment?
    var order: [SQLFragment] = []
    var page = Page()
    var distinct: [SQLFragment] = []

    var limit: SQLFragment? {
        get { page.limit }
        set { page.limit = newValue }
    }
    var isDistinct: Bool { !distinct.isEmpty }
    /// Whether which rows there are depends on other rows.
    var isRestricting: Bool { page.limit != nil || page.offset != nil || isDistinct }

    mutating func require(_ conditions: [SQLFragment]?) {
        for condition in conditions ?? [] {
            if self.condition == nil {
                self.condition = condition
            } else {
                self.condition?.append(" AND ")
                self.condition?.append(condition)
            }
        }
    }
}

/// Relations as the FROM of a statement needs them.
extension StatementBuilder {
    /// What the arguments of a list say of all its rows.
    func rowSet(_ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> RowSet {
        var set = RowSet(condition: try condition(use, scope))
        set.order = try order(use.given("order_by"), scope, use)
        set.page = try limit(use, prefix: "")
        for name in use.given("distinct_on")?.asArray ?? [] {
            let field = try field(name.asString ?? "", of: scope.object)
            try request.allow(field.name, of: scope.object)
            set.distinct.append(column(field, of: scope))
        }
        if !hasPoints, use.given("similarity") != nil || use.given("semantic") != nil {
            throw GraphQLError("Data source \"\(source)\" does not search by similarity yet; order by a distance instead.")
        }
        return set
    }

    func limit(_ use: FieldUse, prefix: String) throws(GraphQLError) -> Page {
        Page(limit: try use.count(prefix + "limit"), offset: try use.count(prefix + "offset"))
    }

    func condition(_ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> SQLFragment? {
        if hasPoints { return try scoreCondition(use, scope) }
        let asked = try use.given("filter")?.asObject.flatMap { filter throws(GraphQLError) in try condition(filter, scope.row) }
        guard let rule = request.filter(of: use.field.name, on: use.parent) else { return asked }
        return Self.both(asked, try self.rule(rule, scope.row))
    }

    struct Source {
        var source: SQLFragment
        var condition: SQLFragment?
        var whereClause: SQLFragment { condition.map { " WHERE \($0)" } ?? SQLFragment() }
    }

    /// The rows of a set, under the scope's alias. Restricted: as a subquery, in which the set's rows are counted.
    func from(_ scope: Scope, _ set: RowSet, _ use: FieldUse?, isRestricted: Bool) throws(GraphQLError) -> Source {
        let alias = scope.alias
        let rows = try "\(relation(scope.object, use, isNumbered: scope.isNumbered, of: set)) AS \(alias)" as SQLFragment
        guard isRestricted else { return Source(source: rows, condition: set.condition) }
        var inner = Source(source: rows, condition: set.condition)
        if set.isDistinct {
            let number: SQLFragment =
                "row_number() OVER (PARTITION BY \(set.distinct.joined(separator: ", "))\(Self.clause(" ORDER BY ", set.order)))"
            inner = Source(
                source: "(SELECT \(alias).*, \(number) AS \"#first\" FROM \(inner.source)\(inner.whereClause)) AS \(alias)",
                condition: "\(alias).\"#first\" = 1")
        }
        var sql: SQLFragment = "SELECT \(alias).* FROM \(inner.source)\(inner.whereClause)"
        sql.append(Self.clause(" ORDER BY ", set.order))
        sql.append(set.page.clause)
        return Source(source: "(\(sql)) AS \(alias)")
    }

    /// What stands for an object in a FROM: a table's name; a subquery where the schema says more about it. `set`: which of its rows are meant.
    func relation(
        _ object: DataObject, _ use: FieldUse?, isNumbered: Bool = false, of set: RowSet? = nil
    ) throws(GraphQLError) -> SQLFragment {
        var base = try table(object, use)
        if case .view(let sql?) = object.kind {
            base = "(\(try template(sql, parameters(of: object, use))))"
        } else if hasPoints {
            base = try points(object, use, set)
        } else if let arguments = object.arguments {
            var values: [SQLFragment] = []
            for parameter in arguments.parameters { values.append(try argument(parameter, use)) }
            base = "\(base)(\(values.joined(separator: ", ")))"
        }
        var extra: [SQLFragment] = []
        for field in object.fields {
            guard case .computed(let sql) = field.kind else { continue }
            let expression = try template(sql) { name throws(GraphQLError) in
                object.column(name).flatMap(\.storedColumn).map { .identifier($0) }
            }
            extra.append("(\(expression)) AS \(.identifier(Self.computed(field)))")
        }
        if isNumbered { extra.append("row_number() OVER () AS \(.identifier(Self.rowNumber))") }
        let isDeletedShown = use.map { request.hasDirective("with_deleted", $0.field) } ?? false
        let condition = isDeletedShown ? nil : object.softDelete.map { SQLFragment.written(byAuthor: $0.condition) }
        let rule = try request.filter(.query, object)
        if extra.isEmpty, condition == nil, rule == nil { return base }
        let columns = (["*"] + extra).joined(separator: ", ")
        let rows: SQLFragment = "(SELECT \(columns) FROM \(base) AS \"s\"\(condition.map { " WHERE \($0)" } ?? SQLFragment()))"
        return try restricted(extra.isEmpty && condition == nil ? base : rows, object, rule)
    }

    /// The table itself; where `@at` names a version or a time, as it was then.
    private func table(_ object: DataObject, _ use: FieldUse?) throws(GraphQLError) -> SQLFragment {
        let table = SQLFragment.path(object.relation)
        guard let use, let moment = try request.directive("at", on: use.field) else { return table }
        func refused(_ why: String) -> GraphQLError {
            GraphQLError("\"\(use.field.name)\" cannot be asked for @at a version or time: \(why).")
        }
        guard request.model.sources[object.source]?.hasHistory == true else {
            throw refused("data source \"\(object.source)\" has its rows of now alone; those of type ducklake have older ones")
        }
        guard object.kind == .table else { throw refused("\"\(object.name)\" is a view") }
        // DuckDB takes no parameters here: the plan serves requests with these values alone.
        switch (moment["version"]?.json ?? .null, moment["timestamp"]?.json ?? .null) {
        case (.integer(let version), .null): return "(SELECT * FROM \(table) AT (VERSION => \(.integer(Int(version)))))"
        case (.null, .string(let time)):
            guard let literal = SQLFragment.time(time) else { throw refused("\"\(time)\" is no time such as 2026-01-31T12:00:00Z") }
            return "(SELECT * FROM \(table) AT (TIMESTAMP => \(literal)))"
        default: throw refused("give it a version or a timestamp")
        }
    }

    /// The rows of a relation that a rule lets through. Whatever asks for rows of the object asks here.
    func restricted(_ relation: SQLFragment, _ object: DataObject, _ rule: PlanObject?) throws(GraphQLError) -> SQLFragment {
        guard let rule else { return relation }
        let row = AliasedRow(object: object, alias: request.record.alias())
        guard let condition = try self.rule(rule, row) else { return relation }
        return "(SELECT \(row.alias).* FROM \(relation) AS \(row.alias) WHERE \(condition))"
    }

    /// A rule's filter as a condition; its author sees all rows and columns.
    func rule(_ filter: PlanObject, _ row: AliasedRow) throws(GraphQLError) -> SQLFragment? {
        // Points that it does not let through are not asked for.
        if hasPoints { return nil }
        return try request.record.inRule { () throws(GraphQLError) in try condition(filter, row) }
    }

    static func both(_ one: SQLFragment?, _ other: SQLFragment?) -> SQLFragment? {
        guard let one, let other else { return one ?? other }
        return "(\(one)) AND (\(other))"
    }

    // MARK: What authors write

    /// The arguments of a view as its SQL names them: `[$min_price]`.
    private func parameters(of object: DataObject, _ use: FieldUse?) -> (String) throws(GraphQLError) -> SQLFragment? {
        { name throws(GraphQLError) in
            guard let parameter = object.arguments?.parameters.first(where: { "$\($0.name)" == name }) else { return nil }
            return try value(of: parameter, use?.arguments["args"]?.asObject ?? [:])
        }
    }

    private func argument(_ parameter: Parameter, _ use: FieldUse?) throws(GraphQLError) -> SQLFragment {
        let value = try value(of: parameter, use?.arguments["args"]?.asObject ?? [:])
        return parameter.sqlName.map { "\(.identifier($0)) => \(value)" } ?? value
    }

    /// The value that a request gives to a parameter, or that the server does.
    func value(of parameter: Parameter, _ arguments: PlanObject) throws(GraphQLError) -> SQLFragment {
        if let placeholder = parameter.injected { return try template(placeholder) { _ throws(GraphQLError) in nil } }
        let value = arguments[parameter.name] ?? .known(.null)
        switch parameter.type {
        case .scalar(let scalar): return .value(value, as: scalar, form: scalar == .json || scalar == .vector ? .json : .plain)
        case .list, .enumeration: return .value(value)
        default: return .value(value, form: .json)
        }
    }

    /// SQL of the schema's author with what it names in brackets put in: `[name]` as `resolve` says, `[$auth.…]` and `[$catalog]` from the
    /// request. What nobody knows stays as it is: brackets are SQL, too.
    func template(
        _ text: String, _ resolve: (String) throws(GraphQLError) -> SQLFragment?
    ) throws(GraphQLError) -> SQLFragment {
        var result = SQLFragment()
        var rest = text[...]
        while let open = rest.firstIndex(of: "["), let close = rest[open...].firstIndex(of: "]") {
            result.append(.written(byAuthor: String(rest[..<open])))
            let name = String(rest[rest.index(after: open)..<close])
            if let known = try resolve(name) {
                result.append(known)
            } else if name == "$catalog" {
                result.append(.value(.string(source), as: .string))
            } else if name.hasPrefix("$auth.") {
                result.append(identity(String(name.dropFirst())))
            } else {
                result.append(.written(byAuthor: String(rest[open...close])))
            }
            rest = rest[rest.index(after: close)...]
        }
        result.append(.written(byAuthor: String(rest)))
        return result
    }

    /// Null for what the request's identity does not have.
    private func identity(_ name: String) -> SQLFragment {
        .value(PlanValue.identity(name), as: request.record.isNumber(name) ? .bigInt : .string)
    }
}

extension RequestContext {
    /// The arguments of a directive; nil where the field does not have it.
    func directive(_ name: String, on field: CollectedField) throws(GraphQLError) -> PlanObject? {
        let document = collector.document
        for node in field.nodes {
            guard let directive = document.directives(of: node).first(where: { document.name(of: $0) == name }),
                let definition = planner.api.schema.directive(name)
            else { continue }
            return PlanObject(
                try planner.api.schema.arguments(definition.arguments, of: directive, in: document, variables: collector.variables), record)
        }
        return nil
    }

    func hasDirective(_ name: String, _ field: CollectedField) -> Bool {
        field.nodes.contains { node in collector.document.directives(of: node).contains { collector.document.name(of: $0) == name } }
    }
}
