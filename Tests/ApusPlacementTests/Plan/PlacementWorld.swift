import ApusPlacement
import ApusTypes
import TestKit
import Testing

/// A cluster in which everything that can happen to nodes and shards does, at random, while plans are carried out in part.
struct PlacementWorld {
    var nodes: [PlacementNode] = []
    var shards: [PlacementShard] = []
    /// Nodes that hold nothing any more, whatever the map says.
    var dead: Set<NodeName> = []
    private let isUneven: Bool
    private let heaviest: Int
    private var generator: SeededGenerator
    private var named = 0

    /// In every third world nodes differ in capacity.
    init(seed: UInt64, heaviest: Int = 1) {
        generator = SeededGenerator(seed: seed)
        isUneven = seed % 3 == 0
        self.heaviest = heaviest
        for _ in 0..<Int.random(in: 1...6, using: &generator) { join() }
        let factor = Int.random(in: 1...3, using: &generator)
        for _ in 0..<Int.random(in: 1...14, using: &generator) { create(factor: factor) }
    }

    var plan: PlacementPlan { PlacementPlan(shards: shards, nodes: nodes) }

    mutating func shuffle() {
        nodes.shuffle(using: &generator)
        shards.shuffle(using: &generator)
        for index in shards.indices { shards[index].replicas.shuffle(using: &generator) }
    }

    // MARK: What happens

    mutating func happen() {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0: join()
        case 1: change(to: .leaves)
        case 2: if let node = change(to: .leaves) { dead.insert(node) }
        case 3: change(to: .keeps)
        case 4, 5: if let node = change(to: .takes) { dead.remove(node) }
        case 6:  // the node is forgotten
            let gone = nodes.filter { $0.state == .leaves }.randomElement(using: &generator)
            nodes.removeAll { $0.name == gone?.name }
        case 7:
            if let index = shards.indices.randomElement(using: &generator) {
                shards[index].replicationFactor = .random(in: 1...4, using: &generator)
            }
        case 8: create(factor: shards.first?.replicationFactor ?? 1)
        default: if let index = shards.indices.randomElement(using: &generator) { shards.remove(at: index) }
        }
    }

    mutating func join() {
        named += 1
        let name = NodeName(String(generator.next(), radix: 36) + "-\(named)")
        nodes.append(PlacementNode(name, capacity: isUneven ? .random(in: 0.3...4, using: &generator) : 1))
    }

    private mutating func create(factor: Int) {
        named += 1
        shards.append(
            PlacementShard(ShardID(Int64(named)), replicationFactor: factor, weight: .random(in: 1...heaviest, using: &generator)))
    }

    @discardableResult
    private mutating func change(to state: PlacementNode.State) -> NodeName? {
        guard let index = nodes.indices.randomElement(using: &generator) else { return nil }
        nodes[index].state = state
        return nodes[index].name
    }

    // MARK: Carrying out

    /// Carries out the first changes of the plan.
    mutating func applySome(of plan: PlacementPlan) {
        apply(plan.changes.prefix(.random(in: 0...plan.changes.count, using: &generator)))
    }

    mutating func apply(_ changes: some Sequence<PlacementPlan.Change>) {
        let places = Dictionary(uniqueKeysWithValues: shards.enumerated().map { ($1.id, $0) })
        for change in changes {
            guard let index = places[change.shard] else { continue }
            switch change.action {
            case .add: shards[index].replicas.append(.init(on: change.node, .loading))
            case .drop: shards[index].replicas.removeAll { $0.node == change.node }
            }
        }
    }

    /// Lets replicas become serving, each with this probability; those on dead nodes never do.
    mutating func load(_ probability: Double) {
        for shard in shards.indices {
            for replica in shards[shard].replicas.indices
            where !dead.contains(shards[shard].replicas[replica].node) && Double.random(in: 0..<1, using: &generator) < probability {
                shards[shard].replicas[replica].state = .serving
            }
        }
    }

    // MARK: What must hold

    func state(_ name: NodeName) -> PlacementNode.State { nodes.first { $0.name == name }?.state ?? .leaves }

    var hasKeepers: Bool { nodes.contains { $0.state == .keeps } }

    func load(of node: NodeName) -> Int {
        shards.reduce(0) { $0 + ($1.replicas.contains { $0.node == node } ? $1.weight : 0) }
    }

    /// What is wrong with a plan for this world.
    func problems(with plan: PlacementPlan) -> [String] {
        var problems: [String] = []
        let summary = Dictionary(uniqueKeysWithValues: plan.summary.nodes.map { ($0.name, $0) })
        let isCalm = shards.allSatisfy { $0.replicas.count { state($0.node) != .leaves } == $0.replicationFactor }
        let changes = Dictionary(grouping: plan.changes, by: \.shard)
        for (shard, placement) in zip(shards.sorted { $0.id < $1.id }, plan.placements) {
            let staying = shard.replicas.filter { state($0.node) != .leaves }
            let able = nodes.count { node in node.state == .takes || staying.contains { $0.node == node.name && node.state == .keeps } }
            if placement.nodes.count != min(shard.replicationFactor, able) {
                problems.append("\(shard.id) is on \(placement.nodes) of \(able)")
            }
            if placement.nodes.count + placement.missing != shard.replicationFactor {
                problems.append("\(shard.id) misses \(placement.missing)")
            }
            if Set(placement.nodes).count != placement.nodes.count { problems.append("\(shard.id) is twice on a node") }
            if placement.nodes.contains(where: { state($0) == .leaves }) { problems.append("\(shard.id) is on a node that leaves") }

            let mine = changes[shard.id] ?? []
            let adds = mine.filter { $0.action == .add }
            let drops = mine.filter { $0.action == .drop }
            if Array(mine.prefix(adds.count)) != adds { problems.append("\(shard.id) drops before it adds") }
            for add in adds {
                if shard.replicas.contains(where: { $0.node == add.node }) { problems.append("\(add): is there") }
                if state(add.node) != .takes { problems.append("\(add): takes nothing") }
            }
            if drops.contains(where: { state($0.node) != .leaves }), staying.contains(where: { state($0.node) == .keeps }) {
                problems.append("\(shard.id): drops beside a suspect")
            }
            let after = shard.replicas.filter { replica in !drops.contains { $0.node == replica.node } }
            if Set(after.map(\.node)).intersection(placement.nodes).count + adds.count != placement.nodes.count {
                problems.append("\(shard.id): what stays and is added is not what is wanted")
            }
            if drops.contains(where: { drop in shard.replicas.contains { $0.node == drop.node && $0.state == .serving } }) {
                let serving = after.filter { $0.state == .serving && state($0.node) != .leaves }.map(\.node)
                if serving.count < min(shard.replicationFactor, nodes.count { $0.state != .leaves }) {
                    problems.append("\(shard.id): drops too early")
                }
                if !serving.contains(where: { state($0) == .takes }) { problems.append("\(shard.id): trusts suspects") }
            }
            // Where nothing else is to be done, adds are moves: from too much, or to too little.
            if isCalm, !adds.isEmpty {
                let isNeeded =
                    staying.contains { load(of: $0.node) > summary[$0.node]?.bound ?? .max }
                    || adds.contains { load(of: $0.node) < Int(summary[$0.node]?.share ?? 0) }
                if !isNeeded { problems.append("\(adds): moved between nodes within their bounds") }
            }
        }
        return problems
    }

    /// What is wrong with a world whose plan has no changes.
    func problemsAtRest(_ plan: PlacementPlan) -> [String] {
        guard !hasKeepers else { return [] }
        var problems = plan.summary.nodes.filter { $0.load > $0.bound }.map { "\($0.name) has \($0.load)" }
        for shard in shards
        where shard.replicas.contains(where: { state($0.node) == .leaves }) && nodes.contains(where: { $0.state == .takes }) {
            problems.append("\(shard.id) is still on a node that leaves")
        }
        return problems
    }
}
