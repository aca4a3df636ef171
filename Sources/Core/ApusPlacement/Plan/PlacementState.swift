public import ApusTypes

/// A node as the planner sees it.
public struct PlacementNode: Sendable, Hashable {
    public enum State: String, Sendable, Hashable, CaseIterable {
        /// Active: may be given replicas.
        case takes
        /// Suspect, absent within its grace, or restarting as announced: keeps what it has, which still counts, and is given nothing.
        case keeps
        /// Draining, decommissioned, or absent for longer than its grace: everything that it has is placed elsewhere.
        case leaves
    }

    public var name: NodeName
    /// How much it can hold in proportion to the others, above 0.
    public var capacity: Double
    public var state: State

    public init(_ name: NodeName, capacity: Double = 1, state: State = .takes) {
        self.name = name
        self.capacity = capacity
        self.state = state
    }
}

/// A shard, how many replicas it should have, and where they are now.
public struct PlacementShard: Sendable, Hashable {
    public struct Replica: Sendable, Hashable {
        public enum State: String, Sendable, Hashable, CaseIterable { case loading, serving }

        public var node: NodeName
        public var state: State

        public init(on node: NodeName, _ state: State) {
            self.node = node
            self.state = state
        }
    }

    public var id: ShardID
    /// At least 1.
    public var replicationFactor: Int
    /// What a replica of it adds to the load of its node, at least 1.
    public var weight: Int
    /// At most one on each node, in any order. One on a node that the planner is not told of is treated as one on a node that leaves.
    public var replicas: [Replica]

    public init(_ id: ShardID, replicationFactor: Int, weight: Int = 1, replicas: [Replica] = []) {
        self.id = id
        self.replicationFactor = replicationFactor
        self.weight = weight
        self.replicas = replicas
    }
}
