import ApusTypes

/// What a document holds at its top: first definitions by name.
struct NameTables {
    /// The last fragment of each name, as in JavaScript's maps.
    private(set) var fragments: [Symbol: NodeID] = [:]
    private(set) var operations: [Symbol: NodeID] = [:]
    private(set) var firstFragments: [Symbol: NodeID] = [:]
    private(set) var operationCount = 0

    init(_ document: GraphQLDocument) {
        for node in document.definitions {
            let symbol = document.symbol(of: node)
            switch document.kind(of: node) {
            case .fragmentDefinition:
                fragments[symbol] = node
                if firstFragments[symbol] == nil { firstFragments[symbol] = node }
            case .operationDefinition:
                operationCount += 1
                if symbol != .none, operations[symbol] == nil { operations[symbol] = node }
            default: break
            }
        }
    }
}

/// Executable definitions, operation names, lone anonymous operations, subscriptions with a single field.
extension Validator {
    func checkExecutableDefinitions() {
        for node in document.definitions where !document.kind(of: node).isExecutable {
            let kind = document.kind(of: node)
            let name = kind == .schemaDefinition || kind == .schemaExtension ? "schema" : "\"\(document.requiredName(of: node))\""
            report("The \(name) definition is not executable.", node)
        }
    }

    func checkUniqueOperationName(_ node: NodeID) {
        guard let name = document.name(of: node), let first = names.operations[document.symbol(of: node)], first != node else { return }
        report("There can be only one operation named \"\(name)\".", [document.nameNode(of: first), document.nameNode(of: node)])
    }

    func checkLoneAnonymousOperation(_ node: NodeID) {
        guard document.name(of: node) == nil, names.operationCount > 1 else { return }
        report("This anonymous operation must be the only defined operation.", node)
    }

    func checkSingleFieldSubscription(_ node: NodeID) {
        guard document.operationKind(of: node) == .subscription, let schema, let root = schema.rootType(.subscription),
            let selections = document.selectionSet(of: node)
        else { return }
        let collector = FieldCollector(schema: schema, document: document, variables: [:])
        let fields = collector.fields(of: [selections], on: root)
        let subject = document.name(of: node).map { "Subscription \"\($0)\"" } ?? "Anonymous Subscription"
        if fields.count > 1 {
            report("\(subject) must select only one top level field.", fields.dropFirst().flatMap(\.nodes))
        }
        for field in fields where field.name.hasPrefix("__") {
            report("\(subject) must not select an introspection top level field.", field.nodes)
        }
    }
}
