import ApusTypes

/// JSON to values of input types, gathering every problem. Depth is that of the JSON, which its parser bounds.
struct ValueCoercion {
    let schema: GraphQLSchema
    let limit: Int
    private(set) var problems: [GraphQLSchema.InputProblem] = []
    private var path: [GraphQLError.PathElement] = []

    init(schema: GraphQLSchema, limit: Int) {
        self.schema = schema
        self.limit = limit
    }

    mutating func value(_ value: JSONValue, _ type: TypeReference) -> JSONValue? {
        if type.isNonNull {
            guard value.isNull else { return self.value(value, type.unwrapped) }
            return refuse(value, "Expected non-nullable type \"\(schema.text(type))\" not to be null.")
        }
        if value.isNull { return .null }
        if type.isList {
            guard case .array(let elements) = value else { return self.value(value, type.unwrapped).map { .array([$0]) } }
            return list(elements, type.unwrapped)
        }
        let named = schema.named(type)
        if named.kind == .inputObject {
            guard case .object(let members) = value else { return refuse(value, "Expected type \"\(named.name)\" to be an object.") }
            return object(members, named)
        }
        do throws(ScalarProblem) {
            return try LeafValues.fromValue(value, named, schema.scalars)
        } catch {
            return refuse(value, error.message)
        }
    }

    private mutating func list(_ elements: [JSONValue], _ type: TypeReference) -> JSONValue? {
        var values: [JSONValue] = []
        values.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() where problems.count < limit {
            path.append(.index(index))
            if let value = value(element, type) { values.append(value) }
            path.removeLast()
        }
        guard values.count == elements.count else { return nil }
        return .array(values)
    }

    private mutating func object(_ members: JSONObject, _ type: NamedType) -> JSONValue? {
        var object = JSONObject()
        var isWhole = true
        for field in type.inputFields where problems.count < limit {
            if let member = members[field.name] {
                path.append(.key(field.name))
                let value = value(member, field.type)
                path.removeLast()
                object[field.name] = value
                isWhole = isWhole && value != nil
            } else if let value = schema.defaultValue(of: field) {
                object[field.name] = value
            } else if field.type.isNonNull {
                isWhole = false
                _ = refuse(
                    .object(members), "Field \"\(field.name)\" of required type \"\(schema.text(field.type))\" was not provided.")
            }
        }
        for key in members.keys where type.inputField(key) == nil && problems.count < limit {
            isWhole = false
            let suggestions = Suggestions.didYouMean(key, among: type.inputFields.map(\.name))
            _ = refuse(.object(members), "Field \"\(key)\" is not defined by type \"\(type.name)\".\(suggestions)")
        }
        guard isWhole else { return nil }
        return .object(object)
    }

    private mutating func refuse(_ value: JSONValue, _ message: String) -> JSONValue? {
        if problems.count < limit { problems.append(.init(path: path, value: value, message: message)) }
        return nil
    }
}
