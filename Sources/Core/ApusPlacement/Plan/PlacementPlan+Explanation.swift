public import ApusTypes

extension PlacementPlan {
    /// Why a shard is to be where it is, to be recorded with its changes: it says what was known when the plan was made.
    public struct Explanation: Sendable, Hashable {
        public enum Verdict: Sendable, Hashable {
            /// It has a replica, which stays.
            case stays
            /// It is given a replica.
            case chosen
            /// It has a replica, and others suffice.
            case surplus
            /// Its state: it is given nothing.
            case leaves, keeps
            /// It carries its quota.
            case full(load: Int, quota: Int)
            /// It has room; the replicas in place, or a node with less than its share, came first.
            case hasRoom
        }

        public struct Candidate: Sendable, Hashable {
            public var node: NodeName
            public var verdict: Verdict
        }

        public var shard: ShardID
        public var replicationFactor: Int
        /// In the order in which the shard prefers them, until those with a replica and those chosen are told, or `told` nodes; then
        /// what remains of those.
        public var candidates: [Candidate]

        /// Nodes that are told of at least, if there are as many.
        public static let told = 32
    }

    /// Nil for a shard that was not asked about.
    public func explanation(of shard: ShardID) -> Explanation? {
        let shards = layout.shards
        let number = shards.start { $0.id >= shard }
        guard number < shards.count, shards[number].id == shard else { return nil }
        var pending = Set(layout.wanted[number]).union(layout.held[number])
        let first = layout.ring.preference(of: shard) { nodes in
            if let last = nodes.last { pending.remove(last) }
            return !pending.isEmpty && nodes.count < Explanation.told
        }
        return Explanation(
            shard: shard, replicationFactor: shards[number].replicationFactor,
            candidates: (first + pending.sorted()).map {
                Explanation.Candidate(node: layout.nodes[$0].name, verdict: layout.verdict(on: $0, for: number))
            })
    }
}

extension ReplicaLayout {
    fileprivate func verdict(on node: Int, for shard: Int) -> PlacementPlan.Explanation.Verdict {
        switch (wanted[shard].contains(node), held[shard].contains(node), nodes[node].state) {
        case (true, true, _): .stays
        case (true, false, _): .chosen
        case (false, true, _): .surplus
        case (false, false, .leaves): .leaves
        case (false, false, .keeps): .keeps
        case (false, false, .takes):
            load[node] >= bounds.quota[node] ? .full(load: load[node], quota: bounds.quota[node]) : .hasRoom
        }
    }
}

extension PlacementPlan.Explanation: CustomStringConvertible {
    public var description: String {
        "factor \(replicationFactor): "
            + candidates.map { "\($0.node) \($0.verdict)" }.joined(separator: "; ")
    }
}

extension PlacementPlan.Explanation.Verdict: CustomStringConvertible {
    public var description: String {
        switch self {
        case .stays: "has a replica and keeps it"
        case .chosen: "is chosen"
        case .surplus: "has a replica too many"
        case .leaves: "leaves"
        case .keeps: "is given nothing for now"
        case .full(_, quota: 0): "is given nothing: others have what it could take"
        case .full(let load, let quota): "is full (\(load) of \(quota))"
        case .hasRoom: "has room and is not needed"
        }
    }
}
