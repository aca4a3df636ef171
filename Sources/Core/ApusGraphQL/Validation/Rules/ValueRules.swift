import ApusTypes

/// Literals of the types that their places ask for.
extension Validator {
    func checkValue(_ node: NodeID, _ kind: NodeKind) {
        guard let schema, let tracker else { return }
        switch kind {
        case .listValue:
            // The type at this place is the items' already.
            guard tracker.parentInput?.nullable.isList != true else { return }
            checkLeaf(node, schema)
            skipValues(below: node)
        case .objectValue:
            guard let input = tracker.input, schema.named(input).kind == .inputObject else {
                checkLeaf(node, schema)
                return skipValues(below: node)
            }
            checkRequiredFields(node, schema.named(input), schema)
        case .objectField:
            guard tracker.input == nil, let parent = parentObject(tracker, schema) else { return }
            let name = document.requiredName(of: node)
            let suggestions = Suggestions.didYouMean(name, among: parent.inputFields.map(\.name))
            report("Field \"\(name)\" is not defined by type \"\(parent.name)\".\(suggestions)", node)
        case .nullValue:
            guard let input = tracker.input, input.isNonNull else { return }
            report("Expected value of type \"\(schema.text(input))\", found null.", node)
        case .variable: break
        default: checkLeaf(node, schema)
        }
    }

    private func skipValues(below node: NodeID) { valuesSkippedBefore = document.nodes[node.offset].next }

    private func parentObject(_ tracker: TypeTracker, _ schema: GraphQLSchema) -> NamedType? {
        tracker.parentInput.map { schema.named($0) }.flatMap { $0.kind == .inputObject ? $0 : nil }
    }

    private func checkRequiredFields(_ node: NodeID, _ type: NamedType, _ schema: GraphQLSchema) {
        let required = type.inputFields.filter { schema.isRequired($0) }
        guard !required.isEmpty else { return }
        let given = Set(document.children(of: node).map { document.requiredName(of: $0) })
        for field in required where !given.contains(field.name) {
            report(
                "Field \"\(type.name).\(field.name)\" of required type \"\(schema.text(field.type))\" was not provided.", node)
        }
    }

    /// Any literal may be a value of a scalar: the scalar says.
    private func checkLeaf(_ node: NodeID, _ schema: GraphQLSchema) {
        guard let input = tracker?.input else { return }
        let type = schema.named(input)
        guard type.kind.isLeaf else {
            return report("Expected value of type \"\(schema.text(input))\", found \(document.printed(node)).", node)
        }
        do throws(ScalarProblem) {
            _ = try LeafValues.fromLiteral(Literal(document: document, node: node, variables: [:]), type, schema.scalars)
        } catch {
            report(error.message, node)
        }
    }

    func checkUniqueInputFields(_ node: NodeID) {
        // Each further one is an error of its own, beside the first.
        let pairs = Duplicates.groups(document.children(of: node, .objectField), document.symbol(of:))
            .flatMap { group in group.dropFirst().map { (group[0], $0) } }
        for (first, other) in pairs.sorted(by: { $0.1.index < $1.1.index }) {
            report(
                "There can be only one input field named \"\(document.requiredName(of: other))\".",
                [document.nameNode(of: first), document.nameNode(of: other)])
        }
    }
}
