internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Rows that are points of a collection.
///
/// A statement over points has one parameter for each time that it reads a collection: the question which points are meant. It is answered
/// before the engine runs, and the answer goes to the engine in its place: a JSON list of lists, one value for each column. So filters, rules,
/// keys and searches are the collection's to decide; how rows are put together, ordered and counted is SQL as anywhere else.
extension StatementBuilder {
    var hasPoints: Bool { request.model.sources[source]?.hasPoints == true }

    /// Whether the rows of an object can be a part of this statement beside others. A search stands for itself.
    func isHere(_ target: DataObject) -> Bool { target.source == source && !hasPoints }

    /// The number of a point in the answer: nearest first, else by ids.
    static let place = "#place"

    func keepPlaces(_ order: inout [SQLFragment], _ scope: Scope) {
        if hasPoints, order.isEmpty { order = ["\(scope.alias).\(.identifier(Self.place))"] }
    }

    // MARK: What is wanted beside a filter

    mutating func want(_ field: DataField, _ value: PlanValue) {
        guard hasPoints else { return }
        wanted.append(Self.comparison("eq", field, SQLParameter.Value(value, .plain)))
    }

    /// Points that belong to one of a batch's keys: of keys of several columns, what the first says.
    mutating func want(keysOf navigation: Navigation) throws(GraphQLError) {
        guard hasPoints else { return }
        let far = try farEnd(of: navigation)
        guard far.names.count == 1, let name = far.names.first else {
            throw GraphQLError("\"\(navigation.name)\" leads to points, which are matched by one field.")
        }
        let field = try field(name, of: far.object)
        wanted.append(Self.comparison("keys", field, .keyRows([field.type.keyEncoding])))
    }

    // MARK: The question

    /// The points that a field means, as a table.
    func points(_ object: DataObject, _ use: FieldUse?, _ set: RowSet?) throws(GraphQLError) -> SQLFragment {
        let fields = object.fields.filter { $0.storedColumn != nil }
        let columns = fields.enumerated().map { index, field in
            "\(Self.cell(index, field.type)) AS \(.identifier(field.storedColumn ?? ""))" as SQLFragment
        }
        let place: SQLFragment = "\"key\" AS \(.identifier(Self.place))"
        let question = SQLFragment.parameter(SQLParameter(.points(.object(try question(object, fields, use, set)))))
        return "(SELECT \(([place] + columns).joined(separator: ", ")) FROM json_each(\(question)))"
    }

    /// How many points a field means, where nothing else of them is asked for: the collection counts, and no point is read. Nil for all else.
    mutating func countOfPoints(_ object: DataObject, _ use: FieldUse, _ set: RowSet) throws(GraphQLError) -> StatementPlan? {
        guard hasPoints, object.softDelete == nil, set.condition == nil, !set.isRestricting, try search(use, object) == nil,
            use.fields.allSatisfy({ ["_rows_count", "__typename"].contains($0.name) })
        else { return nil }
        if case .view(.some) = object.kind { return nil }
        let question = try question(object, [], use, set) + [.init(name: "count", value: .value(true))]
        let count: SQLFragment = "\(.parameter(SQLParameter(.points(.object(question))))) ->> 0"
        var members: [Shape.Member] = []
        for field in use.fields {
            _ = try request.use(of: field, on: use.type)
            let isCount = field.name == "_rows_count"
            members.append(
                Shape.Member(
                    field.responseKey, isCount ? .value(column: select.column(count), .count) : .text(JSONText.quoted(use.type.name))))
        }
        levels[0].item = .object(members, presence: nil)
        return try plan("\(selectClause)", result: .one)
    }

    private func question(
        _ object: DataObject, _ fields: [DataField], _ use: FieldUse?, _ set: RowSet?
    ) throws(GraphQLError) -> [SQLParameter.Member] {
        var conditions = wanted
        for rule in [try request.filter(.query, object), use.flatMap { request.filter(of: $0.field.name, on: $0.parent) }] {
            guard let rule else { continue }
            try request.record.inRule { () throws(GraphQLError) in conditions.append(try pointCondition(rule, object)) }
        }
        if let use, let filter = use.given("filter")?.asObject {
            conditions.append(try pointCondition(PlanObject(filter.filter { $0.key != Self.score(of: object)?.name }), object))
        }
        var question: [SQLParameter.Member] = [
            .init(name: "collection", value: .value(.string(object.relation))),
            .init(
                name: "columns",
                value: .list(
                    fields.map { field in
                        // SQL of the schema's author may name any; vectors are told where they are selected.
                        let isTold = object.hasAuthorsSQL && field.type != .scalar(.vector)
                        return .value(["path": .string(field.storedColumn ?? ""), "type": .string(field.type.text), "told": .bool(isTold)])
                    })),
            .init(name: "where", value: .list(conditions)),
        ]
        if let search = try use.flatMap({ use throws(GraphQLError) in try search(use, object) }) {
            question.append(.init(name: "search", value: search))
        }
        // More than these need not be found where nothing but the engine's own order and filter decides.
        let isPlain =
            set.map { $0.condition == nil && !$0.isDistinct && $0.order.allSatisfy { $0.text.hasSuffix("\"\(Self.place)\"") } } ?? false
        if isPlain, object.softDelete == nil, let limit = set?.page.limit?.number {
            question.append(.init(name: "limit", value: limit))
            if let offset = set?.page.offset?.number { question.append(.init(name: "offset", value: offset)) }
        }
        if object.softDelete == nil, let order = try use.flatMap({ use throws(GraphQLError) in try order(of: use, object, set) }) {
            question.append(.init(name: "order", value: .object(order)))
        }
        return question
    }

    static let absentLast: SQLFragment = " NULLS LAST"

    /// An order that the collection knows itself: by one number or time. Those without one come last, here and there.
    private func order(of use: FieldUse, _ object: DataObject, _ set: RowSet?) throws(GraphQLError) -> [SQLParameter.Member]? {
        guard let set, set.condition == nil, !set.isDistinct, let limit = set.page.limit?.number, try search(use, object) == nil,
            set.order.count == 1, set.order[0].text.hasSuffix(Self.absentLast.text), let terms = use.given("order_by")?.asArray,
            terms.count == 1, let name = terms[0]["field"]?.asString,
            let field = object.column(name), let column = field.storedColumn, !["id", "payload", Self.scoreColumn].contains(column),
            case .scalar(let scalar) = field.type, [.int, .bigInt, .float, .timestamp, .dateTime, .date].contains(scalar)
        else { return nil }
        let isDescending = terms[0]["direction"]?.asString == "DESC"
        let order: [SQLParameter.Member] = [
            .init(name: "path", value: .value(.string(column))), .init(name: "descending", value: .value(.bool(isDescending))),
            .init(name: "limit", value: limit),
        ]
        return order + (set.page.offset?.number.map { [.init(name: "offset", value: $0)] } ?? [])
    }

    /// The statement in whose questions it is said which columns it reads, not only names: payloads and vectors are large.
    static func tellingColumns(_ sql: SQLFragment) -> SQLFragment {
        sql.mapParameters { parameter in
            guard case .points(.object(var members)) = parameter.value,
                let columns = members.firstIndex(where: { $0.name == "columns" }), case .list(let list) = members[columns].value
            else { return parameter }
            members[columns].value = .list(
                list.map { column in
                    guard case .value(.object(var column)) = column, column["told"] == false else { return column }
                    let name = SQLFragment.identifier(column["path"]?.asString ?? "").text
                    column["told"] = .bool(sql.text.ranges(of: name).count > sql.text.ranges(of: "AS " + name).count)
                    return .value(.object(column))
                })
            return SQLParameter(.points(.object(members)), type: parameter.type)
        }
    }

    /// A value of a row: JSON where the type is no scalar of SQL.
    private static func cell(_ index: Int, _ type: DataType) -> SQLFragment {
        switch type {
        case .scalar(.json), .scalar(.geometry), .list, .structure: "nullif(\"value\" -> \(.integer(index)), 'null')"
        default: "\"value\" ->> \(.integer(index))"
        }
    }

    private func search(_ use: FieldUse, _ object: DataObject) throws(GraphQLError) -> SQLParameter.Value? {
        let similarity = use.given("similarity")?.asObject
        let semantic = use.given("semantic")?.asObject
        guard similarity == nil || semantic == nil else {
            throw GraphQLError("A search is by \"similarity\" or \"semantic\", not by both.")
        }
        if let similarity {
            let name = similarity["name"]?.asString ?? ""
            guard let field = object.column(name), field.type == .scalar(.vector) else {
                throw GraphQLError("\"\(name)\" is no vector of \"\(object.name)\".")
            }
            try request.allow(name, of: object)
            return .object([
                .init(name: "field", value: .value(.string(field.storedColumn ?? ""))),
                .init(name: "vector", value: SQLParameter.Value(similarity["vector"] ?? .known(.null), .plain)),
                .init(name: "distance", value: SQLParameter.Value(similarity["distance"] ?? .known(.null), .plain)),
                .init(name: "limit", value: try count(similarity["limit"])),
            ])
        }
        guard let semantic else { return nil }
        if let vector = object.embeddings?.vector { try request.allow(vector, of: object) }
        return .object([
            .init(name: "text", value: SQLParameter.Value(semantic["query"] ?? .known(.null), .plain)),
            .init(name: "limit", value: try count(semantic["limit"])),
        ])
    }

    private func count(_ limit: PlanValue?) throws(GraphQLError) -> SQLParameter.Value {
        let (limit, form) = (limit ?? .known(.null), SQLParameter.Form.count("limit"))
        // A variable's is checked with each request.
        if limit.isKnown { try form.check(limit.json) }
        return SQLParameter.Value(limit, form)
    }

    // MARK: Conditions

    /// What the column of a search's score is stored as.
    static let scoreColumn = "_score"

    private static func score(of object: DataObject) -> DataField? { object.fields.first { $0.storedColumn == scoreColumn } }

    /// The score is known when the search has been made.
    func scoreCondition(_ use: FieldUse, _ scope: Scope) throws(GraphQLError) -> SQLFragment? {
        guard let score = Self.score(of: scope.object), let value = use.given("filter")?[score.name], !value.isNull else { return nil }
        return try condition([score.name: value], scope.row)
    }

    private func pointCondition(_ filter: PlanObject, _ object: DataObject) throws(GraphQLError) -> SQLParameter.Value {
        try logic("and", filter, object) { key, value throws(GraphQLError) in
            guard let field = object.column(key) else {
                throw GraphQLError("\"\(key)\" is nothing that points of \"\(object.name)\" can be filtered by.")
            }
            try request.allow(key, of: object)
            guard field.storedColumn != nil, field.storedColumn != Self.scoreColumn else {
                throw GraphQLError(
                    field.storedColumn == nil
                        ? "\"\(key)\" is computed, and points cannot be searched by it."
                        : "\"\(key)\" can be a member of a field's filter itself, not inside _and, _or, _not or a rule.")
            }
            var conditions: [SQLParameter.Value] = []
            for (operation, operand) in value.asObject ?? [:] where !operand.isNull {
                conditions.append(Self.comparison(operation, field, SQLParameter.Value(operand, .plain)))
            }
            return conditions
        }
    }

    /// The members of a filter, all of which must be true; logical ones have filters inside.
    private func logic(
        _ word: String, _ filter: PlanObject, _ object: DataObject,
        _ member: (String, PlanValue) throws(GraphQLError) -> [SQLParameter.Value]
    ) throws(GraphQLError) -> SQLParameter.Value {
        var conditions: [SQLParameter.Value] = []
        for (key, value) in filter where !value.isNull {
            switch key {
            case "_not": conditions.append(Self.group("not", [try inner(value, object)]))
            case "_and", "_or":
                var parts: [SQLParameter.Value] = []
                for part in value.asArray ?? [] { parts.append(try inner(part, object)) }
                // Parts that say nothing are not there.
                parts.removeAll { $0 == Self.group("and", []) }
                if !parts.isEmpty { conditions.append(Self.group(key == "_and" ? "and" : "or", parts)) }
            default: conditions += try member(key, value)
            }
        }
        conditions.removeAll { $0 == Self.group("not", [Self.group("and", [])]) }
        return Self.group(word, conditions)
    }

    private func inner(_ filter: PlanValue, _ object: DataObject) throws(GraphQLError) -> SQLParameter.Value {
        try request.record.inside { () throws(GraphQLError) in try pointCondition(filter.asObject ?? [:], object) }
    }

    private static func group(_ word: String, _ conditions: [SQLParameter.Value]) -> SQLParameter.Value {
        .object([.init(name: "op", value: .value(.string(word))), .init(name: "of", value: .list(conditions))])
    }

    private static func comparison(_ operation: String, _ field: DataField, _ operand: SQLParameter.Value) -> SQLParameter.Value {
        .object([
            .init(name: "op", value: .value(.string(operation))),
            .init(name: "path", value: .value(.string(field.storedColumn ?? ""))),
            .init(name: "type", value: .value(.string(field.type.text))),
            .init(name: "value", value: operand),
        ])
    }
}

extension DataObject {
    /// Whether what is read of it depends on SQL in which columns may stand without quotes.
    fileprivate var hasAuthorsSQL: Bool {
        softDelete != nil || fields.contains { if case .computed = $0.kind { true } else { false } }
    }
}

extension SQLFragment {
    /// The number that it is: a literal, or one parameter.
    fileprivate var number: SQLParameter.Value? {
        if let parameter = parameters.first { return parameters.count == 1 && text.isEmpty ? parameter.parameter.value : nil }
        return Int64(text).map { .value(.integer($0)) }
    }
}
