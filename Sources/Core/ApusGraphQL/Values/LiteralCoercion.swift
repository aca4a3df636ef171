import ApusTypes

/// Literals of documents to values of types (section "Input Types" of the specification). Nothing is said about what is wrong: validation
/// has said it before.
struct LiteralCoercion {
    let types: [NamedType]
    let scalars: [String: ScalarCoercion]
    let defaultValue: (InputValue) -> JSONValue?

    /// Nil when the literal is no value of the type.
    func value(_ document: GraphQLDocument, _ node: NodeID, _ type: TypeReference, _ variables: JSONObject) -> JSONValue? {
        let kind = document.kind(of: node)
        if kind == .variable {
            // A variable's value was coerced to the variable's type, which validation has compared.
            guard let value = variables[document.requiredName(of: node)], !(value.isNull && type.isNonNull) else { return nil }
            return value
        }
        if type.isNonNull { return kind == .nullValue ? nil : value(document, node, type.unwrapped, variables) }
        if kind == .nullValue { return .null }
        if type.isList {
            let item = type.unwrapped
            guard kind == .listValue else { return value(document, node, item, variables).map { .array([$0]) } }
            var values: [JSONValue] = []
            for child in document.children(of: node) {
                if isMissing(document, child, variables) {
                    if item.isNonNull { return nil }
                    values.append(.null)
                } else {
                    guard let value = value(document, child, item, variables) else { return nil }
                    values.append(value)
                }
            }
            return .array(values)
        }
        let named = types[type.named.offset]
        switch named.kind {
        case .inputObject: return kind == .objectValue ? object(document, node, named, variables) : nil
        case .scalar, .enumeration: return leaf(Literal(document: document, node: node, variables: variables), named)
        default: return nil
        }
    }

    private func object(
        _ document: GraphQLDocument, _ node: NodeID, _ type: NamedType, _ variables: JSONObject
    ) -> JSONValue? {
        var object = JSONObject()
        // Validation lets only one of a name pass.
        let given = Dictionary(
            document.children(of: node).lazy.map { (document.requiredName(of: $0), document.value(of: $0)) }, uniquingKeysWith: { $1 })
        for field in type.inputFields {
            if let node = given[field.name], !isMissing(document, node, variables) {
                guard let value = value(document, node, field.type, variables) else { return nil }
                object[field.name] = value
            } else if let value = defaultValue(field) {
                object[field.name] = value
            } else if field.type.isNonNull {
                return nil
            }
        }
        return .object(object)
    }

    private func isMissing(_ document: GraphQLDocument, _ node: NodeID, _ variables: JSONObject) -> Bool {
        document.kind(of: node) == .variable && variables[document.requiredName(of: node)] == nil
    }

    private func leaf(_ literal: Literal, _ type: NamedType) -> JSONValue? {
        do throws(ScalarProblem) {
            return try LeafValues.fromLiteral(literal, type, scalars)
        } catch {
            return nil
        }
    }
}

/// Values of scalars and enums.
enum LeafValues {
    static func fromLiteral(
        _ literal: Literal, _ type: NamedType, _ scalars: [String: ScalarCoercion]
    ) throws(ScalarProblem) -> JSONValue {
        if type.kind == .scalar { return try coercion(type, scalars).fromLiteral(literal) }
        guard literal.kind == .enumValue else {
            let text = literal.printed
            throw ScalarProblem("Enum \"\(type.name)\" cannot represent non-enum value: \(text).\(suggestions(text, type))")
        }
        return try named(literal.document.requiredName(of: literal.node), type)
    }

    static func fromValue(_ value: JSONValue, _ type: NamedType, _ scalars: [String: ScalarCoercion]) throws(ScalarProblem) -> JSONValue {
        if type.kind == .scalar { return try coercion(type, scalars).fromValue(value) }
        guard case .string(let name) = value else {
            let text = Inspection.text(value)
            throw ScalarProblem("Enum \"\(type.name)\" cannot represent non-string value: \(text).\(suggestions(text, type))")
        }
        return try self.named(name, type)
    }

    private static func named(_ name: String, _ type: NamedType) throws(ScalarProblem) -> JSONValue {
        guard type.enumValue(name) != nil else {
            throw ScalarProblem("Value \"\(name)\" does not exist in \"\(type.name)\" enum.\(suggestions(name, type))")
        }
        return .string(name)
    }

    private static func coercion(_ type: NamedType, _ scalars: [String: ScalarCoercion]) -> ScalarCoercion {
        ScalarCoercion.specified[type.name] ?? scalars[type.name] ?? .anything
    }

    private static func suggestions(_ text: String, _ type: NamedType) -> String {
        Suggestions.didYouMean(text, among: type.enumValues.map(\.name), "the enum value")
    }
}

/// The defaults of all arguments and input fields. One may need another's: `input A { b: B = {} }` has the defaults of `B` in it.
final class DefaultValues {
    private let parts: SchemaBuilder.Parts
    private var values: [JSONValue?]
    /// Known, or being found: what needs itself has none.
    private var isTaken: [Bool]

    static func coerced(_ parts: SchemaBuilder.Parts) -> [JSONValue?] {
        let finder = DefaultValues(parts)
        for input in parts.inputs { _ = finder.value(of: input) }
        return finder.values
    }

    private init(_ parts: SchemaBuilder.Parts) {
        self.parts = parts
        values = Array(repeating: nil, count: parts.inputs.count)
        isTaken = Array(repeating: false, count: parts.inputs.count)
    }

    private func value(of input: InputValue) -> JSONValue? {
        guard let node = input.defaultNode, !isTaken[input.number] else { return values[input.number] }
        isTaken[input.number] = true
        let coercion = LiteralCoercion(types: parts.types, scalars: parts.scalars) { self.value(of: $0) }
        values[input.number] = coercion.value(parts.documents[input.origin.document], node, input.type, JSONObject())
        return values[input.number]
    }
}
