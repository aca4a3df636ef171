internal import ApusTypes

/// Shards on nodes while they are planned: starts as what is held, ends as what is wanted. Nodes and shards are numbers here, in ascending
/// order of their names and ids.
///
/// It has no memory, and yet agrees with itself when it is called again in the middle of moves: what was added and what it will replace are
/// both held then, so that what the earlier plan wanted is one choice among what is held. `trim` finds a choice within the bounds wherever there
/// is one, and then nothing is left to be moved.
struct ReplicaLayout: Sendable {
    /// Why a replica is moved.
    enum Cause: Sendable, Hashable {
        /// The node had more than its upper bound.
        case tooMuch(node: Int, load: Int)
        /// The node had less than its lower bound.
        case tooLittle(node: Int, load: Int)
    }
    private struct Cell: Hashable {
        var shard: Int
        var node: Int
    }

    let nodes: [PlacementNode]
    let shards: [PlacementShard]
    let ring: NodeRing
    /// Nodes that do not leave and have a replica, those that serve first.
    let held: NodeRows
    /// How many of them serve.
    private let serving: [Int]
    private(set) var wanted: NodeRows
    private(set) var bounds: LoadBounds
    /// By node, of what is wanted.
    private(set) var load: [Int]
    /// How many nodes do not leave.
    let stayers: Int
    /// Nodes that may be given replicas.
    private let takers: [Int]
    private var causes: [Cell: Cause] = [:]

    /// Nodes in ascending order of their names, shards of their ids.
    init(shards: [PlacementShard], nodes: [PlacementNode]) {
        self.shards = shards
        self.nodes = nodes
        ring = NodeRing(nodes)
        stayers = nodes.count { $0.state != .leaves }
        takers = nodes.indices.filter { nodes[$0].state == .takes }
        load = nodes.map { _ in 0 }
        let numbers = Dictionary(uniqueKeysWithValues: nodes.enumerated().map { ($1.name, $0) })
        var held = NodeRows(widths: shards.lazy.map(\.replicas.count))
        var serving = shards.map { _ in 0 }
        for (number, shard) in shards.enumerated() {
            let staying = shard.replicas.compactMap { replica in
                numbers[replica.node].flatMap { nodes[$0].state == .leaves ? nil : (rank: replica.state == .serving ? 0 : 1, node: $0) }
            }
            for replica in staying.sorted(by: <) { held.append(replica.node, to: number) }
            serving[number] = staying.count { $0.rank == 0 }
        }
        self.held = held
        self.serving = serving
        wanted = NodeRows(widths: shards.indices.lazy.map { max(held[$0].count, min(shards[$0].replicationFactor, nodes.count)) })
        bounds = Self.bounds(shards: shards, nodes: nodes, held: held)
        trim()
        fill()
        raise()
        shed()
    }

    func cause(of shard: Int, on node: Int) -> Cause? { causes[Cell(shard: shard, node: node)] }

    /// Nodes from which a chain of moves goes on are tried no more often: the first reach nearly all others.
    private static let longestSearch = 8

    private static func bounds(shards: [PlacementShard], nodes: [PlacementNode], held: NodeRows) -> LoadBounds {
        func bounds(of states: Set<PlacementNode.State>, _ factors: [Int]) -> LoadBounds {
            var demand = nodes.map { _ in 0 }
            for (shard, factor) in zip(shards, factors) {
                for replica in 0..<min(max(0, factor), nodes.count) { demand[replica] += shard.weight }
            }
            return LoadBounds(
                capacities: nodes.map { states.contains($0.state) ? $0.capacity : 0 }, demand: demand,
                heaviest: shards.lazy.map(\.weight).max() ?? 1)
        }
        let factors = shards.map(\.replicationFactor)
        var all = bounds(of: [.takes, .keeps], factors)
        // A node that keeps may have less than its share and is given nothing, so the others carry the rest.
        if nodes.contains(where: { $0.state == .keeps }) {
            all.widen(
                to: bounds(of: [.takes], zip(factors, held.indices).map { $0 - held[$1].count { nodes[$0].state == .keeps } }))
        }
        return all
    }

    // MARK: Which of too many replicas stay

    /// Everything that is held is wanted, but of shards with too many replicas those whose nodes are farthest above their quotas: first
    /// those that only load, because what was begun for a node that has returned need not be finished.
    private mutating func trim() {
        var crowded: [Int] = []
        for shard in held.indices {
            for node in held[shard] { add(shard, to: node) }
            if held[shard].count > shards[shard].replicationFactor { crowded.append(shard) }
        }
        for shard in crowded {
            while wanted[shard].count > shards[shard].replicationFactor {
                let loading = held[shard].dropFirst(serving[shard]).filter { wanted[shard].contains($0) && excess($0) > 0 }
                guard let node = fullest(loading) ?? fullest(wanted[shard]) else { break }
                remove(shard, from: node)
            }
        }
        exchange(crowded)
    }

    /// Exchanges which replicas of crowded shards stay, until no node is out of its bounds that need not be. Where a choice within the bounds
    /// exists at all, chains of exchanges lead to it, so what an earlier plan moved is not moved again.
    private mutating func exchange(_ crowded: [Int]) {
        var crowdedOn = nodes.map { _ in [Int]() }
        for shard in crowded { for node in held[shard] { crowdedOn[node].append(shard) } }
        for node in nodes.indices where !crowdedOn[node].isEmpty {
            while load[node] > bounds.upper[node], chain(from: node, gives: true, crowdedOn, limit: bounds.upper) {}
            while load[node] < bounds.lower[node], chain(from: node, gives: false, crowdedOn, limit: bounds.lower) {}
        }
    }

    /// The last of those farthest above their quota.
    private func fullest(_ nodes: some Sequence<Int>) -> Int? {
        nodes.reduce(nil) { fullest, node in fullest.map { excess(node) >= excess($0) } ?? true ? node : fullest }
    }

    // MARK: Replicas that are missing

    /// Places what is missing on the first nodes of each shard's preference that are below their quota; if none is, that can bear it at all;
    /// and if none can, on the node that is the least above. Heavy shards come first, since light ones find room more easily.
    private mutating func fill() {
        var missing = shards.indices.filter { wanted[$0].count < shards[$0].replicationFactor }
        missing.sort { (-shards[$0].weight, $0) < (-shards[$1].weight, $1) }
        for limit in [bounds.quota, bounds.upper.map { $0 - bounds.heaviest + 1 }] where !missing.isEmpty {
            var open = openRing { load[$0] < limit[$0] }
            missing = missing.filter { shard in
                let position = ring.position(of: shards[shard].id)
                while wanted[shard].count < shards[shard].replicationFactor {
                    guard let node = open.first(from: position, except: wanted[shard]) else { return true }
                    add(shard, to: node)
                    if load[node] >= limit[node] { open.close(node) }
                }
                return false
            }
        }
        for shard in missing {
            while wanted[shard].count < shards[shard].replicationFactor {
                let others = takers.filter { !wanted[shard].contains($0) }
                guard let node = others.min(by: { excess($0) < excess($1) }) else { break }
                add(shard, to: node)
            }
        }
    }

    // MARK: Moves between nodes

    /// Gives nodes below their lower bound their fair share, first from nodes above their upper bound, then from those above their quota: of
    /// shards that prefer the receiver, then of any.
    private mutating func raise() {
        let low = takers.filter { load[$0] < bounds.lower[$0] }
        guard !low.isEmpty else { return }
        let before = load
        let preferring = shardsPreferring(low)
        for limit in [bounds.upper, bounds.quota] {
            for node in low {
                for shard in preferring[node] { raise(node, by: shard, limit: limit, before: before[node]) }
            }
            let givers = takers.filter { load[$0] > limit[$0] }
            let given = shards(on: givers, isPlanned: false)
            for node in low {
                for giver in givers where load[giver] > limit[giver] && load[node] < Int(bounds.share[node]) {
                    for shard in given[giver] where load[giver] > limit[giver] {
                        raise(node, by: shard, limit: limit, before: before[node])
                    }
                }
            }
        }
    }

    private mutating func raise(_ node: Int, by shard: Int, limit: [Int], before: Int) {
        guard load[node] < Int(bounds.share[node]), !wanted[shard].contains(node),
            let giver = fullest(wanted[shard].filter({ takes($0) && load[$0] > limit[$0] })), improves(shard, from: giver, to: node)
        else { return }
        move(shard, from: giver, to: node, .tooLittle(node: node, load: before))
    }

    /// Takes from nodes above their upper bound what exceeds it: replicas first that are only planned, since moving those costs nothing.
    private mutating func shed() {
        let full = takers.filter { load[$0] > bounds.upper[$0] }
        var open = openRing { load[$0] < bounds.quota[$0] }
        for isPlanned in [true, false] where !full.isEmpty {
            let given = shards(on: full, isPlanned: isPlanned)
            for giver in full where load[giver] > bounds.upper[giver] {
                let cause = Cause.tooMuch(node: giver, load: load[giver])
                for shard in given[giver] where load[giver] > bounds.upper[giver] && wanted[shard].contains(giver) {
                    guard let node = open.first(from: ring.position(of: shards[shard].id), except: wanted[shard]),
                        improves(shard, from: giver, to: node)
                    else { continue }
                    move(shard, from: giver, to: node, cause)
                    if load[node] >= bounds.quota[node] { open.close(node) }
                }
                while load[giver] > bounds.upper[giver],
                    chain(from: giver, gives: true, shards(on: takers, isPlanned: isPlanned), limit: bounds.upper, cause: cause)
                {}
            }
        }
    }

    /// Lets `start` give a replica (or be given one) to a node that gives another on, and so on, until one need not because it stays within
    /// the limit: the shortest augmenting path (Edmonds and Karp, 1972), over shards of one weight. False if none is found.
    ///
    /// Without a cause it stays among the nodes that hold each shard, and looks everywhere.
    private mutating func chain(from start: Int, gives: Bool, _ shardsOf: [[Int]], limit: [Int], cause: Cause? = nil) -> Bool {
        var reached = [start]
        var steps: [Int: (shard: Int, from: Int)] = [:]
        var next = 0
        while next < min(reached.count, cause == nil ? .max : Self.longestSearch) {
            let node = reached[next]
            next += 1
            for shard in shardsOf[node] where wanted[shard].contains(node) == gives {
                let weight = shards[shard].weight
                if let step = steps[node], shards[step.shard].weight != weight { continue }
                for other in cause == nil ? held[shard] : takers[...]
                where other != start && steps[other] == nil && wanted[shard].contains(other) != gives {
                    steps[other] = (shard, node)
                    reached.append(other)
                    guard gives ? load[other] + weight <= limit[other] : load[other] - weight >= limit[other] else { continue }
                    var end = other
                    while let step = steps[end] {
                        move(step.shard, from: gives ? step.from : end, to: gives ? end : step.from, cause)
                        end = step.from
                    }
                    return true
                }
            }
        }
        return false
    }

    /// For each of `receivers` the shards whose first nodes it is among, those first that prefer it most.
    private func shardsPreferring(_ receivers: [Int]) -> [[Int]] {
        var isReceiver = nodes.map { _ in false }
        for node in receivers { isReceiver[node] = true }
        var found: [[(rank: Int, shard: Int)]] = nodes.map { _ in [] }
        for shard in shards.indices {
            let position = ring.position(of: shards[shard].id)
            for rank in 0..<2 * (shards[shard].replicationFactor + 1) {
                let node = ring.owners[(position + rank) % ring.owners.count]
                if isReceiver[node] { found[node].append((rank, shard)) }
            }
        }
        return found.map { $0.sorted(by: <).map(\.shard) }
    }

    /// What is to be on these nodes, by node; or only what is not there yet.
    private func shards(on some: [Int], isPlanned: Bool) -> [[Int]] {
        var found: [[Int]?] = nodes.map { _ in nil }
        for node in some { found[node] = [] }
        for shard in shards.indices {
            for node in wanted[shard] where found[node] != nil && !(isPlanned && held[shard].contains(node)) { found[node]?.append(shard) }
        }
        return found.map { $0 ?? [] }
    }

    // MARK: Steps

    private func takes(_ node: Int) -> Bool { nodes[node].state == .takes }
    private func excess(_ node: Int) -> Int { load[node] - bounds.quota[node] }

    /// Whether the two loads come nearer to their quotas.
    private func improves(_ shard: Int, from giver: Int, to receiver: Int) -> Bool {
        excess(giver) - excess(receiver) > shards[shard].weight
    }

    private func openRing(_ isOpen: (Int) -> Bool) -> OpenRing {
        OpenRing(ring, open: nodes.indices.map { takes($0) && isOpen($0) })
    }

    private mutating func add(_ shard: Int, to node: Int) {
        wanted.append(node, to: shard)
        load[node] += shards[shard].weight
    }

    private mutating func remove(_ shard: Int, from node: Int) {
        wanted.remove(node, from: shard)
        load[node] -= shards[shard].weight
    }

    private mutating func move(_ shard: Int, from giver: Int, to receiver: Int, _ cause: Cause?) {
        if let cause, held[shard].contains(giver), !held[shard].contains(receiver) { causes[Cell(shard: shard, node: receiver)] = cause }
        remove(shard, from: giver)
        add(shard, to: receiver)
    }
}
