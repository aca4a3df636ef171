internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Aggregations, of all rows or of buckets.
extension StatementBuilder {
    /// The fields of an aggregation: one column for each function. `filter` says which of the scope's rows count.
    mutating func aggregates(
        _ fields: [CollectedField], _ type: NamedType, _ scope: Scope, filter: SQLFragment? = nil
    ) throws(GraphQLError) -> [Shape.Member] {
        var members: [Shape.Member] = []
        for field in fields {
            let use = try request.use(of: field, on: type)
            let shape: Shape
            if field.name == "__typename" {
                shape = .text(JSONText.quoted(type.name))
            } else if field.name == "_rows_count" {
                shape = .value(column: select.column("count(*)\(Self.filter(filter))"), .count)
            } else {
                do throws(GraphQLError) {
                    shape = try aggregate(use, scope, filter)
                } catch {
                    throw request.located(error, field, [field.responseKey])
                }
            }
            members.append(Shape.Member(field.responseKey, shape))
        }
        return members
    }

    private mutating func aggregate(_ use: FieldUse, _ scope: Scope, _ filter: SQLFragment?) throws(GraphQLError) -> Shape {
        let name = use.field.name
        try request.allow(name, of: scope.object)
        switch scope.object.member(name) {
        case .field(let field): return try functions(use, field.type, column(field, of: scope), scope.order, filter)
        case .derived(let derived, let field):
            try request.allow(field.name, of: scope.object)
            return try functions(use, .scalar(derived.scalar), try self.derived(derived, field, use, scope), scope.order, filter)
        case .navigation(let navigation) where !navigation.isList:
            let target = try request.object(navigation.target)
            guard isHere(target) else { throw GraphQLError("\"\(name)\" is in another data source; aggregate it there.") }
            var inner = self.scope(target, level: scope.level)
            inner.order = scope.order
            let slot = select.reserveJoin(max(scope.level, 0))
            try joinOne(navigation, nil, scope, inner, slot)
            return .object(try aggregates(use.fields, use.type, inner, filter: filter), presence: nil)
        case .aggregation(let navigation): return try aggregateAgain(navigation, use, scope, filter)
        default: throw GraphQLError("Field \"\(name)\" of an aggregation is not planned yet.")
        }
    }

    /// `price { sum avg }`: the functions of one column.
    private mutating func functions(
        _ use: FieldUse, _ type: DataType, _ expression: SQLFragment, _ order: RowOrder, _ filter: SQLFragment?
    ) throws(GraphQLError) -> Shape {
        if case .structure(let name) = type { return try structureFunctions(name, use, expression, order, filter) }
        guard case .scalar(let scalar) = type else { throw GraphQLError("\"\(use.field.name)\" cannot be aggregated.") }
        let (value, _) = scalar == .json ? (expression, .json) : try scalarValue(expression, scalar, use)
        var members: [Shape.Member] = []
        for field in use.fields {
            guard let function = AggregateFunction(rawValue: field.name) else {
                members.append(Shape.Member(field.responseKey, .text(JSONText.quoted(use.type.name))))
                continue
            }
            let arguments = try request.use(of: field, on: use.type).arguments
            // Those that make a geometry of geometries tell it themselves.
            let isMade = [.intersection, .union, .extent].contains(function)
            let (aggregate, format) = try aggregate(function, arguments, isMade ? expression : value, scalar, order, filter)
            members.append(Shape.Member(field.responseKey, .value(column: select.column(aggregate), format)))
        }
        return .object(members, presence: nil)
    }

    /// `specs { ram_gb { sum } }`: the functions of a struct's members.
    private mutating func structureFunctions(
        _ name: String, _ use: FieldUse, _ expression: SQLFragment, _ order: RowOrder, _ filter: SQLFragment?
    ) throws(GraphQLError) -> Shape {
        var members: [Shape.Member] = []
        for field in use.fields {
            let shape: Shape
            if let member = request.model.structures[name]?.field(field.name) {
                let path = [member.storedColumn ?? member.name]
                let value =
                    if case .scalar(let scalar) = member.type {
                        structText(expression, path, scalar)
                    } else {
                        structJSON(expression, path)
                    }
                shape = try functions(try request.use(of: field, on: use.type), member.type, value, order, filter)
            } else if field.name == "_rows_count" {
                shape = .value(column: select.column("count(*)\(Self.filter(filter))"), .count)
            } else {
                shape = .text(JSONText.quoted(use.type.name))
            }
            members.append(Shape.Member(field.responseKey, shape))
        }
        return .object(members, presence: nil)
    }

    private static func filter(_ filter: SQLFragment?) -> SQLFragment { filter.map { " FILTER (WHERE \($0))" } ?? SQLFragment() }

    /// One aggregate function of an expression.
    func aggregate(
        _ function: AggregateFunction, _ arguments: PlanObject, _ expression: SQLFragment, _ scalar: ScalarType,
        _ order: RowOrder = .any, _ filter: SQLFragment? = nil
    ) throws(GraphQLError) -> (expression: SQLFragment, format: ValueFormat) {
        let only = Self.filter(filter)
        var value = expression
        var format = scalar.format
        if scalar == .json { (value, format) = jsonValue(expression, function, arguments["path"]?.asString) }
        let isDistinct = arguments["distinct"]?.asBool == true
        let distinct: SQLFragment = isDistinct ? "DISTINCT " : ""
        switch function {
        case .count: return ("count(\(value))\(only)", .count)
        case .sum:
            let sum: SQLFragment = "sum(\(part(of: value, scalar)))\(only)"
            // A sum of whole numbers is one, also where they were shared out.
            return (divisor != nil && scalar.isWhole ? "round(\(sum))::bigint" : sum, format)
        case .avg: return (engine.cast("avg(\(part(of: value, scalar)))\(only)", to: .float), .number)
        case .min: return ("min(\(value))\(only)", format)
        case .max: return ("max(\(value))\(only)", format)
        case .and, .or:
            guard engine != .sqlite else { return (function == .and ? "min(\(value))\(only)" : "max(\(value))\(only)", .boolean) }
            return (function == .and ? "bool_and(\(value))\(only)" : "bool_or(\(value))\(only)", .boolean)
        case .stringAggregate:
            let separator = SQLFragment.value(arguments["sep"] ?? .known(""), as: .string)
            let text: SQLFragment = engine == .sqlite ? "CAST(\(value) AS TEXT)" : "(\(value))::text"
            let by = try ordering(order, of: text, value, isDistinct)
            guard engine == .sqlite else { return ("string_agg(\(distinct)\(text), \(separator)\(by))\(only)", .text) }
            // group_concat with DISTINCT has no separator.
            let texts: SQLFragment = "json_group_array(DISTINCT \(text))\(Self.filter(Self.all(filter, "\(value) IS NOT NULL")))"
            return isDistinct
                ? ("(SELECT group_concat(\"value\", \(separator)) FROM json_each(\(texts)))", .text)
                : ("group_concat(\(text), \(separator))\(only)", .text)
        case .list:
            let by = try ordering(order, of: value, value, isDistinct)
            switch engine {
            case .postgreSQL where scalar == .geometry:
                // Its JSON is part of the list's. That of PostgreSQL's binary kind alone can be told from another.
                return (isDistinct ? "json_agg(DISTINCT (\(value))::jsonb)\(only)" : "json_agg((\(value))::json\(by))\(only)", .json)
            case .postgreSQL: return ("json_agg(\(distinct)\(value)\(by))\(only)", format.list)
            case .sqlite:
                let element: SQLFragment = scalar == .json ? "json(\(value))" : value
                let list: SQLFragment = "json_group_array(\(distinct)\(element))\(only)"
                // Without rows it is null, as elsewhere.
                return ("CASE WHEN count(*)\(only) > 0 THEN \(list) END", format.list)
            case .duckDB: return ("to_json(list(\(distinct)\(value)\(by))\(only))", format.list)
            }
        case .any:
            switch engine {
            case .postgreSQL: return ("(array_agg(\(value)\(try ordering(order, of: value, value)))\(only))[1]", format)
            case .sqlite: return ("max(\(value))\(only)", format)
            case .duckDB: return ("any_value(\(value)\(try ordering(order, of: value, value)))\(only)", format)
            }
        case .last:
            let by = try ordering(order, of: value, value)
            switch engine {
            case .postgreSQL: return ("(array_agg(\(value)\(by))\(only))[count(*)\(only)]", format)
            case .sqlite: throw GraphQLError("SQLite knows no last value; ask for max.")
            case .duckDB: return ("last(\(value)\(by))\(only)", format)
            }
        case .intersection, .union, .extent:
            let shape: SQLFragment =
                switch function {
                case .union: "ST_Union(\(value))\(only)"
                case .extent: "(ST_Extent(\(value))\(only))::geometry"
                default: throw GraphQLError("PostGIS has no aggregate that intersects geometries.")
                }
            return ("ST_AsGeoJSON(\(shape))", .json)
        }
    }

    /// A value, shared out where it belongs to several cells.
    private func part(of value: SQLFragment, _ scalar: ScalarType) -> SQLFragment {
        guard let divisor else { return value }
        return scalar.isWhole ? "(\(value))::numeric / \(divisor)" : "(\(value)) / \(divisor)"
    }

    /// What a function sees of JSON at a path: JSON for those that pass values on, else a text, a number or a truth value.
    private func jsonValue(
        _ expression: SQLFragment, _ function: AggregateFunction, _ path: String?
    ) -> (value: SQLFragment, format: ValueFormat) {
        let text = engine.text(at: path ?? "", of: expression)
        switch function {
        case .sum, .avg, .min, .max: return (engine.cast(text, to: .float), .number)
        case .and, .or: return (engine.cast(text, to: .boolean), .boolean)
        case .stringAggregate, .count: return (text, .text)
        default: return (engine.json(at: path ?? "", of: expression), .json)
        }
    }

    /// The order in which a function takes its values. Those that are taken once each come in the order of their values.
    private func ordering(
        _ order: RowOrder, of taken: SQLFragment, _ value: SQLFragment, _ isDistinct: Bool = false
    ) throws(GraphQLError) -> SQLFragment {
        switch order {
        case .any, .given: return SQLFragment()
        case .impossible: throw GraphQLError("SQLite cannot order the rows of each group; drop the order, or aggregate all rows.")
        case .by(let terms):
            guard isDistinct else { return Self.clause(" ORDER BY ", terms) }
            return terms == ["\(value) DESC"] ? " ORDER BY \(taken) DESC" : " ORDER BY \(taken)"
        }
    }

    private static func all(_ filter: SQLFragment?, _ condition: SQLFragment) -> SQLFragment {
        filter.map { "(\($0)) AND \(condition)" } ?? condition
    }

    // MARK: Of related rows

    /// What the related rows of each row come to.
    mutating func aggregation(_ navigation: Navigation, _ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> Shape {
        let target = try request.object(navigation.target)
        guard isHere(target) else { return try batchAggregation(navigation, use, scope) }
        let (alias, shape) = try joinAggregation(navigation, use, scope) { builder, inner throws(GraphQLError) in
            .object(try builder.aggregates(use.fields, use.type, inner), presence: nil)
        }
        return shape.mapColumns { select.column("\(alias).\(Self.resultName($0))") }
    }

    private static func resultName(_ index: Int) -> SQLFragment { .identifier("#\(index)") }

    /// Joins a subquery that aggregates the related rows of each row, and tells its alias and the shape of its columns.
    private mutating func joinAggregation(
        _ navigation: Navigation, _ use: FieldUse, _ scope: Scope,
        _ columns: (inout StatementBuilder, Scope) throws(GraphQLError) -> Shape
    ) throws(GraphQLError) -> (alias: SQLFragment, shape: Shape) {
        let target = try request.object(navigation.target)
        let slot = select.reserveJoin(max(scope.level, 0))
        let outer = select
        select = Select()
        var inner = self.scope(target, level: -1)
        let set = try nestedSet(use, inner)
        if !set.order.isEmpty { inner.order = engine == .sqlite ? .impossible : .by(set.order) }
        let shape = try columns(&self, inner)
        let inside = select
        select = outer
        let rows = try from(inner, set.rows, use, isRestricted: set.rows.isRestricting)
        let related = try related(navigation, from: scope.row, as: inner.alias, use, rows: rows.source)
        let alias = self.scope(target, level: -1).alias
        let results = inside.columns.enumerated().map { "\($1) AS \(Self.resultName($0))" as SQLFragment }
        let conditions = related.conditions + set.remaining
        if engine.hasLateral {
            var source: SQLFragment = related.source
            var all = related.links.map { "\($0.near) = \($0.far)" as SQLFragment } + conditions
            if set.isPaged {
                var page: SQLFragment = "SELECT \(inner.alias).* FROM \(source)"
                if !all.isEmpty { page.append(" WHERE \(all.joined(separator: " AND "))") }
                page.append(Self.clause(" ORDER BY ", set.order))
                page.append(set.page.clause)
                source = "(\(page)) AS \(inner.alias)"
                all = []
            }
            var sql: SQLFragment = "SELECT \(results.joined(separator: ", ")) FROM \(source)\(inside.joined)"
            if !all.isEmpty { sql.append(" WHERE \(all.joined(separator: " AND "))") }
            select.joins[slot.level][slot.index] = "LEFT JOIN LATERAL (\(sql)) AS \(alias) ON true"
        } else {
            guard !related.links.isEmpty, related.conditions.isEmpty, !set.isPaged else {
                throw GraphQLError("SQLite aggregates related rows by fields alone, and all of each row.")
            }
            let keys = related.links.enumerated().map { "\($1.far) AS \(Self.keyName($0))" as SQLFragment }
            var sql: SQLFragment = "SELECT \((keys + results).joined(separator: ", ")) FROM \(related.source)\(inside.joined)"
            if !conditions.isEmpty { sql.append(" WHERE \(conditions.joined(separator: " AND "))") }
            sql.append(" GROUP BY \(related.links.map(\.far).joined(separator: ", "))")
            let on = related.links.indices.map { "\(related.links[$0].near) = \(alias).\(Self.keyName($0))" as SQLFragment }
            select.joins[slot.level][slot.index] = "LEFT JOIN (\(sql)) AS \(alias) ON \(on.joined(separator: " AND "))"
        }
        return (alias, shape)
    }

    private mutating func batchAggregation(_ navigation: Navigation, _ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> Shape {
        let target = try request.object(navigation.target)
        var builder = try StatementBuilder(request, source: target.source)
        var inner = builder.scope(target, level: 0)
        builder.beginLevel()
        let set = try builder.nestedSet(use, inner)
        if !set.order.isEmpty { inner.order = builder.engine == .sqlite ? .impossible : .by(set.order) }
        guard !set.isPaged else { throw GraphQLError("Rows in another data source are aggregated as they are, without nested_limit.") }
        try builder.want(keysOf: navigation)
        let rows = try builder.from(inner, set.rows, use, isRestricted: set.rows.isRestricting)
        let related = try builder.related(navigation, from: scope.row, as: inner.alias, use, rows: rows.source)
        let keyed = try builder.keyed(related, navigation, from: scope)
        let plan = try builder.aggregation(use, inner, set, keyed, keyCount: related.links.count)
        return try add(plan, related, navigation, scope)
    }

    /// What the rows of each key come to.
    mutating func aggregation(
        _ use: FieldUse, _ inner: Scope, _ set: NestedSet, _ keyed: Keyed, keyCount: Int
    ) throws(GraphQLError) -> StatementPlan {
        let group = select.column(keyed.number)
        let item = Shape.object(try aggregates(use.fields, use.type, inner), presence: nil)
        levels[0].item = item
        var sql: SQLFragment = "\(selectClause) FROM \(keyed.source)\(select.joined)"
        if !set.remaining.isEmpty { sql.append(" WHERE \(set.remaining.joined(separator: " AND "))") }
        sql.append(" GROUP BY \(keyed.number)")
        return try plan(sql, result: .one, group: group, keyCount: keyCount, absent: item.ofNothing)
    }

    /// `orders_aggregation { amount { sum { avg } } }`: first over the related rows of each row, then over all rows.
    private mutating func aggregateAgain(
        _ navigation: Navigation, _ use: FieldUse, _ scope: Scope, _ filter: SQLFragment?
    ) throws(GraphQLError) -> Shape {
        guard isHere(try request.object(navigation.target)) else {
            throw GraphQLError("\"\(use.field.name)\" is in another data source; aggregate it there.")
        }
        var leaves: [RepeatedAggregate] = []
        let (alias, shape) = try joinAggregation(navigation, use, scope) { builder, inner throws(GraphQLError) in
            // What a row comes to is shared out, not each part of it.
            let divisor = builder.divisor
            builder.divisor = nil
            defer { builder.divisor = divisor }
            return try builder.firstAggregates(use, inner, &leaves)
        }
        var values: [Shape] = []
        for leaf in leaves {
            var members: [Shape.Member] = []
            for field in leaf.use.fields {
                guard let function = AggregateFunction(rawValue: field.name) else {
                    members.append(Shape.Member(field.responseKey, .text(JSONText.quoted(leaf.use.type.name))))
                    continue
                }
                let arguments = try request.use(of: field, on: leaf.use.type).arguments
                let column: SQLFragment = "\(alias).\(Self.resultName(leaf.column))"
                let (value, format) = try aggregate(function, arguments, column, leaf.scalar, .any, filter)
                members.append(Shape.Member(field.responseKey, .value(column: select.column(value), format)))
            }
            values.append(.object(members, presence: nil))
        }
        return shape.replacing(values: values)
    }

    /// A function over the related rows of each row: its column, and what is asked of its values.
    private struct RepeatedAggregate {
        var column: Int
        var use: FieldUse
        var scalar: ScalarType
    }

    /// The inner functions as columns. The shape has the numbers of the leaves where values will be.
    private mutating func firstAggregates(
        _ use: FieldUse, _ scope: Scope, _ leaves: inout [RepeatedAggregate]
    ) throws(GraphQLError) -> Shape {
        var members: [Shape.Member] = []
        for field in use.fields {
            let below = try request.use(of: field, on: use.type)
            if field.name == "_rows_count" {
                leaves.append(RepeatedAggregate(column: select.column("count(*)"), use: below, scalar: .bigInt))
                members.append(Shape.Member(field.responseKey, .value(column: leaves.count - 1, .number)))
                continue
            }
            guard let column = scope.object.column(field.name), case .scalar(let scalar) = column.type else {
                throw GraphQLError("Field \"\(field.name)\" of an aggregation of aggregations is not planned yet.")
            }
            try request.allow(field.name, of: scope.object)
            var functions: [Shape.Member] = []
            for inner in below.fields {
                guard let function = AggregateFunction(rawValue: inner.name) else { continue }
                let use = try request.use(of: inner, on: below.type)
                let (value, _) = try aggregate(function, use.arguments, self.column(column, of: scope), scalar, scope.order)
                let result: ScalarType = function == .count ? .bigInt : function == .avg ? .float : scalar
                leaves.append(RepeatedAggregate(column: select.column(value), use: use, scalar: result))
                functions.append(Shape.Member(inner.responseKey, .value(column: leaves.count - 1, .number)))
            }
            members.append(Shape.Member(field.responseKey, .object(functions, presence: nil)))
        }
        return .object(members, presence: nil)
    }

    // MARK: Buckets

    /// A selection of buckets: what its rows are grouped by, and what they come to.
    struct Groups {
        var members: [Shape.Member]
        /// The columns of the key.
        var key: [Int]
        /// Columns by their paths in the reply, for orders.
        var paths: [String: Int]

        /// By the columns' numbers, so that expressions with parameters stay the same.
        var clause: SQLFragment {
            key.isEmpty ? SQLFragment() : " GROUP BY \(key.map { .integer($0 + 1) }.joined(separator: ", "))"
        }
    }

    mutating func groups(_ fields: [CollectedField], _ type: NamedType, _ scope: Scope) throws(GraphQLError) -> Groups {
        var members: [Shape.Member] = []
        var key: Set<Int> = []
        for field in fields {
            let use = try request.use(of: field, on: type)
            let shape: Shape
            switch field.name {
            case "key":
                isGrouping = true
                shape = try object(use.fields, use.type, scope)
                isGrouping = false
                key.formUnion(shape.columns.filter { !ungrouped.contains($0) })
            case "aggregations":
                var rows = scope
                let order = try order(use.given("order_by"), scope, use)
                if !order.isEmpty { rows.order = engine == .sqlite ? .impossible : .by(order) }
                shape = .object(try aggregates(use.fields, use.type, rows, filter: try condition(use, scope)), presence: nil)
            default: shape = .text(JSONText.quoted(type.name))
            }
            members.append(Shape.Member(field.responseKey, shape))
        }
        var paths: [String: Int] = [:]
        Shape.object(members, presence: nil).name(columns: &paths, below: "")
        return Groups(members: members, key: key.sorted(), paths: paths)
    }

    /// The order of buckets: by what is selected of them.
    func groupOrder(_ use: FieldUse, _ groups: Groups, prefix: String = "") throws(GraphQLError) -> [SQLFragment] {
        var terms: [SQLFragment] = []
        for term in use.given(prefix + "order_by")?.asArray ?? [] {
            guard let path = term["field"]?.asString else { continue }
            guard let column = groups.paths[path] else { throw GraphQLError("field \(path) not found or not sortable") }
            let number = SQLFragment.integer(column + 1)
            terms.append(term["direction"]?.asString == "DESC" ? "\(number) DESC" : number)
        }
        return terms
    }

    /// The buckets of the related rows of each row, found by keys.
    mutating func buckets(_ navigation: Navigation, _ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> Shape {
        let target = try request.object(navigation.target)
        var builder = try StatementBuilder(request, source: target.source)
        let inner = builder.scope(target, level: 0)
        builder.beginLevel()
        let related = try builder.related(navigation, from: scope.row, as: inner.alias, use)
        let keyed = try builder.keyed(related, navigation, from: scope)
        let plan = try builder.buckets(use, inner, keyed, keyCount: related.links.count)
        return try add(plan, related, navigation, scope)
    }

    /// The buckets of the rows of each key.
    mutating func buckets(_ use: FieldUse, _ inner: Scope, _ keyed: Keyed, keyCount: Int) throws(GraphQLError) -> StatementPlan {
        let group = select.column(keyed.number)
        let groups = try groups(use.fields, use.type, inner)
        levels[0].item = .object(groups.members, presence: nil)
        let keys = Set([group] + groups.key).sorted().map { SQLFragment.integer($0 + 1) }
        let order = [SQLFragment.integer(group + 1)] + (try groupOrder(use, groups))
        guard try limit(use, prefix: "").clause.isEmpty, try limit(use, prefix: "nested_").clause.isEmpty else {
            throw GraphQLError("Buckets of related rows come whole; drop limit and offset.")
        }
        var sql: SQLFragment = "\(selectClause) FROM \(keyed.source)\(select.joined)"
        if let filter = try condition(use, inner) { sql.append(" WHERE \(filter)") }
        sql.append(" GROUP BY \(keys.joined(separator: ", ")) ORDER BY \(order.joined(separator: ", "))")
        return try plan(sql, result: .list, group: group, keyCount: keyCount)
    }
}

extension ScalarType {
    fileprivate var isWhole: Bool { self == .int || self == .bigInt }
}
