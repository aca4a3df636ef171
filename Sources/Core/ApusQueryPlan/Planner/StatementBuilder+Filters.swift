internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Filters and orders.
extension StatementBuilder {
    /// What a filter says about the rows under an alias; nil when it says nothing. Null drops a condition, an empty list matches nothing.
    func condition(_ filter: PlanObject, _ row: AliasedRow) throws(GraphQLError) -> SQLFragment? {
        var conditions: [SQLFragment] = []
        for (key, value) in filter where !value.isNull {
            let condition: SQLFragment?
            let nested = { (filter: PlanObject) throws(GraphQLError) in
                try request.record.inside { () throws(GraphQLError) in try self.condition(filter, row) }
            }
            if let logic = try logic(key, value, nested) {
                condition = logic.condition
            } else if let field = row.object.column(key) {
                try request.allow(key, of: row.object)
                condition = try self.condition(value.asObject ?? [:], field.type, column(field, alias: row.alias), srid: field.srid)
            } else if let navigation = row.object.navigation(key) {
                try request.allow(key, of: row.object)
                condition = try request.record.inside { () throws(GraphQLError) in
                    try self.condition(value.asObject ?? [:], navigation, row)
                }
            } else {
                throw GraphQLError("\"\(key)\" is nothing that \"\(row.object.name)\" can be filtered by.")
            }
            if let condition { conditions.append(condition) }
        }
        return Self.all(conditions)
    }

    /// Nil for what is no logical member; a member may say nothing.
    private func logic(
        _ key: String, _ value: PlanValue, _ condition: (PlanObject) throws(GraphQLError) -> SQLFragment?
    ) throws(GraphQLError) -> (condition: SQLFragment?, Void)? {
        switch key {
        case "_not": return (try condition(value.asObject ?? [:]).map { "NOT (\($0))" }, ())
        case "_and", "_or":
            var parts: [SQLFragment] = []
            for part in value.asArray ?? [] { if let part = try condition(part.asObject ?? [:]) { parts.append(part) } }
            return (key == "_and" ? Self.all(parts) : Self.any(parts), ())
        default: return nil
        }
    }

    private static func all(_ parts: [SQLFragment]) -> SQLFragment? { parts.isEmpty ? nil : parts.joined(separator: " AND ") }
    private static func any(_ parts: [SQLFragment]) -> SQLFragment? {
        parts.isEmpty ? nil : parts.count == 1 ? parts[0] : "(\(parts.joined(separator: " OR ")))"
    }

    // MARK: Related rows

    private func condition(
        _ filter: PlanObject, _ navigation: Navigation, _ row: AliasedRow
    ) throws(GraphQLError) -> SQLFragment? {
        if !navigation.isList {
            return try exists(navigation, from: row) { far throws(GraphQLError) in try condition(filter, far) }
        }
        var conditions: [SQLFragment] = []
        for (quantifier, value) in filter where !value.isNull {
            let filter = value.asObject ?? [:]
            switch quantifier {
            case "any_of", "none_of":
                let any = try exists(navigation, from: row) { far throws(GraphQLError) in try condition(filter, far) }
                if let any { conditions.append(quantifier == "any_of" ? any : "NOT \(any)") }
            default:
                // All: one at least, and none of which it is not true.
                let other = try exists(navigation, from: row) { far throws(GraphQLError) in
                    try condition(filter, far).map { "(\($0)) IS NOT TRUE" }
                }
                guard let other, let some = try exists(navigation, from: row, nil, { _ throws(GraphQLError) in SQLFragment() }) else {
                    continue
                }
                conditions.append("NOT \(other) AND \(some)")
            }
        }
        return Self.all(conditions)
    }

    // MARK: Values

    /// `srid`: of a geometry, whose operands are taken to be in the same system.
    private func condition(
        _ filter: PlanObject, _ type: DataType, _ expression: SQLFragment, srid: Int? = nil
    ) throws(GraphQLError) -> SQLFragment? {
        var conditions: [SQLFragment] = []
        for (key, value) in filter where !value.isNull {
            switch type {
            case .scalar(let scalar):
                guard let operation = FilterOperator(rawValue: key) else { continue }
                conditions.append(try compare(expression, operation, value, scalar, srid))
            case .list(.scalar(let scalar)): conditions.append(try compareList(expression, key, value, scalar))
            case .structure(let name):
                if let logic = try logic(
                    key, value,
                    { filter throws(GraphQLError) in
                        try request.record.inside { () throws(GraphQLError) in try condition(filter, type, expression) }
                    })
                {
                    if let condition = logic.condition { conditions.append(condition) }
                } else if let field = request.model.structures[name]?.field(key), case .scalar(let scalar) = field.type {
                    let text = structText(expression, [field.storedColumn ?? field.name], scalar)
                    if let condition = try condition(value.asObject ?? [:], field.type, text) { conditions.append(condition) }
                }
            default: throw GraphQLError("A filter of \(type.text) is not answered by data source \"\(source)\" yet.")
            }
        }
        return Self.all(conditions)
    }

    private func compare(
        _ expression: SQLFragment, _ operation: FilterOperator, _ value: PlanValue, _ type: ScalarType, _ srid: Int?
    ) throws(GraphQLError) -> SQLFragment {
        let isRange = [.intRange, .bigIntRange, .timestampRange].contains(type)
        let given = operand(value, type, srid)
        if engine != .postgreSQL, isRange || type == .json || type == .geometry, operation != .isNull {
            throw GraphQLError("Filter \"\(operation.rawValue)\" of \(type.name) is answered by PostgreSQL alone.")
        }
        switch operation {
        case .isNull: return value.asBool == true ? "\(expression) IS NULL" : "\(expression) IS NOT NULL"
        case .in: return engine.isAmong(expression, .value(value), type)
        case .eq: return type == .json ? "(\(expression))::jsonb = \(given)" : "\(expression) = \(given)"
        case .ne: return "\(expression) <> \(given)"
        case .gt: return "\(expression) > \(given)"
        case .gte: return "\(expression) >= \(given)"
        case .lt: return "\(expression) < \(given)"
        case .lte: return "\(expression) <= \(given)"
        case .like: return engine.like(expression, value, ignoresCase: false)
        case .ilike: return engine.like(expression, value, ignoresCase: true)
        case .regex: return try engine.matches(expression, value)
        case .has: return "jsonb_exists((\(expression))::jsonb, \(.value(value, as: .string)))"
        case .hasAll: return "jsonb_exists_all((\(expression))::jsonb, \(.value(value))::text[])"
        case .contains where type == .json: return "(\(expression))::jsonb @> \(given)"
        case .contains where type == .geometry: return "ST_Contains(\(expression), \(given))"
        case .intersects where type == .geometry: return "ST_Intersects(\(expression), \(given))"
        case .contains: return "\(expression) @> \(.value(value, as: bound(of: type)))"
        case .intersects: return "\(expression) && \(.value(value, as: type))"
        case .includes: return "\(expression) @> \(.value(value, as: type))"
        case .excludes: return "NOT (\(expression) && \(.value(value, as: type)))"
        case .upper, .lower:
            guard isRange else { throw GraphQLError("\(operation.rawValue) asks about ranges.") }
            let end: SQLFragment = operation == .upper ? "upper(\(expression))" : "lower(\(expression))"
            return "\(end) = \(.value(value, as: bound(of: type)))"
        case .upperInclusive: return "upper_inc(\(expression)) = \(given)"
        case .lowerInclusive: return "lower_inc(\(expression)) = \(given)"
        case .upperInfinite: return "upper_inf(\(expression)) = \(given)"
        case .lowerInfinite: return "lower_inf(\(expression)) = \(given)"
        }
    }

    private func bound(of range: ScalarType) -> ScalarType {
        range == .intRange ? .int : range == .bigIntRange ? .bigInt : .timestamp
    }

    /// A value as a column of the type is compared with; its type is the column's where nothing else is said.
    private func operand(_ value: PlanValue, _ type: ScalarType, _ srid: Int?) -> SQLFragment {
        switch type {
        case .json: .value(value, as: .json, form: .json)
        case .geometry: geometry(value, srid)
        default: .value(value)
        }
    }

    /// A geometry in WKT, or in GeoJSON as text or as an object; where it does not say its system itself (`SRID=…;`), in the one that is given.
    func geometry(_ value: PlanValue, _ srid: Int?) -> SQLFragment {
        let text = value.asString
        if let text, text.hasPrefix("SRID=") { return "ST_GeomFromEWKT(\(.value(value, as: .string)))" }
        let geometry: SQLFragment =
            if let text, !text.hasPrefix("{") {
                "ST_GeomFromText(\(.value(value, as: .string)))"
            } else {
                "ST_GeomFromGeoJSON(\(.value(value, as: .string, form: text == nil ? .json : .plain)))"
            }
        return srid.map { "ST_SetSRID(\(geometry), \(.integer($0)))" } ?? geometry
    }

    private func compareList(
        _ expression: SQLFragment, _ operation: String, _ value: PlanValue, _ type: ScalarType
    ) throws(GraphQLError) -> SQLFragment {
        guard engine == .postgreSQL || operation == "is_null" else {
            throw GraphQLError("Filters of lists are answered by PostgreSQL alone.")
        }
        let list: SQLFragment = .value(value)
        switch operation {
        case "is_null": return value.asBool == true ? "\(expression) IS NULL" : "\(expression) IS NOT NULL"
        case "contains": return "\(expression) @> \(list)"
        case "intersects": return "\(expression) && \(list)"
        default: return "\(expression) = \(list)"
        }
    }

    // MARK: Order

    /// `order_by` as terms of an ORDER BY. Paths lead over single related rows to a column.
    func order(_ value: PlanValue?, _ scope: Scope, _ use: FieldUse) throws(GraphQLError) -> [SQLFragment] {
        var terms: [SQLFragment] = []
        for term in value?.asArray ?? [] {
            guard let path = term["field"]?.asString else { continue }
            var names = path.split(separator: ".").map(String.init)
            // An alias of the selection stands for its field.
            if let first = names.first, scope.object.member(first) == nil,
                let selected = use.fields.first(where: { $0.responseKey == first })
            {
                names[0] = selected.name
            }
            let expression = try sortable(names[...], scope.row, path)
            let directed: SQLFragment = term["direction"]?.asString == "DESC" ? "\(expression) DESC" : expression
            // As collections have it in both directions.
            terms.append(hasPoints ? directed + Self.absentLast : directed)
        }
        return terms
    }

    private func sortable(
        _ names: ArraySlice<String>, _ row: AliasedRow, _ path: String
    ) throws(GraphQLError) -> SQLFragment {
        let refusal = GraphQLError("field \(path) not found or not sortable")
        guard let name = names.first, let member = row.object.member(name) else { throw refusal }
        try request.allow(name, of: row.object)
        let rest = names.dropFirst()
        switch member {
        case .field(let field):
            if rest.isEmpty { return column(field, alias: row.alias) }
            guard case .structure(let structure) = field.type, rest.count == 1,
                let inner = request.model.structures[structure]?.field(rest[rest.startIndex]),
                case .scalar(let scalar) = inner.type
            else { throw refusal }
            return structText(column(field, alias: row.alias), [inner.storedColumn ?? inner.name], scalar)
        case .navigation(let navigation) where !navigation.isList && !rest.isEmpty:
            let target = try request.object(navigation.target)
            guard isHere(target) else { throw refusal }
            let inner = request.record.alias()
            let related = try related(navigation, from: row, as: inner, nil)
            let far = AliasedRow(object: target, alias: inner)
            let expression = try sortable(rest, far, path)
            return "(SELECT \(expression) FROM \(related.source) WHERE \(related.all.joined(separator: " AND "))\(firstClause(far)))"
        case .aggregation(let navigation) where rest.count == 1 && rest.first == "_rows_count" || rest.count == 2:
            let target = try request.object(navigation.target)
            guard isHere(target) else { throw refusal }
            let inner = request.record.alias()
            let related = try related(navigation, from: row, as: inner, nil)
            var value: SQLFragment = "count(*)"
            if rest.count == 2 {
                guard let field = target.column(rest[rest.startIndex]), case .scalar(let scalar) = field.type,
                    let function = AggregateFunction(rawValue: rest[rest.startIndex + 1])
                else { throw refusal }
                try request.allow(field.name, of: target)
                value = try aggregate(function, [:], column(field, alias: inner), scalar).expression
            }
            return "(SELECT \(value) FROM \(related.source) WHERE \(related.all.joined(separator: " AND ")))"
        default: throw refusal
        }
    }
}
