/// A node of a document: its place in the document's list of nodes. Meaningless in another document.
public struct NodeID: Sendable, Hashable {
    let index: Int32

    init(_ index: Int) { self.index = Int32(truncatingIfNeeded: index) }
    init(index: Int32) { self.index = index }
    var offset: Int { Int(index) }
}

public enum NodeKind: UInt8, Sendable, Hashable, CaseIterable {
    case document, name
    // Operations
    case operationDefinition, variableDefinition, variable, selectionSet, field, argument, fragmentSpread, inlineFragment
    case fragmentDefinition, directive
    // Values
    case intValue, floatValue, stringValue, booleanValue, nullValue, enumValue, listValue, objectValue, objectField
    // Types
    case namedType, listType, nonNullType
    // The type system
    case schemaDefinition, operationTypeDefinition, scalarTypeDefinition, objectTypeDefinition, fieldDefinition, inputValueDefinition
    case interfaceTypeDefinition, unionTypeDefinition, enumTypeDefinition, enumValueDefinition, inputObjectTypeDefinition
    case directiveDefinition
    case schemaExtension, scalarTypeExtension, objectTypeExtension, interfaceTypeExtension, unionTypeExtension, enumTypeExtension
    case inputObjectTypeExtension

    public var isValue: Bool { self == .variable || (NodeKind.intValue.rawValue...NodeKind.objectValue.rawValue).contains(rawValue) }
    public var isType: Bool { self == .namedType || self == .listType || self == .nonNullType }
    public var isExecutable: Bool { self == .operationDefinition || self == .fragmentDefinition }

    public var isTypeDefinition: Bool {
        switch self {
        case .scalarTypeDefinition, .objectTypeDefinition, .interfaceTypeDefinition, .unionTypeDefinition, .enumTypeDefinition,
            .inputObjectTypeDefinition:
            true
        default: false
        }
    }

    public var isTypeExtension: Bool { rawValue > NodeKind.schemaExtension.rawValue }
}

/// The kind of an operation, and the root type that it selects from.
public enum OperationKind: UInt8, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    case query, mutation, subscription

    public var description: String {
        switch self {
        case .query: "query"
        case .mutation: "mutation"
        case .subscription: "subscription"
        }
    }
}

/// One entry of the list of nodes: 20 bytes.
struct Node: Sendable {
    var kind: NodeKind
    var flags: Flags = []
    /// Byte offsets: of the first token, and behind the last one.
    var start: Int32
    var end: Int32
    /// The first node that is not below this one.
    var next: Int32
    /// The number of the name in the document's names, for what has one.
    var symbol: Symbol = .none

    struct Flags: OptionSet {
        let rawValue: UInt8

        /// Of a field: its first child is the alias's name.
        static let alias = Flags(rawValue: 1)
        /// Of a definition: its first child is a description.
        static let description = Flags(rawValue: 1 << 1)
        /// Of a string.
        static let block = Flags(rawValue: 1 << 2)
        /// Of a Boolean value; of a directive definition that is repeatable.
        static let isTrue = Flags(rawValue: 1 << 3)
        static let mutation = Flags(rawValue: 1 << 4)
        static let subscription = Flags(rawValue: 1 << 5)
    }
}

/// The number of a name within its document: names are equal if and only if their numbers are.
public struct Symbol: Sendable, Hashable {
    let index: Int32

    static let none = Symbol(index: -1)
}
