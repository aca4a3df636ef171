internal import ApusCatalog
internal import ApusTypes

/// What the leader remembers from one round of placement to the next.
struct PlacementMemory: Sendable {
    private var epoch: Epoch?
    /// When replicas were first seen to be told to stop.
    private var stopped: [EndedReplica: Instant] = [:]
    /// What the last round that changed nothing was made from.
    private var settled: (feed: Int64, nodes: [NodeName: ReplicaSteps.Presence])?

    /// What a replica needs to stop answering, whatever it knows: the age that a look at the log may have, twice.
    static let stopTime = Duration.seconds(2)

    mutating func begin(_ epoch: Epoch) { if self.epoch != epoch { self = PlacementMemory(); self.epoch = epoch } }

    func isSettled(at feed: Int64, _ nodes: [NodeName: ReplicaSteps.Presence]) -> Bool {
        settled.map { $0.feed == feed && $0.nodes == nodes } ?? false
    }

    mutating func settle(at feed: Int64, _ nodes: [NodeName: ReplicaSteps.Presence]) { settled = stopped.isEmpty ? (feed, nodes) : nil }

    mutating func ended(_ shards: [ShardRow], at now: Instant) -> Set<EndedReplica> {
        let seen = Set(
            shards.flatMap { shard in
                shard.replicas.filter { $0.state == .leaving || $0.state == .suspended }.map { EndedReplica(shard, $0) }
            })
        stopped = stopped.filter { seen.contains($0.key) }
        for replica in seen where stopped[replica] == nil { stopped[replica] = now }
        return Set(stopped.filter { $0.value.duration(to: now) >= Self.stopTime }.keys)
    }
}
