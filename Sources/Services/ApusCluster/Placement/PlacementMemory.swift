internal import ApusCatalog
internal import ApusTypes

/// What the leader remembers from one round of placement to the next.
struct PlacementMemory: Sendable {
    private var epoch: Epoch?
    /// When replicas were first seen to be told to stop.
    private var stopped: [SeenReplica: Instant] = [:]
    /// When replicas of shards that more than enough nodes have were first seen to serve.
    private var serving: [SeenReplica: Instant] = [:]
    private var hasNewcomers = false
    /// What the last round that changed nothing was made from.
    private var settled: (feed: Int64, nodes: [NodeName: ReplicaSteps.Presence], unsteady: Set<NodeName>)?

    /// What a replica needs to stop answering, whatever it knows: the age that a look at the log may have, twice.
    static let stopTime = Duration.seconds(2)
    /// How long a replica has served before others stop for it. Its node may have come a moment ago: nodes that could not reach it then try
    /// again every half second (`RPCSettings.maxBackoff`).
    static let reachTime = Duration.seconds(1)

    mutating func begin(_ epoch: Epoch) { if self.epoch != epoch { self = PlacementMemory(); self.epoch = epoch } }

    func isSettled(at feed: Int64, _ nodes: [NodeName: ReplicaSteps.Presence], unsteady: Set<NodeName> = []) -> Bool {
        settled.map { $0.feed == feed && $0.nodes == nodes && $0.unsteady == unsteady } ?? false
    }

    mutating func settle(at feed: Int64, _ nodes: [NodeName: ReplicaSteps.Presence], unsteady: Set<NodeName> = []) {
        settled = stopped.isEmpty && !hasNewcomers ? (feed, nodes, unsteady) : nil
    }

    /// Replicas that have not served for long enough yet to take the place of others, or on which nobody should rely: those of `unsteady` nodes.
    mutating func newcomers(
        _ shards: [ShardRow], _ factors: [CollectionID: Int], unsteady: Set<NodeName> = [], at now: Instant
    ) -> Set<SeenReplica> {
        let seen = shards.filter { $0.replicas.count > max(1, factors[$0.collection] ?? 1) }.flatMap { shard in
            shard.replicas.filter { $0.state == .serving }.map { SeenReplica(shard, $0) }
        }
        serving = Dictionary(seen.map { ($0, serving[$0] ?? now) }, uniquingKeysWith: { first, _ in first })
        let newcomers = serving.filter { $0.value.duration(to: now) < Self.reachTime }.keys
        hasNewcomers = !newcomers.isEmpty
        return Set(newcomers).union(serving.keys.filter { unsteady.contains($0.node) })
    }

    mutating func ended(_ shards: [ShardRow], at now: Instant) -> Set<SeenReplica> {
        let seen = Set(
            shards.flatMap { shard in
                shard.replicas.filter { $0.state == .leaving || $0.state == .suspended }.map { SeenReplica(shard, $0) }
            })
        stopped = stopped.filter { seen.contains($0.key) }
        for replica in seen where stopped[replica] == nil { stopped[replica] = now }
        return Set(stopped.filter { $0.value.duration(to: now) >= Self.stopTime }.keys)
    }
}
