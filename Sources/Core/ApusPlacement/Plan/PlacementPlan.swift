public import ApusTypes

/// Which nodes should have replicas of which shards, and the changes that lead there from where they are.
///
/// A pure function: the same shards and nodes in any order give the same plan. It is made anew whenever something has changed: a replica
/// that was added counts as placed while it loads, so a caller may carry out any first part of the changes, or all, and ask again.
///
/// - Each shard prefers nodes in an order of its own (consistent hashing with virtual nodes), and is given to the first that are below their
///   quota: their share of the load by capacity, rounded to integers (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded
///   Loads", 2018). Replicas of one shard are on different nodes.
/// - What is placed stays, unless its node leaves or has more than max(⌈share⌉, 1.15 × share), or another node has less than 0.85 × share (or
///   nothing, and a share of at least 1): then that one is filled up to its share, rounded down, by nodes that have more than theirs.
/// - A shard with more replicas than its factor keeps those that bring the loads nearest to the shares.
///
/// **Drops.** A replica that is not wanted and only loads is dropped at once. One that serves is dropped when as many others serve as the
/// factor asks for, all of them wanted and at least one on a node that takes replicas; where fewer nodes than that do not leave, when each
/// of those has one that serves. This goes for nodes that leave, too. While a node that keeps has a replica of the shard, only what is on
/// nodes that leave is dropped. So a search finds as many serving replicas during a move as after it, a node that is only suspect
/// loses nothing and is never trusted with the last one. A node that is gone keeps its row that long, which harms nobody.
public struct PlacementPlan: Sendable {
    /// Where one shard should be.
    public struct Placement: Sendable, Hashable {
        public var shard: ShardID
        /// In ascending order.
        public var nodes: [NodeName]
        /// How many replicas fewer than the factor asks for: there are not enough nodes that may have one.
        public var missing: Int
    }

    public struct Change: Sendable, Hashable {
        public enum Action: String, Sendable, Hashable, CaseIterable { case add, drop }

        public var shard: ShardID
        public var action: Action
        public var node: NodeName
        public var urgency: Urgency
        public var reason: Reason
    }

    public enum Urgency: Int, Sendable, Hashable, Comparable, CaseIterable {
        /// No replica of the shard serves on a node that does not leave.
        case unserved
        /// The shard has fewer replicas than its factor.
        case short
        /// A node leaves.
        case leaving
        /// Loads are evened out; replicas too many go.
        case balance

        public static func < (left: Urgency, right: Urgency) -> Bool { left.rawValue < right.rawValue }
    }

    /// Why a replica is added or dropped, with what was known then.
    public enum Reason: Sendable, Hashable {
        /// Added: this node leaves, and had a replica.
        case replaces(NodeName)
        /// Added: so many were placed, fewer than the factor.
        case belowFactor(placed: Int, factor: Int)
        /// Added in place of another: the load of this node was above its bound.
        case relieves(NodeName, load: Int, bound: Int)
        /// Added in place of another: the load of this node was less than it should be beside the others'.
        case fills(NodeName, load: Int, least: Int)
        /// Dropped: its node leaves.
        case nodeLeaves
        /// Dropped: these nodes have the replicas that the factor asks for, and loads are more even without this one.
        case surplus(kept: [NodeName])
    }

    /// By ascending shard.
    public let placements: [Placement]
    /// The most urgent first; those of one shard together within their urgency, and its adds before its drops.
    public let changes: [Change]
    let layout: ReplicaLayout

    /// - Parameters:
    ///   - shards: each once, with its present replicas.
    ///   - nodes: each once, those that leave among them.
    public init(shards: [PlacementShard], nodes: [PlacementNode]) {
        let shards = shards.sorted { $0.id < $1.id }
        let nodes = nodes.sorted { $0.name < $1.name }
        precondition(zip(shards, shards.dropFirst()).allSatisfy { $0.id < $1.id }, "a shard is listed once")
        precondition(shards.allSatisfy { $0.replicationFactor > 0 && $0.weight > 0 }, "factors and weights are positive")
        precondition(nodes.allSatisfy { $0.capacity > 0 && $0.capacity.isFinite }, "capacities are positive")
        let layout = ReplicaLayout(shards: shards, nodes: nodes)
        self.layout = layout
        placements = shards.enumerated().map { number, shard in
            Placement(
                shard: shard.id, nodes: layout.wanted[number].sorted().map { nodes[$0].name },
                missing: max(0, shard.replicationFactor - layout.wanted[number].count))
        }
        changes = shards.indices.flatMap { layout.changes(of: $0) }.sorted {
            ($0.urgency, $0.shard, $0.action == .drop ? 1 : 0, $0.node) < ($1.urgency, $1.shard, $1.action == .drop ? 1 : 0, $1.node)
        }
    }
}

extension ReplicaLayout {
    fileprivate func changes(of number: Int) -> [PlacementPlan.Change] {
        let shard = shards[number]
        let added = wanted[number].filter { !held[number].contains($0) }
        if added.isEmpty && shard.replicas.count == wanted[number].count { return [] }
        let staying = Set(held[number].map { nodes[$0].name })
        let kept = Set(wanted[number].map { nodes[$0].name })
        let serving = shard.replicas.filter { $0.state == .serving }.map(\.node)

        var leaving = shard.replicas.map(\.node).filter { !staying.contains($0) }.sorted()[...]
        var changes: [PlacementPlan.Change] = []
        var latest = PlacementPlan.Urgency.unserved
        for node in added.sorted() {
            var (urgency, reason): (PlacementPlan.Urgency, PlacementPlan.Reason) =
                switch cause(of: number, on: node) {
                case .tooMuch(let full, let load): (.balance, .relieves(nodes[full].name, load: load, bound: bounds.upper[full]))
                case .tooLittle(let low, let load): (.balance, .fills(nodes[low].name, load: load, least: bounds.lower[low]))
                case nil:
                    if let left = leaving.popFirst() {
                        (.leaving, .replaces(left))
                    } else {
                        (.short, .belowFactor(placed: shard.replicas.count, factor: shard.replicationFactor))
                    }
                }
            if !serving.contains(where: staying.contains) { urgency = .unserved }
            latest = max(latest, urgency)
            changes.append(.init(shard: shard.id, action: .add, node: nodes[node].name, urgency: urgency, reason: reason))
        }

        let possible = min(shard.replicationFactor, stayers)
        let isSafe =
            kept.count >= possible && kept.isSubset(of: serving) && wanted[number].contains { nodes[$0].state == .takes }
        let isUncertain = held[number].contains { nodes[$0].state == .keeps }
        for replica in shard.replicas where !kept.contains(replica.node) && (isSafe || replica.state == .loading) {
            if isUncertain && staying.contains(replica.node) { continue }
            let isLeaving = !staying.contains(replica.node)
            changes.append(
                .init(
                    shard: shard.id, action: .drop, node: replica.node, urgency: max(latest, isLeaving ? .leaving : .balance),
                    reason: isLeaving ? .nodeLeaves : .surplus(kept: kept.sorted())))
        }
        return changes
    }
}

extension PlacementPlan.Change: CustomStringConvertible {
    public var description: String { "\(action) shard \(shard) on \(node): \(reason)" }
}

extension PlacementPlan.Reason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .replaces(let node): "\(node) leaves"
        case .belowFactor(let placed, let factor): "\(placed) of \(factor) replicas were placed"
        case .relieves(let node, let load, let bound): "\(node) had a load of \(load), above its bound of \(bound)"
        case .fills(let node, let load, let least): "\(node) had a load of \(load), less than \(least)"
        case .nodeLeaves: "the node leaves"
        case .surplus(let kept): "the replicas on \(kept.map(\.rawValue).joined(separator: ", ")) are enough"
        }
    }
}
