import ApusTypes

/// A parsed GraphQL text.
///
/// Nodes lie in one array, each followed by what is below it, so that visiting a document is a loop over the array and a parsed
/// document is a handful of allocations. A node is named by its place (`NodeID`), what it says is asked of the document.
public struct GraphQLDocument: Sendable {
    public let source: SourceText
    let nodes: [Node]
    let names: [String]

    public static let root = NodeID(0)
}

// MARK: - Nodes

extension GraphQLDocument {
    public func kind(of node: NodeID) -> NodeKind { nodes[node.offset].kind }
    func flags(of node: NodeID) -> Node.Flags { nodes[node.offset].flags }

    /// Byte offsets of the node's text: of its first token, and behind its last.
    public func range(of node: NodeID) -> Range<Int> { Int(nodes[node.offset].start)..<Int(nodes[node.offset].end) }
    public func location(of node: NodeID) -> SourceText.Location { source.location(at: Int(nodes[node.offset].start)) }

    /// What is directly below a node, in the order of the text.
    public func children(of node: NodeID) -> Children {
        Children(document: self, next: node.index + 1, end: nodes[node.offset].next)
    }

    public struct Children: Sequence, IteratorProtocol {
        private let nodes: [Node]
        private var upcoming: Int32
        private let end: Int32

        fileprivate init(document: GraphQLDocument, next: Int32, end: Int32) {
            nodes = document.nodes
            upcoming = next
            self.end = end
        }

        public mutating func next() -> NodeID? {
            guard upcoming < end else { return nil }
            defer { upcoming = nodes[Int(upcoming)].next }
            return NodeID(index: upcoming)
        }

        /// Names the loop that most callers write.
        public func of(_ kind: NodeKind) -> [NodeID] { filter { nodes[$0.offset].kind == kind } }
    }

    func children(of node: NodeID, _ kind: NodeKind) -> [NodeID] { children(of: node).of(kind) }

    func firstChild(of node: NodeID, where matches: (NodeKind) -> Bool) -> NodeID? {
        var index = node.index + 1
        let end = nodes[node.offset].next
        while index < end {
            if matches(nodes[Int(index)].kind) { return NodeID(index: index) }
            index = nodes[Int(index)].next
        }
        return nil
    }

    func firstChild(of node: NodeID, _ kind: NodeKind) -> NodeID? { firstChild(of: node) { $0 == kind } }

    public var definitions: Children { children(of: Self.root) }
    public var operations: [NodeID] { definitions.of(.operationDefinition) }
    public var fragments: [NodeID] { definitions.of(.fragmentDefinition) }

    /// The operation of that name, or the only one when `name` is nil. Messages are those of graphql-js.
    public func operation(named name: String?) throws(GraphQLError) -> NodeID {
        let operations = operations
        if let name {
            guard let found = operations.first(where: { self.name(of: $0) == name }) else {
                throw GraphQLError("Unknown operation named \"\(name)\".")
            }
            return found
        }
        guard let first = operations.first else { throw GraphQLError("Must provide an operation.") }
        guard operations.count == 1 else { throw GraphQLError("Must provide operation name if query contains multiple operations.") }
        return first
    }
}

// MARK: - What nodes say

extension GraphQLDocument {
    func symbol(of node: NodeID) -> Symbol { nodes[node.offset].symbol }
    public func text(of symbol: Symbol) -> String { symbol == .none ? "" : names[Int(symbol.index)] }

    /// The name of a definition, field, argument, directive, variable, type; an enum value's text. Nil for an anonymous operation.
    public func name(of node: NodeID) -> String? {
        let symbol = nodes[node.offset].symbol
        return symbol == .none ? nil : names[Int(symbol.index)]
    }

    /// For nodes that always have a name.
    func requiredName(of node: NodeID) -> String { name(of: node) ?? "" }

    /// The node of the name itself, for errors that point at it.
    func nameNode(of node: NodeID) -> NodeID {
        let first = node.index + 1
        if flags(of: node).contains(.alias) { return NodeID(index: nodes[Int(first)].next) }
        return firstChild(of: node, .name) ?? node
    }

    public func operationKind(of node: NodeID) -> OperationKind {
        let flags = flags(of: node)
        return flags.contains(.mutation) ? .mutation : flags.contains(.subscription) ? .subscription : .query
    }

    /// The key of a field in the response: its alias, or its name.
    public func responseKey(of field: NodeID) -> String { text(of: responseSymbol(of: field)) }

    func responseSymbol(of field: NodeID) -> Symbol {
        flags(of: field).contains(.alias) ? nodes[field.offset + 1].symbol : nodes[field.offset].symbol
    }

    public func selectionSet(of node: NodeID) -> NodeID? {
        // Always the last one below its node.
        firstChild(of: node, .selectionSet)
    }

    public func arguments(of node: NodeID) -> [NodeID] { children(of: node, .argument) }
    public func directives(of node: NodeID) -> [NodeID] { children(of: node, .directive) }

    /// The value of an argument or an object's field.
    public func value(of node: NodeID) -> NodeID { NodeID(index: nodes[node.offset + 1].next) }

    /// The type of a variable, field or input value; what a list or non-null type wraps.
    public func type(of node: NodeID) -> NodeID { firstChild(of: node) { $0.isType } ?? node }

    /// Of an inline fragment or a fragment definition.
    public func typeCondition(of node: NodeID) -> NodeID? { firstChild(of: node, .namedType) }

    public func defaultValue(of node: NodeID) -> NodeID? {
        let type = type(of: node)
        let following = nodes[type.offset].next
        guard following < nodes[node.offset].next, nodes[Int(following)].kind.isValue else { return nil }
        return NodeID(index: following)
    }

    public func description(of node: NodeID) -> String? {
        flags(of: node).contains(.description) ? string(of: NodeID(node.offset + 1)) : nil
    }

    /// The text of a node as it was written.
    public func sourceText(of node: NodeID) -> String { source.text(range(of: node)) }

    /// Of a Boolean value; whether a directive's definition is repeatable.
    public func isTrue(_ node: NodeID) -> Bool { flags(of: node).contains(.isTrue) }
    public func isBlockString(_ node: NodeID) -> Bool { flags(of: node).contains(.block) }
    public func hasAlias(_ node: NodeID) -> Bool { flags(of: node).contains(.alias) }

    /// The value of a string literal.
    public func string(of node: NodeID) -> String {
        let range = range(of: node)
        return source.bytes.withUnsafeBufferPointer { bytes in
            if flags(of: node).contains(.block) { return BlockString.value(of: bytes, range.lowerBound + 3..<range.upperBound - 3) }
            return Self.unescaped(bytes, range.lowerBound + 1..<range.upperBound - 1)
        }
    }

    static func unescaped(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> String {
        guard bytes[range].contains(.backslash) else { return String(decoding: bytes[range], as: UTF8.self) }
        let lexer = Lexer(bytes)
        var decoded: [UInt8] = []
        decoded.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            // The lexer has read each escape once, so none fails here.
            if bytes[index] == .backslash, let (scalar, length) = try? lexer.escape(at: index) {
                if let bytes = UTF8.encode(scalar) { decoded.append(contentsOf: bytes) }
                index += length
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}

extension GraphQLDocument: Hashable {
    /// Two documents are equal if they say the same: blanks, comments and the way in which strings are written do not matter.
    public static func == (left: GraphQLDocument, right: GraphQLDocument) -> Bool {
        left.nodes.count == right.nodes.count
            && left.nodes.indices.allSatisfy { left.isEqual(NodeID($0), right, NodeID($0)) }
    }

    public func hash(into hasher: inout Hasher) {
        for node in nodes { hasher.combine(node.kind) }
        hasher.combine(names)
    }

    private func isEqual(_ node: NodeID, _ other: GraphQLDocument, _ otherNode: NodeID) -> Bool {
        let left = nodes[node.offset]
        let right = other.nodes[otherNode.offset]
        guard left.kind == right.kind, left.next == right.next,
            left.flags.subtracting(.block) == right.flags.subtracting(.block), name(of: node) == other.name(of: otherNode)
        else { return false }
        return switch left.kind {
        case .intValue, .floatValue: sourceText(of: node) == other.sourceText(of: otherNode)
        case .stringValue: ExactString(string(of: node)) == ExactString(other.string(of: otherNode))
        default: true
        }
    }
}
