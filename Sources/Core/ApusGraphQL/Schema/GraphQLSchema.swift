public import ApusTypes

/// A type system: immutable, built from texts in the schema definition language, whose documents it keeps.
///
/// Custom directives are data of whoever defines them: what is applied to a type, a field or an argument is asked with
/// `directives(on:)` and costs nothing before.
public final class GraphQLSchema: Sendable {
    /// In the order in which the texts define or first mention them.
    public let types: [NamedType]
    public let directives: [DirectiveDefinition]
    public let description: String?
    let documents: [GraphQLDocument]
    /// Definition and extensions of the schema itself.
    let origins: [Origin]
    let scalars: [String: ScalarCoercion]
    private let roots: [OperationKind: TypeID]
    private let places: [String: TypeID]
    private let directivePlaces: [String: Int]
    /// `__schema`, `__type` and `__typename`, which are in no type.
    private let metaFields: [FieldDefinition]
    /// The objects that implement an interface.
    private let implementations: [TypeID: [TypeID]]
    /// By the input value's number.
    let defaults: [JSONValue?]

    init(_ parts: SchemaBuilder.Parts) {
        types = parts.types
        directives = parts.directives
        description = parts.description
        documents = parts.documents
        origins = parts.origins
        scalars = parts.scalars
        roots = parts.roots
        metaFields = parts.metaFields
        places = parts.places
        directivePlaces = Dictionary(zip(parts.directives.map(\.name), parts.directives.indices), uniquingKeysWith: { $1 })
        var implementations: [TypeID: [TypeID]] = [:]
        for type in parts.types where type.kind == .object {
            for interface in type.interfaces where parts.types[interface.offset].kind == .interface {
                implementations[interface, default: []].append(type.id)
            }
        }
        self.implementations = implementations
        defaults = DefaultValues.coerced(parts)
    }
}

extension GraphQLSchema {
    /// What the specification defines, and nothing else: what a schema may be made from by extending.
    public static let empty: GraphQLSchema = {
        let nothing = GraphQLDocument(
            source: SourceText([]), nodes: [Node(kind: .document, start: 0, end: 0, next: 1)], names: [])
        do throws(GraphQLErrors) {
            return try GraphQLSchema(assembling: [nothing])
        } catch {
            // The prelude is a constant, which a test builds.
            preconditionFailure("the prelude does not build: \(error)")
        }
    }()
}

// MARK: - Types

extension GraphQLSchema {
    public subscript(id: TypeID) -> NamedType { types[id.offset] }
    public func type(_ name: String) -> NamedType? { places[name].map { types[$0.offset] } }
    public func rootType(_ kind: OperationKind) -> NamedType? { roots[kind].map { types[$0.offset] } }
    public func directive(_ name: String) -> DirectiveDefinition? { directivePlaces[name].map { directives[$0] } }
    func named(_ reference: TypeReference) -> NamedType { types[reference.named.offset] }

    /// The default of an argument or input field, coerced to its type; nil when there is none.
    public func defaultValue(of input: InputValue) -> JSONValue? { defaults[input.number] }
    /// Non-null and without a default.
    public func isRequired(_ input: InputValue) -> Bool { input.type.isNonNull && defaults[input.number] == nil }

    /// The objects that a value of the type may be.
    public func possibleTypes(of type: NamedType) -> [TypeID] {
        switch type.kind {
        case .union: type.members
        case .interface: implementations[type.id] ?? []
        default: [type.id]
        }
    }

    /// Whether `type` is a member or implementation of the abstract type `abstract`.
    public func isSubtype(_ type: NamedType, of abstract: NamedType) -> Bool {
        abstract.kind == .union ? abstract.members.contains(type.id) : type.interfaces.contains(abstract.id)
    }

    /// Whether a value of type `type` may stand where `supertype` is expected (covariance).
    func isSubtype(_ type: TypeReference, of supertype: TypeReference) -> Bool {
        if type == supertype { return true }
        if supertype.isNonNull { return type.isNonNull && isSubtype(type.unwrapped, of: supertype.unwrapped) }
        if type.isNonNull { return isSubtype(type.unwrapped, of: supertype) }
        if supertype.isList { return type.isList && isSubtype(type.unwrapped, of: supertype.unwrapped) }
        if type.isList { return false }
        let abstract = named(supertype)
        return abstract.kind.isAbstract && named(type).kind.hasFields && isSubtype(named(type), of: abstract)
    }

    /// Whether some object may be of both composite types.
    func overlap(_ left: NamedType, _ right: NamedType) -> Bool {
        if left.id == right.id { return true }
        if left.kind.isAbstract {
            if right.kind.isAbstract {
                let possible = Set(possibleTypes(of: right))
                return possibleTypes(of: left).contains { possible.contains($0) }
            }
            return isSubtype(right, of: left)
        }
        return right.kind.isAbstract && isSubtype(left, of: right)
    }

    /// As the schema language writes it: `[Int!]!`.
    public func text(_ type: TypeReference) -> String {
        if type.isNonNull { return text(type.unwrapped) + "!" }
        if type.isList { return "[" + text(type.unwrapped) + "]" }
        return named(type).name
    }

    /// The type that a document names; nil when there is none of that name.
    public func type(_ document: GraphQLDocument, _ node: NodeID) -> TypeReference? {
        switch document.kind(of: node) {
        case .listType: type(document, document.type(of: node)).flatMap { $0.wrapped(inList: true) }
        case .nonNullType: type(document, document.type(of: node)).flatMap { $0.wrapped(inList: false) }
        default: places[document.requiredName(of: node)].map { TypeReference($0) }
        }
    }

    /// The field `name` of a type, with `__typename` of composite types and `__schema` and `__type` of the query type.
    public func field(_ name: String, of type: NamedType) -> FieldDefinition? {
        if name.utf8.first == UInt8(ascii: "_"), name.hasPrefix("__"), let field = metaField(name, of: type) { return field }
        return type.field(name)
    }

    private func metaField(_ name: String, of type: NamedType) -> FieldDefinition? {
        let isHere = name == "__typename" ? type.kind.isComposite : type.id == roots[.query]
        return isHere ? metaFields.first { $0.name == name } : nil
    }
}
