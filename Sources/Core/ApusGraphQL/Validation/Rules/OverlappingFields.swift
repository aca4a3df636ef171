import ApusTypes

/// Fields of one response key must be the same field (section "Field Selection Merging").
///
/// The algorithm of graphql-js: fields within a selection set are compared with each other, and "between" sets where fragments or equal
/// keys bring sets together; pairs of fragments are compared once. Three bounds are added, because those comparisons grow with the square
/// of the document, or faster (a known way to deny service): pairs of selection sets that were found without
/// conflict are not compared again; of many equal leaves under one key one is enough; and when the budget of comparisons is used up, that is
/// an error.
final class OverlappingFields {
    /// Enough for documents a hundred times larger than clients send; some tens of milliseconds.
    static let budget = 400_000
    /// Fields below each other that are compared; fragments can nest them deeper than the document is.
    static let deepest = 120

    /// Fields that one error names: a client needs some, and each costs its place and its words.
    static let longestReason = 100

    private unowned let validator: Validator
    private let document: GraphQLDocument
    private let schema: GraphQLSchema
    private var spent = 0
    private var depth = 0
    private var collections: [NodeID: Collection] = [:]
    private var comparedFragments: [Pair: Bool] = [:]
    private var peacefulSets: Set<SetPair> = []

    init(_ validator: Validator) {
        self.validator = validator
        document = validator.document
        schema = validator.schema ?? .empty
    }

    func check(_ selections: NodeID, _ parent: NamedType?) {
        guard spent <= Self.budget else { return }
        for conflict in conflicts(within: selections, parent) {
            validator.report(
                "Fields \"\(conflict.reason.key)\" conflict because \(conflict.reason.text). Use different aliases on the fields to fetch both if this was intentional.",
                conflict.first + conflict.second)
            if validator.errors.count > validator.limit { return }
        }
        if spent > Self.budget {
            validator.report("Too many fields with equal response keys, or too deep: they cannot be compared within the limit.", selections)
        }
    }
}

extension OverlappingFields {
    private struct Field {
        var parent: NamedType?
        var node: NodeID
        var definition: FieldDefinition?
    }

    /// The fields of a selection set by response key, in the order of the text, and the fragments that it spreads.
    private final class Collection {
        var keys: [Symbol] = []
        var fields: [Symbol: [Field]] = [:]
        var fragments: [Symbol] = []
    }

    private struct Pair: Hashable {
        var low: Int32
        var high: Int32

        init(_ left: Symbol, _ right: Symbol) {
            low = min(left.index, right.index)
            high = max(left.index, right.index)
        }
    }

    private struct SetPair: Hashable {
        var first: NodeID
        var second: NodeID
        var isExclusive: Bool
    }

    struct Reason {
        var key: String
        /// Why, or the reasons of fields below.
        var message = ""
        var nested: [Reason] = []
        /// With all that it holds.
        var size = 1

        var text: String {
            nested.isEmpty
                ? message : nested.map { "subfields \"\($0.key)\" conflict because \($0.text)" }.joined(separator: " and ")
        }
    }

    struct Conflict {
        var reason: Reason
        var first: [NodeID]
        var second: [NodeID]
    }

    /// Whether there is something left to compare with.
    private func spend() -> Bool {
        spent += 1
        return spent <= Self.budget
    }

    // MARK: Collections

    private func collection(_ selections: NodeID, _ parent: NamedType?) -> Collection {
        if let known = collections[selections] { return known }
        let collection = Collection()
        var spread: Set<Symbol> = []
        collect(selections, parent, collection, &spread)
        collections[selections] = collection
        return collection
    }

    private func collect(_ selections: NodeID, _ parent: NamedType?, _ collection: Collection, _ spread: inout Set<Symbol>) {
        for node in document.children(of: selections) {
            switch document.kind(of: node) {
            case .field:
                let key = document.responseSymbol(of: node)
                let field = Field(parent: parent, node: node, definition: parent?.field(document.requiredName(of: node)))
                guard let others = collection.fields[key] else {
                    collection.keys.append(key)
                    collection.fields[key] = [field]
                    continue
                }
                if others.count >= 16, isSameLeaf(field, others[0]) { continue }
                collection.fields[key]?.append(field)
            case .fragmentSpread:
                if spread.insert(document.symbol(of: node)).inserted { collection.fragments.append(document.symbol(of: node)) }
            default:
                let condition = document.typeCondition(of: node)
                let type = condition == nil ? parent : condition.flatMap { schema.type(document, $0) }.map { schema.named($0) }
                if let nested = document.selectionSet(of: node) { collect(nested, type, collection, &spread) }
            }
        }
    }

    private func isSameLeaf(_ left: Field, _ right: Field) -> Bool {
        left.parent?.id == right.parent?.id && document.symbol(of: left.node) == document.symbol(of: right.node)
            && document.selectionSet(of: left.node) == nil && document.selectionSet(of: right.node) == nil
            && areSameArguments(left.node, right.node)
    }

    private func collection(_ fragment: Symbol) -> (NodeID, Collection)? {
        guard let node = validator.names.fragments[fragment], let selections = document.selectionSet(of: node) else { return nil }
        let type = document.typeCondition(of: node).flatMap { schema.type(document, $0) }.map { schema.named($0) }
        return (selections, collection(selections, type))
    }

    // MARK: Comparisons

    private func conflicts(within selections: NodeID, _ parent: NamedType?) -> [Conflict] {
        var conflicts: [Conflict] = []
        let own = collection(selections, parent)
        for key in own.keys {
            guard let fields = own.fields[key], fields.count > 1 else { continue }
            for (index, field) in fields.enumerated() {
                for other in fields[(index + 1)...] {
                    guard spend() else { return conflicts }
                    if let found = conflict(key, field, other, isExclusive: false) { conflicts.append(found) }
                }
            }
        }
        for (index, fragment) in own.fragments.enumerated() {
            compare(own, with: fragment, isExclusive: false, &conflicts)
            for other in own.fragments[(index + 1)...] { compare(fragment, other, isExclusive: false, &conflicts) }
        }
        return conflicts
    }

    private func compare(_ left: Collection, _ right: Collection, isExclusive: Bool, _ conflicts: inout [Conflict]) {
        for key in left.keys {
            guard let fields = left.fields[key], let others = right.fields[key] else { continue }
            for field in fields {
                for other in others {
                    guard spend() else { return }
                    if let found = conflict(key, field, other, isExclusive: isExclusive) { conflicts.append(found) }
                }
            }
        }
    }

    /// Fields with a fragment and all that it spreads. Without recursion: fragments may form a chain as long as the document.
    private func compare(_ fields: Collection, with fragment: Symbol, isExclusive: Bool, _ conflicts: inout [Conflict]) {
        var pending = [fragment]
        while let name = pending.popLast() {
            guard spend(), let (_, other) = collection(name), other !== fields else { continue }
            compare(fields, other, isExclusive: isExclusive, &conflicts)
            // Later ones first on the stack, so that they are compared in the order of the text.
            for referenced in other.fragments.reversed() where isNew(referenced, name, isExclusive) { pending.append(referenced) }
        }
    }

    /// Two fragments and all that they spread.
    private func compare(_ left: Symbol, _ right: Symbol, isExclusive: Bool, _ conflicts: inout [Conflict]) {
        var pending = [(left, right)]
        while let (left, right) = pending.popLast() {
            guard spend(), left != right, isNew(left, right, isExclusive), let (_, first) = collection(left),
                let (_, second) = collection(right)
            else { continue }
            compare(first, second, isExclusive: isExclusive, &conflicts)
            for referenced in first.fragments.reversed() { pending.append((referenced, right)) }
            for referenced in second.fragments.reversed() { pending.append((left, referenced)) }
        }
    }

    /// Whether two fragments were not yet compared as strictly as now; remembers that they are.
    private func isNew(_ left: Symbol, _ right: Symbol, _ isExclusive: Bool) -> Bool {
        let pair = Pair(left, right)
        if let wasExclusive = comparedFragments[pair], isExclusive || !wasExclusive { return false }
        comparedFragments[pair] = isExclusive
        return true
    }

    private func conflict(_ key: Symbol, _ left: Field, _ right: Field, isExclusive parentsAreExclusive: Bool) -> Conflict? {
        // Fields of two different objects never meet in one response, so they may differ.
        let isExclusive =
            parentsAreExclusive
            || (left.parent?.id != right.parent?.id && left.parent?.kind == .object && right.parent?.kind == .object)
        func because(_ message: String) -> Conflict {
            Conflict(reason: Reason(key: document.text(of: key), message: message), first: [left.node], second: [right.node])
        }
        if !isExclusive {
            if document.symbol(of: left.node) != document.symbol(of: right.node) {
                let names = (document.requiredName(of: left.node), document.requiredName(of: right.node))
                return because("\"\(names.0)\" and \"\(names.1)\" are different fields")
            }
            if !areSameArguments(left.node, right.node) { return because("they have differing arguments") }
        }
        if let type = left.definition?.type, let other = right.definition?.type, areInConflict(type, other) {
            return because("they return conflicting types \"\(schema.text(type))\" and \"\(schema.text(other))\"")
        }
        guard let selections = document.selectionSet(of: left.node), let others = document.selectionSet(of: right.node) else { return nil }
        let nested = conflicts(
            between: selections, left.definition.map { schema.named($0.type) }, others, right.definition.map { schema.named($0.type) },
            isExclusive: isExclusive)
        guard !nested.isEmpty else { return nil }
        var reason = Reason(key: document.text(of: key))
        var whole = Conflict(reason: reason, first: [left.node], second: [right.node])
        for conflict in nested where reason.nested.isEmpty || reason.size + conflict.reason.size <= Self.longestReason {
            reason.nested.append(conflict.reason)
            reason.size += conflict.reason.size
            whole.first += conflict.first
            whole.second += conflict.second
        }
        whole.reason = reason
        return whole
    }

    private func conflicts(
        between left: NodeID, _ leftType: NamedType?, _ right: NodeID, _ rightType: NamedType?, isExclusive: Bool
    ) -> [Conflict] {
        let pair = SetPair(first: left, second: right, isExclusive: isExclusive)
        if peacefulSets.contains(pair) { return [] }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else {
            spent = Self.budget + 1
            return []
        }
        let first = collection(left, leftType)
        let second = collection(right, rightType)
        var conflicts: [Conflict] = []
        compare(first, second, isExclusive: isExclusive, &conflicts)
        for fragment in second.fragments { compare(first, with: fragment, isExclusive: isExclusive, &conflicts) }
        for fragment in first.fragments { compare(second, with: fragment, isExclusive: isExclusive, &conflicts) }
        for fragment in first.fragments {
            for other in second.fragments { compare(fragment, other, isExclusive: isExclusive, &conflicts) }
        }
        if conflicts.isEmpty { peacefulSets.insert(pair) }
        return conflicts
    }

    // MARK: Sameness

    private func areSameArguments(_ left: NodeID, _ right: NodeID) -> Bool {
        let arguments = document.arguments(of: left)
        let others = document.arguments(of: right)
        guard arguments.count == others.count else { return false }
        spent += arguments.count
        let values = Dictionary(others.map { (document.symbol(of: $0), document.value(of: $0)) }, uniquingKeysWith: { $1 })
        return arguments.allSatisfy { argument in
            values[document.symbol(of: argument)].map { areSameValues(document.value(of: argument), $0) } ?? false
        }
    }

    /// The order of an object's fields does not matter.
    private func areSameValues(_ left: NodeID, _ right: NodeID) -> Bool {
        let kind = document.kind(of: left)
        guard kind == document.kind(of: right) else { return false }
        switch kind {
        case .objectValue:
            let fields = document.children(of: left, .objectField)
            let others = document.children(of: right, .objectField)
            guard fields.count == others.count else { return false }
            let values = Dictionary(others.map { (document.symbol(of: $0), document.value(of: $0)) }, uniquingKeysWith: { $1 })
            return fields.allSatisfy { field in
                values[document.symbol(of: field)].map { areSameValues(document.value(of: field), $0) } ?? false
            }
        case .listValue:
            let items = Array(document.children(of: left))
            let others = Array(document.children(of: right))
            return items.count == others.count && zip(items, others).allSatisfy { areSameValues($0, $1) }
        case .intValue, .floatValue: return document.sourceText(of: left) == document.sourceText(of: right)
        case .stringValue: return ExactString(document.string(of: left)) == ExactString(document.string(of: right))
        case .booleanValue: return document.isTrue(left) == document.isTrue(right)
        default: return document.symbol(of: left) == document.symbol(of: right)
        }
    }

    /// Lists and non-null must agree, leaves must be the same; selections of composite types are compared by themselves.
    private func areInConflict(_ left: TypeReference, _ right: TypeReference) -> Bool {
        if left.isList || right.isList { return left.isList && right.isList ? areInConflict(left.unwrapped, right.unwrapped) : true }
        if left.isNonNull || right.isNonNull {
            return left.isNonNull && right.isNonNull ? areInConflict(left.unwrapped, right.unwrapped) : true
        }
        return (schema.named(left).kind.isLeaf || schema.named(right).kind.isLeaf) && left.named != right.named
    }
}
