public enum TypeKind: String, Sendable, Hashable, CaseIterable {
    case scalar = "SCALAR"
    case object = "OBJECT"
    case interface = "INTERFACE"
    case union = "UNION"
    case enumeration = "ENUM"
    case inputObject = "INPUT_OBJECT"

    public var isInput: Bool { self == .scalar || self == .enumeration || self == .inputObject }
    public var isOutput: Bool { self != .inputObject }
    public var isComposite: Bool { self == .object || self == .interface || self == .union }
    public var isAbstract: Bool { self == .interface || self == .union }
    public var isLeaf: Bool { self == .scalar || self == .enumeration }
    public var hasFields: Bool { self == .object || self == .interface }
}

/// Where in the schema's texts something is defined or extended: for errors, and for the directives applied there.
struct Origin: Sendable, Hashable {
    var document: Int
    var node: NodeID
}

/// A named type of a schema. Immutable, and compared by its place in its schema.
public final class NamedType: Sendable {
    public let id: TypeID
    public let name: String
    public let kind: TypeKind
    public let description: String?
    /// Of objects and interfaces.
    public let fields: [FieldDefinition]
    /// Of input objects.
    public let inputFields: [InputValue]
    public let enumValues: [EnumValue]
    /// That an object or interface implements.
    public let interfaces: [TypeID]
    /// The objects of a union.
    public let members: [TypeID]
    /// Of a scalar.
    public let specifiedByURL: String?
    let origins: [Origin]
    private let places: [String: Int]

    init(
        id: TypeID, name: String, kind: TypeKind, description: String?, fields: [FieldDefinition], inputFields: [InputValue],
        enumValues: [EnumValue], interfaces: [TypeID], members: [TypeID], specifiedByURL: String?, origins: [Origin]
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.description = description
        self.fields = fields
        self.inputFields = inputFields
        self.enumValues = enumValues
        self.interfaces = interfaces
        self.members = members
        self.specifiedByURL = specifiedByURL
        self.origins = origins
        let names =
            switch kind {
            case .object, .interface: fields.map(\.name)
            case .inputObject: inputFields.map(\.name)
            case .enumeration: enumValues.map(\.name)
            case .scalar, .union: [String]()
            }
        places = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
    }

    public func field(_ name: String) -> FieldDefinition? { kind.hasFields ? places[name].map { fields[$0] } : nil }
    public func inputField(_ name: String) -> InputValue? { kind == .inputObject ? places[name].map { inputFields[$0] } : nil }
    public func enumValue(_ name: String) -> EnumValue? { kind == .enumeration ? places[name].map { enumValues[$0] } : nil }

    /// Whether it is one of the types that describe a schema.
    public var isIntrospection: Bool { Prelude.introspectionTypes.contains(name) }
    public var isSpecifiedScalar: Bool { Prelude.scalars.contains(name) }
}

public final class FieldDefinition: Sendable {
    public let name: String
    public let description: String?
    public let type: TypeReference
    public let arguments: [InputValue]
    public let deprecationReason: String?
    let origin: Origin

    init(
        name: String, description: String?, type: TypeReference, arguments: [InputValue], deprecationReason: String?, origin: Origin
    ) {
        self.name = name
        self.description = description
        self.type = type
        self.arguments = arguments
        self.deprecationReason = deprecationReason
        self.origin = origin
    }

    /// Fields have few arguments: a walk is faster than a dictionary.
    public func argument(_ name: String) -> InputValue? { arguments.first { $0.name == name } }
}

/// An argument of a field or a directive, or a field of an input object.
public final class InputValue: Sendable {
    public let name: String
    public let description: String?
    public let type: TypeReference
    public let deprecationReason: String?
    /// The place of its default value in the schema's list of them.
    let number: Int
    let defaultNode: NodeID?
    let origin: Origin

    init(
        name: String, description: String?, type: TypeReference, deprecationReason: String?, number: Int, defaultNode: NodeID?,
        origin: Origin
    ) {
        self.name = name
        self.description = description
        self.type = type
        self.deprecationReason = deprecationReason
        self.number = number
        self.defaultNode = defaultNode
        self.origin = origin
    }
}

public final class EnumValue: Sendable {
    public let name: String
    public let description: String?
    public let deprecationReason: String?
    let origin: Origin

    init(name: String, description: String?, deprecationReason: String?, origin: Origin) {
        self.name = name
        self.description = description
        self.deprecationReason = deprecationReason
        self.origin = origin
    }
}
