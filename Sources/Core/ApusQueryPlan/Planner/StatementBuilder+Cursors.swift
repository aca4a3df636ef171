internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// The order of a list whose rows have cursors: no two rows are equal in it, so that "after this row" means the same whatever is inserted or
/// deleted meanwhile.
struct Keyset {
    struct Term {
        var field: DataField
        var isDescending: Bool
    }

    var terms: [Term]
    /// What tells its cursors from those of other lists and orders.
    var digest: String
}

/// Pages of a list, each after the last row of the one before.
extension StatementBuilder {
    static func edges(_ object: DataObject, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan {
        // Whoever may not have the list may not have it page by page.
        try request.allow(object.queryName, on: use.parent)
        var builder = try StatementBuilder(request, source: object.source)
        let scope = builder.scope(object, level: 0)
        builder.beginLevel()
        let keyset = try builder.keyset(use, scope)
        var members: [Shape.Member] = []
        for field in use.fields {
            let shape: Shape
            switch field.name {
            case "cursor": shape = .value(column: builder.select.column(builder.cursor(keyset, scope)), .text)
            case "node":
                let node = try request.use(of: field, on: use.type)
                shape = try builder.object(node.fields, node.type, scope)
            default: shape = .text(JSONText.quoted(use.type.name))
            }
            members.append(Shape.Member(field.responseKey, shape))
        }
        builder.levels[0].item = .object(members, presence: nil)
        var set = RowSet(condition: try builder.condition(use, scope))
        set.order = builder.order(keyset, scope)
        set.page = try builder.limit(use, prefix: "")
        if let after = use.given("after") { set.require([try builder.condition(after: after, keyset, scope)]) }
        if let rule = request.filter(of: object.queryName, on: use.parent) {
            set.require(try builder.rule(rule, scope.row).map { ["(\($0))"] })
        }
        set.require(builder.required[scope.number])
        builder.limit(&set)
        return try builder.finish(scope, set, use, result: .list)
    }

    private func keyset(_ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> Keyset {
        var terms: [Keyset.Term] = []
        for term in use.given("order_by")?.asArray ?? [] {
            guard let name = term["field"]?.asString else { continue }
            guard let field = scope.object.column(name), field.isOrdered else {
                throw GraphQLError("Cursors need an order by columns of \"\(scope.object.name)\", and \"\(name)\" is none.")
            }
            if terms.contains(where: { $0.field.name == name }) { continue }
            terms.append(Keyset.Term(field: field, isDescending: term["direction"]?.asString == "DESC"))
        }
        // In the direction of what is before, so that one comparison of all of them will do.
        let isDescending = terms.last?.isDescending ?? false
        for field in scope.object.primaryKey where !terms.contains(where: { $0.field.name == field.name }) {
            terms.append(Keyset.Term(field: field, isDescending: isDescending))
        }
        for term in terms { try request.allow(term.field.name, of: scope.object) }
        let order = ([scope.object.name] + terms.map { "\($0.field.name) \($0.isDescending)" }).joined(separator: "\n")
        return Keyset(terms: terms, digest: String(Digest(of: order).description.prefix(16)))
    }

    private func order(_ keyset: Keyset, _ scope: Scope) -> [SQLFragment] {
        keyset.terms.map { $0.isDescending ? "\(column($0.field, of: scope)) DESC" : column($0.field, of: scope) }
    }

    /// What a row's cursor is.
    private func cursor(_ keyset: Keyset, _ scope: Scope) -> SQLFragment {
        let digest = SQLFragment.value(.string(keyset.digest), as: .string)
        let values = keyset.terms.map { term -> SQLFragment in
            let column = column(term.field, of: scope)
            switch engine {
            case .postgreSQL: return "(\(column))::text"
            case .duckDB: return "CAST(\(column) AS VARCHAR)"
            // A number of so many digits is the same when it is read again.
            case .sqlite: return "CASE typeof(\(column)) WHEN 'real' THEN printf('%!.17g', \(column)) ELSE CAST(\(column) AS TEXT) END"
            }
        }.joined(separator: ", ")
        switch engine {
        case .postgreSQL: return "encode(convert_to(\(digest) || json_build_array(\(values))::text, 'UTF8'), 'hex')"
        case .sqlite: return "lower(hex(\(digest) || json_array(\(values))))"
        case .duckDB: return "lower(hex(\(digest) || CAST(to_json([\(values)]) AS VARCHAR)))"
        }
    }

    /// That a row comes after the one that a cursor is of.
    private func condition(after cursor: PlanValue, _ keyset: Keyset, _ scope: Scope) throws(GraphQLError) -> SQLFragment {
        /// The value of a term in the cursor; `isTold`: only whether there is one matters.
        func value(_ place: Int, isTold: Bool = false) throws(GraphQLError) -> SQLFragment {
            let field = keyset.terms[place].field
            let form = SQLParameter.Form.cursor(
                CursorPart(order: keyset.digest, place: place, number: engine == .sqlite ? field.sqliteNumber : nil))
            if cursor.isKnown { try form.check(cursor.json) }
            if isTold { return .value(cursor, as: .string, form: form) }
            let value = SQLFragment.value(cursor, form: form)
            guard engine == .duckDB, case .scalar(let scalar) = field.type else { return value }
            return engine.cast(value, to: scalar)
        }
        let columns = keyset.terms.map { column($0.field, of: scope) }
        let isUniform = keyset.terms.allSatisfy { $0.field.isNonNull && $0.isDescending == keyset.terms[0].isDescending }
        if isUniform {
            var values: [SQLFragment] = []
            for place in columns.indices { values.append(try value(place)) }
            let sign: SQLFragment = keyset.terms[0].isDescending ? "<" : ">"
            return columns.count == 1
                ? "\(columns[0]) \(sign) \(values[0])"
                : "(\(columns.joined(separator: ", "))) \(sign) (\(values.joined(separator: ", ")))"
        }
        var condition: SQLFragment?
        for (place, term) in keyset.terms.enumerated().reversed() {
            let column = columns[place]
            let sign: SQLFragment = term.isDescending ? "<" : ">"
            var beyond: SQLFragment = "\(column) \(sign) \(try value(place))"
            var same: SQLFragment = "\(column) = \(try value(place))"
            if !term.field.isNonNull {
                let (isNull, isTold) = ("\(column) IS NULL" as SQLFragment, try value(place, isTold: true))
                beyond =
                    engine.putsNullsLast(isDescending: term.isDescending)
                    ? "(\(beyond) OR (\(isNull) AND \(isTold) IS NOT NULL))"
                    : "(\(beyond) OR (\(column) IS NOT NULL AND \(isTold) IS NULL))"
                same = "(\(same) OR (\(isNull) AND \(isTold) IS NULL))"
            }
            condition = condition.map { "(\(beyond) OR (\(same) AND \($0)))" } ?? beyond
        }
        return condition ?? SQLFragment()
    }
}

extension DataField {
    /// Whether its values have an order that a text of them keeps.
    fileprivate var isOrdered: Bool {
        switch type {
        case .scalar(.json), .scalar(.geometry), .scalar(.vector), .structure, .list, .object: false
        case .scalar, .enumeration: true
        }
    }

    /// What a value is to SQLite, which compares a text with a number as neither.
    fileprivate var sqliteNumber: ScalarType? {
        switch type {
        case .scalar(.int), .scalar(.bigInt), .scalar(.boolean): .bigInt
        case .scalar(.float): .float
        default: nil
        }
    }
}

extension SQLEngine {
    /// Where nulls come in an order that does not say it.
    fileprivate func putsNullsLast(isDescending: Bool) -> Bool {
        switch self {
        case .postgreSQL: !isDescending
        case .sqlite: isDescending
        case .duckDB: true
        }
    }
}
