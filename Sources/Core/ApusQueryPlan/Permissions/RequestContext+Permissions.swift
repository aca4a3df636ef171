internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// What a request may do.
extension RequestContext {
    private var permissions: RolePermissions { planner.permissions }
    static let forbidden = GraphQLError("forbidden")

    /// A field that is asked for. `__typename` says nothing that the schema does not.
    func allow(_ field: String, on type: String) throws(GraphQLError) {
        guard !record.isInRule, !field.hasPrefix("__") else { return }
        let meaning = planner.api.meaning(of: field, on: type)
        if case .function(let id)? = meaning, !permissions.manages, let source = model.functions[id]?.source, manages(source),
            permissions.rule(naming: type, field) == nil
        {
            throw Self.forbidden
        }
        // It tells of nothing that is hidden, and of no data.
        if case .description? = meaning { return }
        let isGuarded = model.objects[type] != nil || meaning != nil
        guard permissions.rule(type, field).map({ !$0.isDisabled }) ?? !(permissions.deniesByDefault && isGuarded) else {
            throw Self.forbidden
        }
    }

    /// A member of an object that rows are found, ordered, joined or grouped by: who may not see a column must not learn it that way.
    func allow(_ member: String, of object: DataObject) throws(GraphQLError) { try allow(member, on: object.name) }

    /// A function that is called for rows: who may not call it must not do so that way.
    func allow(calling function: DataFunction) throws(GraphQLError) {
        let module = function.module.replacing(".", with: "_")
        try allow(function.name, on: module.isEmpty ? "Function" : "_module_\(module)_function")
    }

    /// Members of what a mutation stores.
    func allow(inputs data: PlanObject, _ suffix: String, of object: DataObject) throws(GraphQLError) {
        for (name, _) in data where permissions.rule(object.name + suffix, name)?.isDisabled == true { throw Self.forbidden }
    }

    /// The filter that rows have to pass; nil where all may be seen, or changed. An object that may not be queried may not be changed.
    func filter(_ operation: RolePermissions.Operation, _ object: DataObject) throws(GraphQLError) -> PlanObject? {
        guard !record.isInRule else { return nil }
        var filter: JSONObject?
        for operation in operation == .query ? [.query] : [RolePermissions.Operation.query, operation] {
            let isClosed = !permissions.manages && manages(object.source)
            let rule = isClosed ? permissions.rule(about: object.name, operation) : permissions.rule(operation.rawValue, object.name)
            guard rule.map({ !$0.isDisabled }) ?? !(permissions.deniesByDefault || isClosed) else { throw Self.forbidden }
            filter = rule?.filter ?? filter
        }
        return filter.map { Self.value(.object($0)).asObject ?? [:] }
    }

    private func manages(_ source: String) -> Bool { model.sources[source]?.isManagement == true }

    /// What an insertion stores, with the rows that come with it: checked, and with what rules store instead.
    func allowed(inserting data: PlanObject, into object: DataObject, _ stamps: PlanObject) throws(GraphQLError) -> PlanObject {
        _ = try filter(.insert, object)
        try allow(inputs: data, "_mut_input_data", of: object)
        var allowed = data.stamped(with: stamps.stamped(with: self.stamps(.insert, object)))
        for (name, value) in allowed {
            guard let navigation = object.navigation(name), let related = model.objects[navigation.target] else { continue }
            if case .junction(let between, _, _) = navigation.path, !value.isNull { _ = try filter(.insert, try self.object(between)) }
            if let rows = value.asArray {
                var list: [PlanValue] = []
                for row in rows { list.append(.object(try self.allowed(inserting: row.asObject ?? [:], into: related, [:]).members)) }
                allowed[name] = .list(list)
            } else if let row = value.asObject {
                allowed[name] = .object(try self.allowed(inserting: row, into: related, [:]).members)
            }
        }
        return allowed
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
