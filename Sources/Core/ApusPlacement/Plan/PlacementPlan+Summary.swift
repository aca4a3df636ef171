public import ApusTypes

extension PlacementPlan {
    /// What a plan would change: the answer of a dry run.
    public struct Summary: Sendable, Hashable {
        public struct Node: Sendable, Hashable {
            public var name: NodeName
            /// Replicas that it has now, and in the end.
            public var before: Int
            public var after: Int
            /// The sum of its replicas' weights in the end, what would be its share by capacity, and what it may carry at most.
            public var load: Int
            public var share: Double
            public var bound: Int
        }

        /// Replicas to be loaded, and those that can be dropped now.
        public var adds: [Urgency: Int]
        public var drops: [Urgency: Int]
        /// By name; those that leave among them.
        public var nodes: [Node]
        /// Replicas that no node can have.
        public var missing: Int
        /// The greatest load in relation to its node's share; 1 where there is nothing to share.
        public var imbalance: Double
    }

    public var summary: Summary {
        func count(_ action: Change.Action) -> [Urgency: Int] {
            changes.reduce(into: [:]) { if $1.action == action { $0[$1.urgency, default: 0] += 1 } }
        }
        var before: [NodeName: Int] = [:]
        for shard in layout.shards { for replica in shard.replicas { before[replica.node, default: 0] += 1 } }
        var after = layout.nodes.map { _ in 0 }
        for shard in layout.wanted.indices { for node in layout.wanted[shard] { after[node] += 1 } }
        let nodes = layout.nodes.enumerated().map { number, node in
            Summary.Node(
                name: node.name, before: before[node.name] ?? 0, after: after[number], load: layout.load[number],
                share: layout.bounds.share[number], bound: layout.bounds.upper[number])
        }
        return Summary(
            adds: count(.add), drops: count(.drop), nodes: nodes, missing: placements.reduce(0) { $0 + $1.missing },
            imbalance: nodes.lazy.filter { $0.share > 0 }.map { Double($0.load) / $0.share }.max() ?? 1)
    }
}
