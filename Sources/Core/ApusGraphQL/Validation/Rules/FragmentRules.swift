/// Which fragments are spread where.
final class FragmentGraph {
    private let document: GraphQLDocument
    private let names: NameTables
    private var spreads: [NodeID: [NodeID]] = [:]
    private var referenced: [NodeID: [NodeID]] = [:]
    /// Fragments from which cycles were looked for.
    var passed: Set<Symbol> = []

    init(_ document: GraphQLDocument, _ names: NameTables) {
        self.document = document
        self.names = names
    }

    /// The spreads below a selection set. Those of a set come before those of sets in it, later sets first: the order in which graphql-js
    /// names them.
    func spreads(in selections: NodeID) -> [NodeID] {
        if let known = spreads[selections] { return known }
        var found: [NodeID] = []
        var pending = [selections]
        while let set = pending.popLast() {
            for node in document.children(of: set) {
                if document.kind(of: node) == .fragmentSpread {
                    found.append(node)
                } else if let nested = document.selectionSet(of: node) {
                    pending.append(nested)
                }
            }
        }
        spreads[selections] = found
        return found
    }

    /// The fragments that an operation uses, directly and through others.
    func fragments(of operation: NodeID) -> [NodeID] {
        if let known = referenced[operation] { return known }
        var found: [NodeID] = []
        var seen: Set<Symbol> = []
        var pending = [document.selectionSet(of: operation)].compactMap { $0 }
        while let set = pending.popLast() {
            for spread in spreads(in: set) where seen.insert(document.symbol(of: spread)).inserted {
                guard let fragment = names.fragments[document.symbol(of: spread)] else { continue }
                found.append(fragment)
                if let selections = document.selectionSet(of: fragment) { pending.append(selections) }
            }
        }
        referenced[operation] = found
        return found
    }
}

extension Validator {
    func checkCondition(of node: NodeID, isDefinition: Bool) {
        guard let schema, let condition = document.typeCondition(of: node), let type = schema.type(document, condition),
            !schema.named(type).kind.isComposite
        else { return }
        let subject = isDefinition ? "Fragment \"\(document.requiredName(of: node))\"" : "Fragment"
        report("\(subject) cannot condition on non composite type \"\(document.printed(condition))\".", condition)
    }

    func checkUniqueFragmentName(_ node: NodeID) {
        guard let first = names.firstFragments[document.symbol(of: node)], first != node else { return }
        report(
            "There can be only one fragment named \"\(document.requiredName(of: node))\".",
            [document.nameNode(of: first), document.nameNode(of: node)])
    }

    func checkKnownFragment(_ node: NodeID) {
        guard names.fragments[document.symbol(of: node)] == nil else { return }
        report("Unknown fragment \"\(document.requiredName(of: node))\".", document.nameNode(of: node))
    }

    func checkUnusedFragments() {
        let used = Set(document.operations.flatMap { graph.fragments(of: $0) }.map { document.symbol(of: $0) })
        for fragment in document.fragments where !used.contains(document.symbol(of: fragment)) {
            report("Fragment \"\(document.requiredName(of: fragment))\" is never used.", fragment)
        }
    }

    func checkPossibleInlineFragment(_ node: NodeID) {
        guard let schema, let type = tracker?.type, let parent = tracker?.parent else { return }
        let fragment = schema.named(type)
        guard fragment.kind.isComposite, !schema.overlap(fragment, parent) else { return }
        report(
            "Fragment cannot be spread here as objects of type \"\(parent.name)\" can never be of type \"\(fragment.name)\".", node)
    }

    func checkPossibleSpread(_ node: NodeID) {
        guard let schema, let parent = tracker?.parent, let definition = names.fragments[document.symbol(of: node)],
            let type = document.typeCondition(of: definition).flatMap({ schema.type(document, $0) })
        else { return }
        let fragment = schema.named(type)
        guard fragment.kind.isComposite, !schema.overlap(fragment, parent) else { return }
        report(
            "Fragment \"\(document.requiredName(of: node))\" cannot be spread here as objects of type \"\(parent.name)\" can never be of type \"\(fragment.name)\".",
            node)
    }

    /// Finds every cycle that begins at a fragment which no earlier search has passed. Depth first without recursion: fragments may form a
    /// chain as long as the document.
    func checkCycles(from start: NodeID) {
        guard graph.passed.insert(document.symbol(of: start)).inserted else { return }
        struct Level {
            var name: Symbol
            var spreads: ArraySlice<NodeID>
        }
        func level(_ fragment: NodeID) -> Level {
            let spreads = document.selectionSet(of: fragment).map { graph.spreads(in: $0) } ?? []
            return Level(name: document.symbol(of: fragment), spreads: spreads[...])
        }
        var levels = [level(start)]
        var places = [document.symbol(of: start): 0]
        var path: [NodeID] = []
        while let top = levels.indices.last {
            guard let spread = levels[top].spreads.popFirst() else {
                places[levels[top].name] = nil
                levels.removeLast()
                if !path.isEmpty { path.removeLast() }
                continue
            }
            let name = document.symbol(of: spread)
            path.append(spread)
            if let place = places[name] {
                let cycle = path[place...]
                let via = cycle.dropLast().map { "\"\(document.requiredName(of: $0))\"" }.joined(separator: ", ")
                let detour = via.isEmpty ? "." : " via \(via)."
                report("Cannot spread fragment \"\(document.requiredName(of: spread))\" within itself\(detour)", Array(cycle))
                if errors.count > limit { return }
            } else if let fragment = names.fragments[name], graph.passed.insert(name).inserted {
                places[name] = path.count
                levels.append(level(fragment))
                continue
            }
            path.removeLast()
        }
    }
}
