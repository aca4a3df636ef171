internal import ApusCatalog
internal import ApusMembership
internal import ApusTypes

/// What a question about placement is answered from.
struct PlacementInput: Sendable {
    var followed: FollowedShards
    /// By id.
    var shards: [ShardRow]
    var rows: [NodeRow]
    var nodes: [NodeName: ReplicaSteps.Presence]

    /// Nodes that drain or are to be removed.
    var leaving: Set<NodeName> { Set(rows.lazy.filter { [.draining, .removing].contains($0.status) }.map(\.name)) }
    var takers: [NodeName] { nodes.filter { $0.value == .here }.map(\.key).sorted() }

    /// Whether the node has no replica of any shard.
    func isEmpty(_ node: NodeName) -> Bool { !shards.contains { $0.replicas.contains { $0.node == node } } }

    func steps() -> ReplicaSteps { ReplicaSteps(shards: shards, factors: followed.factors, nodes: nodes) }
}

extension Cluster {
    /// By what the catalog says now, and who lives as this node sees it.
    func placementInput(deadline: Instant) async throws -> PlacementInput {
        let rows = try await catalog.nodes.list(deadline: deadline)
        let followed = try await shards.read(catalog, deadline: deadline)
        return PlacementInput(followed: followed, shards: followed.shards, rows: rows, nodes: presences(of: rows))
    }

    /// How each node stands towards its replicas, as this node sees it. It answers itself, so it is not gone, however slow its heartbeats are.
    func presences(of rows: [NodeRow]) -> [NodeName: ReplicaSteps.Presence] {
        let now = clock.now
        return observation.withLock { observation in
            Dictionary(
                rows.map { row in
                    var standing = observation.standing(of: row.name)
                    if row.name == identity.name, standing?.wasUnreached != true { standing = NodeStanding(aliveSince: now) }
                    return (row.name, .init(of: row, standing, leftSince: now, graces, at: now))
                }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// By the leader's own observation; nil before it has read the nodes.
    func presences(asLeader epoch: Epoch) -> [NodeName: ReplicaSteps.Presence]? {
        let now = clock.now
        return observation.withLock { $0.presences(leader: epoch, graces, at: now) }
    }

    private var graces: ReplicaSteps.Graces { .init(absence: options.absenceGrace, restart: options.restartWindow) }
}
