/// Fields that exist, and selections where there are any to be made.
extension Validator {
    func checkScalarLeaf(_ node: NodeID) {
        guard let schema, let type = tracker?.type else { return }
        let name = document.requiredName(of: node)
        let selections = document.selectionSet(of: node)
        if schema.named(type).kind.isLeaf {
            guard let selections else { return }
            report("Field \"\(name)\" must not have a selection since type \"\(schema.text(type))\" has no subfields.", selections)
        } else if selections == nil {
            report(
                "Field \"\(name)\" of type \"\(schema.text(type))\" must have a selection of subfields. Did you mean \"\(name) { ... }\"?",
                node)
        }
    }

    func checkField(_ node: NodeID) {
        guard let schema, let parent = tracker?.parent, tracker?.field == nil else { return }
        let name = document.requiredName(of: node)
        var suggestion = Suggestions.didYouMean(typesWith(name, parent, schema), "to use an inline fragment on")
        if suggestion.isEmpty, parent.kind.hasFields { suggestion = Suggestions.didYouMean(name, among: parent.fields.map(\.name)) }
        report("Cannot query field \"\(name)\" on type \"\(parent.name)\".\(suggestion)", node)
    }

    /// The implementations of an abstract type, and their interfaces, that have the field: those that are most of use first.
    private func typesWith(_ field: String, _ type: NamedType, _ schema: GraphQLSchema) -> [String] {
        guard type.kind.isAbstract else { return [] }
        var found: [NamedType] = []
        var uses: [TypeID: Int] = [:]
        for possible in schema.possibleTypes(of: type).map({ schema[$0] }) where possible.field(field) != nil {
            found.append(possible)
            uses[possible.id] = 1
            for interface in possible.interfaces.map({ schema[$0] }) where interface.field(field) != nil {
                if uses[interface.id] == nil { found.append(interface) }
                uses[interface.id, default: 0] += 1
            }
        }
        return Self.ordered(found, uses, schema).map(\.name)
    }

    /// Those of most uses first, each interface before what implements it, else by name.
    private static func ordered(_ types: [NamedType], _ uses: [TypeID: Int], _ schema: GraphQLSchema) -> [NamedType] {
        var rest = types.sorted { left, right in
            let (leftUses, rightUses) = (uses[left.id] ?? 0, uses[right.id] ?? 0)
            return leftUses != rightUses ? leftUses > rightUses : Suggestions.naturallyPrecedes(left.name, right.name)
        }
        var ordered: [NamedType] = []
        // No more than these are told.
        while ordered.count < Suggestions.most, !rest.isEmpty {
            let next = rest.firstIndex { type in
                !rest.contains { $0.id != type.id && $0.kind == .interface && schema.isSubtype(type, of: $0) }
            }
            ordered.append(rest.remove(at: next ?? 0))
        }
        return ordered
    }

    func checkIntrospectionField(_ node: NodeID) {
        guard let schema, let type = tracker?.type, schema.named(type).isIntrospection else { return }
        report(
            "GraphQL introspection has been disabled, but the requested query contained the field \"\(document.requiredName(of: node))\".",
            node)
    }
}
