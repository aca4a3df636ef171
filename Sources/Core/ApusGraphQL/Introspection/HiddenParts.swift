/// Parts of a schema that introspection does not tell. They may be asked for all the same.
public struct HiddenParts: Sendable {
    /// By their names.
    public var types: Set<String>
    /// Whether a field of a type is hidden by itself.
    private let isHidden: @Sendable (_ field: String, _ type: String) -> Bool

    public init(types: Set<String> = [], isHidden: @escaping @Sendable (_ field: String, _ type: String) -> Bool = { _, _ in false }) {
        self.types = types
        self.isHidden = isHidden
    }

    /// A field is told of where it is not hidden, and neither is a type that it needs.
    public func hides(_ field: FieldDefinition, of type: NamedType, in schema: GraphQLSchema) -> Bool {
        isHidden(field.name, type.name) || types.contains(schema[field.type.named].name)
            || field.arguments.contains { types.contains(schema[$0.type.named].name) }
    }

    func hides(_ input: InputValue, of type: NamedType, in schema: GraphQLSchema) -> Bool {
        isHidden(input.name, type.name) || types.contains(schema[input.type.named].name)
    }
}
