internal import ApusGraphQL
public import ApusSchemas
public import ApusTypes

/// What a source does by code of its own instead of SQL: a function, or a change of its rows.
public struct SourceAction: Sendable {
    public enum Kind: Sendable {
        case call(DataFunction)
        /// Of an object, with the rows related to it that are inserted with it.
        case insert(String)
        /// Of the rows of an object whose keys the statement tells.
        case update(String)
        case delete(String)
    }

    public let kind: Kind
    /// Of a function; the `data` of an insertion or update.
    public let arguments: JSONObject
    /// Arguments that no client gives, by their names: texts of the schema's author, which may be placeholders.
    let injected: [(name: String, text: String)]
    /// Of a function that is called for rows: the arguments that are columns of the rows' keys, in their order.
    var keyed: [(name: String, format: ValueFormat)] = []
    let selection: SelectedValue

    /// What the operation asked for of what came of it, as JSON. Throws where that is not of the declared type.
    public func reply(_ value: JSONValue) throws -> JSONValue {
        do throws(SelectedValue.Mismatch) {
            return try selection.picked(from: value, at: "")
        } catch {
            let what = if case .call(let function) = kind { "function \"\(function.name)\"" } else { "the change" }
            let place = error.place.isEmpty ? "a value" : "a value for \"\(error.place)\""
            throw GraphQLError("\(what) gave \(place) that is no \(error.type); correct the type in the schema, or what it calls.")
        }
    }
}

extension SourceAction {
    init(_ kind: Kind, _ use: FieldUse, arguments: JSONObject, _ request: RequestContext) throws(GraphQLError) {
        self.kind = kind
        self.arguments = arguments
        var result: DataType?
        var injected: [(String, String)] = []
        if case .call(let function) = kind {
            result = function.result
            for parameter in function.parameters { if let text = parameter.injected { injected.append((parameter.name, text)) } }
        }
        self.injected = injected
        selection = try SelectedValue(use.fields, on: use.type, as: result, request)
    }
}

extension StatementCall {
    /// The arguments of each call of a function: one, or of a batch one for each of its keys.
    func calls(of action: SourceAction, keys: [[[UInt8]]], _ values: RequestValues) throws(GraphQLError) -> [JSONObject] {
        var arguments = action.arguments
        for (name, text) in action.injected {
            if text.hasPrefix("[$"), text.hasSuffix("]") {
                let placeholder = String(text.dropFirst(2).dropLast())
                arguments[name] = placeholder == "catalog" ? .string(statement.source) : values.identity[placeholder] ?? .null
            } else {
                arguments[name] = .string(text)
            }
        }
        guard let first = keys.first else { return [arguments] }
        var calls: [JSONObject] = []
        for row in first.indices {
            var call = arguments
            for (column, argument) in action.keyed.enumerated() {
                guard let value = argument.format.value(of: keys[column][row]) else {
                    throw GraphQLError(
                        "Data source \"\(statement.source)\" was to be given a value for \"\(argument.name)\" that is no \(argument.format.scalar.name)."
                    )
                }
                call[argument.name] = value
            }
            calls.append(call)
        }
        return calls
    }
}

extension ValueFormat {
    /// The value of a column's text; nil where it is none of this format.
    fileprivate func value(of text: [UInt8]) -> JSONValue? {
        var output = ReplyBuffer(capacity: text.count + 16)
        defer { output.free() }
        guard text.withUnsafeBytes({ output.write($0, as: self, isChecked: true) }) else { return nil }
        return try? JSONValue(parsing: Array(output.bytes))
    }
}

extension StatementBuilder {
    /// The statement that stands for what a source does itself; nil where it does nothing itself. Its one row has one column: the reply. Of an
    /// update or deletion, its SQL tells the keys of the rows that are meant.
    static func action(_ meaning: RootField?, _ use: FieldUse, _ request: RequestContext) throws(GraphQLError) -> StatementPlan? {
        switch meaning {
        case .function(let id)?:
            guard let function = request.model.functions[id], request.actsItself(function.source) else { return nil }
            return try acting(.call(function), use, source: function.source, use.arguments.json, isMutation: function.isMutation, request)
        case .insert(let name)?, .update(let name)?, .delete(let name)?:
            let object = try request.object(name)
            guard request.actsItself(object.source) else { return nil }
            let data = use.arguments["data"]?.asObject ?? [:]
            let stamps = request.stamps(of: use.field.name, on: use.parent)
            switch meaning {
            case .insert?:
                let row = try request.allowed(inserting: data, into: object, stamps)
                return try acting(.insert(name), use, source: object.source, row.json(request.planner.identity), isMutation: true, request)
            case .update?:
                try request.allow(inputs: data, "_mut_data", of: object)
                let row = data.stamped(with: stamps).stamped(with: request.stamps(.update, object))
                return try acting(
                    .update(name), use, source: object.source, row.json(request.planner.identity), isMutation: true, request,
                    rowsOf: (object, .update))
            default:
                return try acting(.delete(name), use, source: object.source, [:], isMutation: true, request, rowsOf: (object, .delete))
            }
        default: return nil
        }
    }

    private static func acting(
        _ kind: SourceAction.Kind, _ use: FieldUse, source: String, _ arguments: JSONObject, isMutation: Bool, _ request: RequestContext,
        rowsOf rows: (object: DataObject, operation: RolePermissions.Operation)? = nil
    ) throws(GraphQLError) -> StatementPlan {
        var builder = try StatementBuilder(request, acting: source)
        builder.beginLevel()
        builder.levels[0].item = .value(column: builder.select.column("1"), .json)
        var sql: SQLFragment = "SELECT 1"
        if let (object, operation) = rows {
            let scope = builder.scope(object, level: 0)
            let rule = try request.filter(operation, object)
            let asked = try use.given("filter")?.asObject.flatMap { filter throws(GraphQLError) in
                try builder.condition(filter, scope.row)
            }
            guard var condition = asked ?? builder.everyRow(use) else {
                throw GraphQLError(
                    "\"\(use.field.name)\" has no filter that says anything, and would change every row; if that is meant, write @\(allRows) behind the field."
                )
            }
            for rule in [rule, request.filter(of: use.field.name, on: use.parent)] {
                if let rule, let allowed = try builder.rule(rule, scope.row) { condition = "(\(condition)) AND (\(allowed))" }
            }
            let from = try builder.from(scope, RowSet(condition: condition), use, isRestricted: false)
            let keys = object.primaryKey.map { builder.column($0, of: scope) }.joined(separator: ", ")
            sql = "SELECT \(keys) FROM \(from.source)\(from.whereClause)"
        }
        let plan = try builder.plan(sql, result: .one)
        let action = try SourceAction(kind, use, arguments: arguments, request)
        return plan.with {
            $0.isMutation = isMutation
            $0.action = action
        }
    }

    private func everyRow(_ use: FieldUse) -> SQLFragment? { request.hasDirective(Self.allRows, use.field) ? "1 = 1" : nil }

    /// A function of another source, called once for each different set of arguments that rows of this statement have. A row with a null among
    /// them gets null.
    mutating func batch(
        calling function: DataFunction, _ columns: [(argument: String, field: DataField)], _ use: FieldUse, _ scope: Scope
    ) throws(GraphQLError) -> Shape {
        var key: [Int] = []
        for (_, field) in columns {
            guard case .scalar = field.type else {
                throw GraphQLError(
                    "\"\(use.field.name)\" takes \"\(field.name)\", and a \(field.type.text) cannot be given to a function of another source."
                )
            }
            key.append(select.column(column(field, of: scope)))
        }
        // Without a column it is called once for all rows.
        if key.isEmpty { key.append(select.column("1")) }
        batches.append(
            try request.actsItself(function.source)
                ? Self.acting(function, columns, use, keyCount: key.count, request)
                : Self.calling(function, columns, use, keyCount: key.count, request))
        return .batch(batches.count - 1, key: key)
    }

    private static func acting(
        _ function: DataFunction, _ columns: [(argument: String, field: DataField)], _ use: FieldUse, keyCount: Int,
        _ request: RequestContext
    ) throws(GraphQLError) -> StatementPlan {
        var builder = try StatementBuilder(request, acting: function.source)
        builder.beginLevel()
        let group = builder.select.column("0")
        builder.levels[0].item = .value(column: builder.select.column("1"), .json)
        let plan = try builder.plan("SELECT 0, 1", result: .one, group: group, keyCount: keyCount)
        var action = try SourceAction(.call(function), use, arguments: use.arguments.json, request)
        action.keyed = columns.compactMap { argument, field in
            if case .scalar(let scalar) = field.type { (argument, scalar.format) } else { nil }
        }
        return plan.with { $0.action = action }
    }

    /// A function of SQL, over rows of arguments.
    private static func calling(
        _ function: DataFunction, _ columns: [(argument: String, field: DataField)], _ use: FieldUse, keyCount: Int,
        _ request: RequestContext
    ) throws(GraphQLError) -> StatementPlan {
        guard !function.isTable else {
            throw GraphQLError(
                "\"\(use.field.name)\" calls \"\(function.name)\", whose rows are another source's; that is not planned yet.")
        }
        var builder = try StatementBuilder(request, source: function.source)
        builder.beginLevel()
        let arguments = builder.arguments(columns.map(\.field), keyCount: keyCount)
        let given = Dictionary(zip(columns.map(\.argument), arguments.values), uniquingKeysWith: { $1 })
        let group = builder.select.column(arguments.number)
        builder.levels[0].item = try builder.value(try builder.call(function, use, given), function.result, use)
        let sql: SQLFragment = "\(builder.selectClause) FROM \(arguments.source) ORDER BY \(arguments.number)"
        return try builder.plan(sql, result: .one, group: group, keyCount: keyCount)
    }
}

extension RequestContext {
    func actsItself(_ source: String) -> Bool { model.sources[source]?.actsItself == true }
}

extension PlanObject {
    /// Looks at every value: the plan serves requests with these values alone, because they do not travel as parameters.
    fileprivate var json: JSONObject { JSONObject(members.map { ($0.key, $0.value.json) }) }

    /// The same with what rules store: parts of the identity, which does not travel as a parameter either.
    fileprivate func json(_ identity: JSONObject) -> JSONObject { JSONObject(members.map { ($0.key, $0.value.json(identity)) }) }
}

extension PlanValue {
    fileprivate func json(_ identity: JSONObject) -> JSONValue {
        switch self {
        case .identity(let name): identity[name] ?? .null
        case .list(let elements): .array(elements.map { $0.json(identity) })
        case .object(let members): .object(JSONObject(members.map { ($0.key, $0.value.json(identity)) }))
        default: json
        }
    }
}
