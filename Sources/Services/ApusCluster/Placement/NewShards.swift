public import ApusCatalog
internal import ApusPlacement
public import ApusTypes

/// Where the shards of a new collection go, beside what the nodes have.
///
/// To the planner all that a node has already is one shard of that weight, which stays where it is. So what it takes does not grow with the
/// shards that there are.
public struct NewShards: Sendable {
    let nodes: [NodeName]
    /// Replicas that each has.
    let loads: [NodeName: Int]
    let factor: Int

    public func placements(of shards: [ShardID]) -> [ShardPlacement] {
        let present = nodes.enumerated().filter { loads[$1] ?? 0 > 0 }.map { number, node in
            PlacementShard(
                ShardID(-1 - Int64(number)), replicationFactor: 1, weight: loads[node] ?? 1, replicas: [.init(on: node, .serving)])
        }
        let plan = PlacementPlan(
            shards: present + shards.map { PlacementShard($0, replicationFactor: factor) }, nodes: nodes.map { PlacementNode($0) })
        let wanted = Dictionary(plan.placements.map { ($0.shard, $0.nodes) }, uniquingKeysWith: { first, _ in first })
        return shards.map { ShardPlacement(wanted[$0] ?? [], why: plan.explanation(of: $0).map { "\($0)" } ?? "") }
    }
}

extension Cluster {
    /// Throws `cluster.no_active_nodes`. Waits for nodes that have registered a moment ago: while a whole cluster starts, the one that is asked
    /// would have all shards.
    public func newShards(replicas: Int, deadline: Instant) async throws -> NewShards {
        let patience = min(deadline, clock.now.advanced(by: Observation.startTime))
        while clock.now < patience {
            let rows = try await catalog.nodes.list(deadline: deadline).filter { $0.name != identity.name }
            guard observation.withLock({ $0.hasNewcomers(among: rows) }) else { break }
            try await clock.sleep(until: clock.now.advanced(by: .milliseconds(200)), tolerance: nil)
        }
        let nodes = try await takers(deadline: deadline)
        return NewShards(nodes: nodes, loads: try await catalog.shards.replicaCounts(deadline: deadline), factor: replicas)
    }
}
