public import ApusCatalog
internal import ApusDatabase
internal import ApusMembership
internal import ApusRuntime
public import ApusTypes
internal import Synchronization

/// The nodes and shards of the cluster as the catalog has them now.
public struct ClusterView: Sendable {
    /// By name.
    public var nodes: [NodeRow]
    /// By id.
    public var shards: [ShardRow]
    public var collections: [CollectionID: CollectionName] = [:]
    /// How many nodes are to serve each shard.
    public var factors: [CollectionID: Int] = [:]
    public var pause: RebalancePause?
    /// As the node sees it that was asked.
    public var unreached: [NodeName: UnreachedNode] = [:]

    public func node(_ name: NodeName) -> NodeRow? { nodes.first { $0.name == name } }

    /// What people call a shard: `words/3`; its id where it is gone.
    public func name(of id: ShardID) -> String {
        guard let shard = shards.first(where: { $0.id == id }), let collection = collections[shard.collection] else {
            return id.description
        }
        return "\(collection)/\(shard.number)"
    }

    /// Shards that `node` has a serving copy of.
    public func shards(on node: NodeName) -> [ShardRow] {
        shards.filter { $0.replicas.contains { $0.node == node && $0.state.answers } }
    }
}

extension ShardRow {
    public var isServed: Bool { replicas.contains { $0.state.answers } }
}

extension Cluster {
    /// The catalog's rows, with the status of nodes that have fallen silent as this node sees it.
    public func view(deadline: Instant) async throws -> ClusterView {
        // Shards after nodes: a node that is new to us has no shards yet, one that we know may not be missed.
        let nodes = try await nodes(deadline: deadline)
        let followed = try await shards.read(catalog, deadline: deadline)
        return ClusterView(
            nodes: nodes, shards: followed.shards, collections: followed.collections.mapValues(\.name), factors: followed.factors,
            pause: followed.pause, unreached: observation.withLock(\.unreached))
    }

    /// The nodes alone.
    public func nodes(deadline: Instant) async throws -> [NodeRow] {
        var nodes = try await catalog.nodes.list(deadline: deadline)
        // This node answers, so it is not gone, however slow its heartbeats are.
        for index in nodes.indices where nodes[index].name != identity.name {
            let row = nodes[index]
            nodes[index].status = observation.withLock { $0.status(of: row) }
        }
        return nodes
    }

    /// Throws `cluster.no_active_nodes` when there is nobody whom a shard could be given: all drain, have left or are silent.
    public func requireActiveNode(deadline: Instant) async throws { _ = try await takers(deadline: deadline) }

    func takers(deadline: Instant) async throws -> [NodeName] {
        let takers = presences(of: try await catalog.nodes.list(deadline: deadline)).filter { $0.value == .here }.map(\.key).sorted()
        guard !takers.isEmpty else {
            throw ApusError(.noActiveNodes, "No active cluster nodes available", hint: "apus status says why")
        }
        return takers
    }

    /// Whether a node is expected to answer, as far as this one sees.
    public func isUsable(_ node: NodeName) -> Bool {
        observation.withLock { $0.standing(of: node) }.map { $0.state == .alive } ?? true
    }

    /// The nodes as they were last read, and as this one sees them; none before that.
    public var knownNodes: [NodeRow] {
        observation.withLock { observation in
            observation.rows.map { row in
                var row = row
                if row.name != identity.name { row.status = observation.status(of: row) }
                return row
            }
        }
    }

    /// The row of a node as it was last read.
    public func row(of node: NodeName) -> NodeRow? { observation.withLock { $0.row(node) } }

    /// The node that holds the leader's lease, nil when nobody does.
    public func leader(deadline: Instant) async throws -> NodeRow? {
        guard let holder = try await catalog.leases.holder(deadline: deadline) else { return nil }
        return try await catalog.nodes.find(holder.node, deadline: deadline)
    }
}
