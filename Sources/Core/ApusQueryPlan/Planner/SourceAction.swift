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
    private let selection: [Selected]

    /// A field that the operation asks for.
    fileprivate struct Selected: Sendable {
        var responseKey: String
        var name: String
        var below: [Selected]
        /// The type's name, for `__typename`.
        var typeName: String
    }

    /// What the operation asked for of what came of it, as JSON.
    public func reply(_ value: JSONValue) -> JSONValue { Self.picked(selection, of: value) }

    private static func picked(_ selection: [Selected], of value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): .array(elements.map { picked(selection, of: $0) })
        case .object(let object) where !selection.isEmpty:
            .object(
                JSONObject(
                    selection.map { field in
                        let value = field.name == "__typename" ? .string(field.typeName) : object[field.name] ?? .null
                        return (field.responseKey, picked(field.below, of: value))
                    }))
        default: value
        }
    }
}

extension SourceAction {
    init(_ kind: Kind, _ use: FieldUse, arguments: JSONObject, _ request: RequestContext) throws(GraphQLError) {
        self.kind = kind
        self.arguments = arguments
        selection = try Self.selected(use.fields, on: use.type, request)
    }

    private static func selected(
        _ fields: [CollectedField], on type: NamedType, _ request: RequestContext
    ) throws(GraphQLError) -> [Selected] {
        var selected: [Selected] = []
        for field in fields {
            try request.allow(field.name, on: type.name)
            let definition = request.collector.definition(of: field, on: type)
            let below = definition.map { request.planner.api.schema[$0.type.named] }
            var members: [Selected] = []
            if let below, below.kind.isComposite {
                members = try self.selected(request.collector.subfields(of: field, on: below), on: below, request)
            }
            selected.append(Selected(responseKey: field.responseKey, name: field.name, below: members, typeName: type.name))
        }
        return selected
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
        var builder = try StatementBuilder(request, source: source)
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
        var plan = try builder.plan(sql, result: .one)
        plan.isMutation = isMutation
        plan.action = try SourceAction(kind, use, arguments: arguments, request)
        return plan
    }

    private func everyRow(_ use: FieldUse) -> SQLFragment? { request.hasDirective(Self.allRows, use.field) ? "1 = 1" : nil }
}

extension RequestContext {
    fileprivate func actsItself(_ source: String) -> Bool { model.sources[source]?.actsItself == true }
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
