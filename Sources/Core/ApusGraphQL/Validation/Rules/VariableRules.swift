/// Where variables are used, by the definition in which they are; the operations that are judged by it when all is visited.
struct VariableUsages {
    struct Usage {
        var node: NodeID
        var type: TypeReference?
        var hasDefault: Bool
    }

    private(set) var byDefinition: [NodeID: [Usage]] = [:]
    /// Operations, and how many errors there were when each was left: its own errors belong there.
    private(set) var operations: [(node: NodeID, place: Int)] = []
    private var current: NodeID?

    mutating func begin(_ definition: NodeID) { current = definition }
    mutating func leaveOperation(_ errors: Int) { if let current { operations.append((current, errors)) } }
    mutating func add(_ usage: Usage) { if let current { byDefinition[current, default: []].append(usage) } }
}

/// Variables: unique, of input types, defined, used, and of types that fit where they are used.
extension Validator {
    func checkUniqueVariableNames(_ node: NodeID) {
        for group in Duplicates.groups(document.children(of: node, .variableDefinition), document.symbol(of:)) {
            report(
                "There can be only one variable named \"$\(document.requiredName(of: group[0]))\".",
                group.map { document.nameNode(of: NodeID($0.offset + 1)) })
        }
    }

    func checkVariableType(_ node: NodeID) {
        let typeNode = document.type(of: node)
        guard let schema, let type = schema.type(document, typeNode), !schema.named(type).kind.isInput else { return }
        report(
            "Variable \"$\(document.requiredName(of: node))\" cannot be non-input type \"\(document.printed(typeNode))\".", typeNode)
    }

    func useVariable(_ node: NodeID) {
        guard let parent = ancestors.last, document.kind(of: parent) != .variableDefinition else { return }
        usages.add(.init(node: node, type: tracker?.input, hasDefault: tracker?.hasDefault ?? false))
    }

    /// An operation uses what its fragments use, and they may stand behind it. So this comes last, and the errors go where the operation
    /// ended.
    func insertVariableErrors() {
        guard isAsked(.noUndefinedVariables) || isAsked(.noUnusedVariables) || isAsked(.variablesInAllowedPosition) else { return }
        for (operation, place) in usages.operations.reversed() {
            let all = errors
            errors = []
            checkVariables(of: operation)
            errors = all[..<place] + errors + all[place...]
        }
    }

    private func checkVariables(of operation: NodeID) {
        let definitions = document.children(of: operation, .variableDefinition)
        let used = ([operation] + graph.fragments(of: operation)).flatMap { usages.byDefinition[$0] ?? [] }
        let byName = Dictionary(definitions.map { (document.symbol(of: $0), $0) }, uniquingKeysWith: { $1 })
        if isAsked(.noUndefinedVariables) {
            let context = document.name(of: operation).map { " by operation \"\($0)\"" } ?? ""
            for usage in used where byName[document.symbol(of: usage.node)] == nil && errors.count <= limit {
                report("Variable \"$\(document.requiredName(of: usage.node))\" is not defined\(context).", [usage.node, operation])
            }
        }
        if isAsked(.noUnusedVariables) {
            let context = document.name(of: operation).map { " in operation \"\($0)\"" } ?? ""
            let names = Set(used.map { document.symbol(of: $0.node) })
            for definition in definitions where !names.contains(document.symbol(of: definition)) && errors.count <= limit {
                report("Variable \"$\(document.requiredName(of: definition))\" is never used\(context).", definition)
            }
        }
        guard isAsked(.variablesInAllowedPosition) else { return }
        for usage in used where errors.count <= limit {
            guard let schema, let definition = byName[document.symbol(of: usage.node)], let expected = usage.type,
                let type = schema.type(document, document.type(of: definition)),
                !isAllowed(type, document.defaultValue(of: definition), expected, usage.hasDefault, schema)
            else { continue }
            report(
                "Variable \"$\(document.requiredName(of: usage.node))\" of type \"\(schema.text(type))\" used in position expecting type \"\(schema.text(expected))\".",
                [definition, usage.node])
        }
    }

    /// A default, of the variable or of the place, makes up for a type that may be null.
    private func isAllowed(
        _ type: TypeReference, _ defaultValue: NodeID?, _ expected: TypeReference, _ hasDefault: Bool, _ schema: GraphQLSchema
    ) -> Bool {
        guard expected.isNonNull, !type.isNonNull else { return schema.isSubtype(type, of: expected) }
        let hasOwnDefault = defaultValue.map { document.kind(of: $0) != .nullValue } ?? false
        return (hasOwnDefault || hasDefault) && schema.isSubtype(type, of: expected.unwrapped)
    }
}
