public import ApusTypes

/// The fields of an operation that share a response key: one field of the response.
public struct CollectedField: Sendable, Hashable {
    public let responseKey: String
    public let name: String
    /// In the order of the text. They agree in field and arguments, which validation has seen to; their selections are merged.
    public fileprivate(set) var nodes: [NodeID]
}

/// Flattens selections to fields in request order, with fragments spread and `@skip` and `@include` applied (section "CollectFields").
public struct FieldCollector: Sendable {
    public let schema: GraphQLSchema
    public let document: GraphQLDocument
    /// Coerced.
    public let variables: JSONObject
    private let fragments: [Symbol: NodeID]

    public init(schema: GraphQLSchema, document: GraphQLDocument, variables: JSONObject) {
        self.schema = schema
        self.document = document
        self.variables = variables
        fragments = Dictionary(document.fragments.map { (document.symbol(of: $0), $0) }, uniquingKeysWith: { $1 })
    }

    /// The fields of an operation, selected from its root type.
    public func fields(of operation: NodeID, on root: NamedType) -> [CollectedField] {
        fields(of: document.selectionSet(of: operation).map { [$0] } ?? [], on: root)
    }

    /// What is selected from an object of type `type` as the value of a field.
    public func subfields(of field: CollectedField, on type: NamedType) -> [CollectedField] {
        fields(of: field.nodes.compactMap { document.selectionSet(of: $0) }, on: type)
    }

    /// Without recursion: fragments may form a chain as long as the document.
    func fields(of selectionSets: [NodeID], on type: NamedType) -> [CollectedField] {
        var fields: [CollectedField] = []
        var places: [Symbol: Int] = [:]
        var spread: Set<Symbol> = []
        var open = selectionSets.reversed().map { document.children(of: $0) }
        while !open.isEmpty {
            guard let node = open[open.count - 1].next() else {
                open.removeLast()
                continue
            }
            guard isIncluded(node) else { continue }
            switch document.kind(of: node) {
            case .field:
                let key = document.responseSymbol(of: node)
                if let place = places[key] {
                    fields[place].nodes.append(node)
                } else {
                    places[key] = fields.count
                    fields.append(
                        CollectedField(responseKey: document.text(of: key), name: document.requiredName(of: node), nodes: [node]))
                }
            case .fragmentSpread:
                let name = document.symbol(of: node)
                guard spread.insert(name).inserted, let fragment = fragments[name], applies(fragment, to: type) else { continue }
                if let nested = document.selectionSet(of: fragment) { open.append(document.children(of: nested)) }
            default:
                guard applies(node, to: type) else { continue }
                if let nested = document.selectionSet(of: node) { open.append(document.children(of: nested)) }
            }
        }
        return fields
    }

    private func applies(_ fragment: NodeID, to type: NamedType) -> Bool {
        guard let condition = document.typeCondition(of: fragment) else { return true }
        guard let expected = schema.type(document.requiredName(of: condition)) else { return false }
        return expected.id == type.id || (expected.kind.isAbstract && schema.isSubtype(type, of: expected))
    }

    /// A condition whose value is not there excludes nothing: validation and the coercion of variables have refused such a request.
    private func isIncluded(_ node: NodeID) -> Bool {
        guard document.firstChild(of: node, .directive) != nil else { return true }
        return document.directives(of: node).allSatisfy { directive in
            switch document.name(of: directive) {
            case "skip": condition(directive) != true
            case "include": condition(directive) != false
            default: true
            }
        }
    }

    private func condition(_ directive: NodeID) -> Bool? {
        guard let argument = document.arguments(of: directive).first(where: { document.name(of: $0) == "if" }) else { return nil }
        let value = document.value(of: argument)
        return switch document.kind(of: value) {
        case .booleanValue: document.isTrue(value)
        case .variable: variables[document.requiredName(of: value)]?.asBool
        default: nil
        }
    }
}
