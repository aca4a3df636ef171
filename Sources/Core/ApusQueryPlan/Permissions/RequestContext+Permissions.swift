internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// What a request may do.
extension RequestContext {
    private var permissions: RolePermissions { planner.permissions }
    private static let forbidden = GraphQLError("forbidden")

    /// A field that is asked for. `__typename` says nothing that the schema does not.
    func allow(_ field: String, on type: String) throws(GraphQLError) {
        guard !record.isInRule, !field.hasPrefix("__") else { return }
        let isGuarded = model.objects[type] != nil || planner.api.meaning(of: field, on: type) != nil
        guard permissions.rule(type, field).map({ !$0.isDisabled }) ?? !(permissions.deniesByDefault && isGuarded) else {
            throw Self.forbidden
        }
    }

    /// A member of an object that rows are found, ordered, joined or grouped by: who may not see a column must not learn it that way.
    func allow(_ member: String, of object: DataObject) throws(GraphQLError) { try allow(member, on: object.name) }

    /// Members of what a mutation stores.
    func allow(inputs data: PlanObject, _ suffix: String, of object: DataObject) throws(GraphQLError) {
        for (name, _) in data where permissions.rule(object.name + suffix, name)?.isDisabled == true { throw Self.forbidden }
    }

    /// The filter that rows have to pass; nil where all may be seen, or changed. An object that may not be queried may not be changed.
    func filter(_ operation: RolePermissions.Operation, _ object: DataObject) throws(GraphQLError) -> PlanObject? {
        guard !record.isInRule else { return nil }
        var filter: JSONObject?
        for operation in operation == .query ? [.query] : [RolePermissions.Operation.query, operation] {
            let rule = permissions.rule(operation.rawValue, object.name)
            guard rule.map({ !$0.isDisabled }) ?? !permissions.deniesByDefault else { throw Self.forbidden }
            filter = rule?.filter ?? filter
        }
        return filter.map { Self.value(.object($0)).asObject ?? [:] }
    }

    /// The filter of a field that leads to rows, beside that of their object.
    func filter(of field: String, on type: String) -> PlanObject? {
        record.isInRule ? nil : permissions.rule(type, field)?.filter.map { Self.value(.object($0)).asObject ?? [:] }
    }

    /// What is stored instead of what the request says.
    func stamps(_ operation: RolePermissions.Operation, _ object: DataObject) -> PlanObject {
        permissions.rule(operation.rawValue, object.name)?.data.flatMap { Self.value(.object($0)).asObject } ?? [:]
    }

    func stamps(of field: String, on type: String) -> PlanObject {
        permissions.rule(type, field)?.data.flatMap { Self.value(.object($0)).asObject } ?? [:]
    }

    /// A value of a rule, with placeholders. What the identity does not have is null in the database, and equals nothing.
    private static func value(_ json: JSONValue) -> PlanValue {
        switch json {
        case .string(let text) where text.hasPrefix("[$auth.") && text.hasSuffix("]"): .identity(String(text.dropFirst(2).dropLast()))
        case .array(let elements): .list(elements.map(value))
        case .object(let members): .object(members.map { ($0.key, value($0.value)) })
        default: .known(json)
        }
    }
}

extension PlanObject {
    /// With other members in the place of those of the same name.
    func stamped(with stamps: PlanObject) -> PlanObject {
        var result = self
        for (key, value) in stamps { result[key] = value }
        return result
    }
}
