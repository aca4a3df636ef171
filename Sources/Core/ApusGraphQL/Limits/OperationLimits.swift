/// How much one operation may ask for. Told before anything of it is done.
public struct OperationLimits: Sendable, Hashable {
    /// Fields below each other, fragments spread.
    public var depth: Int
    /// Fields of the operation with its fragments spread, however often.
    public var fields: Int
    /// By the weights of whoever counts; with none each field costs 1.
    public var cost: Int

    public init(depth: Int = 20, fields: Int = 20_000, cost: Int = .max) {
        self.depth = depth
        self.fields = fields
        self.cost = cost
    }

    /// Why the operation is refused; nil when it may run.
    public func problem(with size: OperationSize) -> GraphQLError? {
        if size.depth > depth { return GraphQLError("Operation has depth \(size.depth), which exceeds the limit of \(depth).") }
        if size.fields > fields { return GraphQLError("Operation has \(size.fields) fields, which exceeds the limit of \(fields).") }
        if size.cost > cost { return GraphQLError("Operation has cost \(size.cost), which exceeds the limit of \(cost).") }
        return nil
    }
}

/// How large an operation is. Numbers stop at `Int.max`: fragments in fragments grow exponentially, counting them does not.
public struct OperationSize: Sendable, Hashable {
    public var depth = 0
    public var fields = 0
    public var cost = 0

    /// What a field itself costs, and how often what is selected below it is needed: the rows that a list may have.
    public struct Weight: Sendable {
        public var cost: Int
        public var times: Int

        public init(cost: Int = 1, times: Int = 1) {
            self.cost = cost
            self.times = times
        }
    }

    /// Of an operation in a valid document. Each fragment is counted once, however often it is spread.
    public init(of operation: NodeID, in document: GraphQLDocument, weight: (NodeID) -> Weight = { _ in Weight() }) {
        var counter = SizeCounter(document: document)
        self = counter.size(of: operation, weight)
    }

    init() {}

    fileprivate mutating func add(_ other: OperationSize) {
        depth = max(depth, other.depth)
        fields = fields.plus(other.fields)
        cost = cost.plus(other.cost)
    }

    /// As the selections of a field.
    fileprivate func below(_ weight: Weight) -> OperationSize {
        var size = OperationSize()
        size.depth = depth + 1
        size.fields = fields.plus(1)
        size.cost = cost.times(max(0, weight.times)).plus(max(0, weight.cost))
        return size
    }
}

extension Int {
    /// Of numbers that are not negative.
    fileprivate func plus(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    fileprivate func times(_ other: Int) -> Int {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? .max : product
    }
}

private struct SizeCounter {
    let document: GraphQLDocument
    private let fragments: [Symbol: NodeID]
    private var known: [Symbol: OperationSize] = [:]

    init(document: GraphQLDocument) {
        self.document = document
        fragments = Dictionary(document.fragments.map { (document.symbol(of: $0), $0) }, uniquingKeysWith: { $1 })
    }

    /// Fragments are counted before those that spread them, without recursion: they may form a chain as long as the document.
    mutating func size(of operation: NodeID, _ weight: (NodeID) -> OperationSize.Weight) -> OperationSize {
        var pending = [operation]
        var begun: Set<NodeID> = []
        while let definition = pending.last {
            let missing = begun.insert(definition).inserted ? Set(spreads(in: definition)).filter { known[$0] == nil } : []
            let next = missing.compactMap { fragments[$0] }.filter { !begun.contains($0) }
            if next.isEmpty {
                pending.removeLast()
                let name = document.symbol(of: definition)
                if definition != operation, known[name] == nil { known[name] = count(definition, weight) }
            } else {
                pending += next
            }
        }
        return count(operation, weight)
    }

    private func spreads(in definition: NodeID) -> [Symbol] {
        let nodes = document.nodes
        return (definition.offset..<Int(nodes[definition.offset].next)).filter { nodes[$0].kind == .fragmentSpread }.map {
            nodes[$0].symbol
        }
    }

    /// Recursion is as deep as the document.
    private func count(_ node: NodeID, _ weight: (NodeID) -> OperationSize.Weight) -> OperationSize {
        var size = OperationSize()
        guard let selections = document.selectionSet(of: node) else { return size }
        for selection in document.children(of: selections) {
            switch document.kind(of: selection) {
            case .field: size.add(count(selection, weight).below(weight(selection)))
            case .fragmentSpread: size.add(known[document.symbol(of: selection)] ?? OperationSize())
            default: size.add(count(selection, weight))
            }
        }
        return size
    }
}
