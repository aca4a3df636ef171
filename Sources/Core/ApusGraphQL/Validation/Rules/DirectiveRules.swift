/// The directives that a document may use: those that it defines itself, then the schema's, or the specified ones where there is no schema.
struct DirectiveTable {
    struct Entry {
        var locations: [DirectiveLocation]
        var arguments: [(name: String, requiredType: String?)]
        var isRepeatable: Bool
    }

    private var own: [String: Entry] = [:]
    private let schema: GraphQLSchema

    init(_ document: GraphQLDocument, _ schema: GraphQLSchema?) {
        self.schema = schema ?? .empty
        for node in document.definitions where document.kind(of: node) == .directiveDefinition {
            let locations = document.directiveLocationNames(of: node).compactMap { document.name(of: $0) }
            own[document.requiredName(of: node)] = Entry(
                locations: locations.compactMap(DirectiveLocation.init(rawValue:)),
                arguments: document.children(of: node, .inputValueDefinition).map { argument in
                    let type = document.type(of: argument)
                    let isRequired = document.kind(of: type) == .nonNullType && document.defaultValue(of: argument) == nil
                    return (document.requiredName(of: argument), isRequired ? document.printed(type) : nil)
                }, isRepeatable: document.isTrue(node))
        }
    }

    subscript(name: String) -> Entry? {
        if let entry = own[name] { return entry }
        return schema.directive(name).map { directive in
            Entry(
                locations: directive.locations,
                arguments: directive.arguments.map { ($0.name, schema.isRequired($0) ? schema.text($0.type) : nil) },
                isRepeatable: directive.isRepeatable)
        }
    }
}

extension Validator {
    func checkKnownDirective(_ node: NodeID) {
        let name = document.requiredName(of: node)
        guard let directive = knownDirectives[name], !directive.locations.isEmpty else {
            return report("Unknown directive \"@\(name)\".", node)
        }
        if let location = locationOfDirectives(), !directive.locations.contains(location) {
            report("Directive \"@\(name)\" may not be used on \(location.rawValue).", node)
        }
    }

    /// Where the directives of the node around are.
    private func locationOfDirectives() -> DirectiveLocation? {
        guard let parent = ancestors.last else { return nil }
        return switch document.kind(of: parent) {
        case .operationDefinition:
            switch document.operationKind(of: parent) {
            case .query: .query
            case .mutation: .mutation
            case .subscription: .subscription
            }
        case .field: .field
        case .fragmentSpread: .fragmentSpread
        case .inlineFragment: .inlineFragment
        case .fragmentDefinition: .fragmentDefinition
        case .variableDefinition: .variableDefinition
        case .schemaDefinition, .schemaExtension: .schema
        case .scalarTypeDefinition, .scalarTypeExtension: .scalar
        case .objectTypeDefinition, .objectTypeExtension: .object
        case .fieldDefinition: .fieldDefinition
        case .interfaceTypeDefinition, .interfaceTypeExtension: .interface
        case .unionTypeDefinition, .unionTypeExtension: .union
        case .enumTypeDefinition, .enumTypeExtension: .enumeration
        case .enumValueDefinition: .enumValue
        case .inputObjectTypeDefinition, .inputObjectTypeExtension: .inputObject
        case .inputValueDefinition: isInputField(parent) ? .inputFieldDefinition : .argumentDefinition
        default: nil
        }
    }

    private func isInputField(_ node: NodeID) -> Bool {
        guard ancestors.count > 1 else { return false }
        let kind = document.kind(of: ancestors[ancestors.count - 2])
        return kind == .inputObjectTypeDefinition || kind == .inputObjectTypeExtension
    }

    func checkUniqueDirectives(_ node: NodeID, _ kind: NodeKind) {
        // Most nodes have none: no list is made for them.
        guard document.firstChild(of: node, .directive) != nil else { return }
        var seen: [Symbol: NodeID] = [:]
        let isSchema = kind == .schemaDefinition || kind == .schemaExtension
        let isType = kind.isTypeDefinition || kind.isTypeExtension
        // A definition and its extensions are one location.
        if isSchema { seen = definitions.schemaDirectives }
        if isType { seen = definitions.typeDirectives[document.symbol(of: node)] ?? [:] }
        for directive in document.directives(of: node) {
            let name = document.requiredName(of: directive)
            guard let entry = knownDirectives[name], !entry.isRepeatable else { continue }
            if let first = seen[document.symbol(of: directive)] {
                report("The directive \"@\(name)\" can only be used once at this location.", [first, directive])
            } else {
                seen[document.symbol(of: directive)] = directive
            }
        }
        if isSchema { definitions.schemaDirectives = seen }
        if isType { definitions.typeDirectives[document.symbol(of: node)] = seen }
    }
}
