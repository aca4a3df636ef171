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

    public func node(_ name: NodeName) -> NodeRow? { nodes.first { $0.name == name } }

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
        return ClusterView(nodes: nodes, shards: try await catalog.shards.list(deadline: deadline))
    }

    private func nodes(deadline: Instant) async throws -> [NodeRow] {
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

    private func takers(deadline: Instant) async throws -> [NodeRow] {
        let takers = try await nodes(deadline: deadline).filter { [.joining, .active].contains($0.status) && $0.roles.contains(.worker) }
        guard !takers.isEmpty else {
            throw ApusError(.noActiveNodes, "No active cluster nodes available", hint: "apus status says why")
        }
        return takers
    }

    /// Whether a node is expected to answer, as far as this one sees.
    public func isUsable(_ node: NodeName) -> Bool {
        observation.withLock { $0.standing(of: node) }.map { $0.state == .alive } ?? true
    }

    /// The row of a node as it was last read.
    public func row(of node: NodeName) -> NodeRow? { observation.withLock { $0.row(node) } }

    /// The nodes of each of so many new shards: those that have the fewest replicas. Throws `cluster.no_active_nodes`.
    public func place(shards: Int, replicas: Int, deadline: Instant) async throws -> [[NodeName]] {
        var loads = Dictionary(
            try await takers(deadline: deadline).map { ($0.name, 0) }, uniquingKeysWith: { first, _ in first })
        for replica in try await catalog.shards.list(deadline: deadline).flatMap(\.replicas) { loads[replica.node]? += 1 }
        return (0..<shards).map { _ in
            let chosen = loads.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.prefix(replicas).map(\.key)
            for node in chosen { loads[node]? += 1 }
            return chosen
        }
    }

    /// Gives the shards that nobody serves to this node. Copies that are served stay where they are.
    ///
    /// Throws `cluster.no_active_nodes`.
    public func rebalance(deadline: Instant) async throws -> (moved: Int, view: ClusterView) {
        try await requireActiveNode(deadline: deadline)
        let moved = try await adoptShards(deadline: deadline)
        return (moved, try await view(deadline: deadline))
    }

    /// The node that holds the leader's lease, nil when nobody does.
    public func leader(deadline: Instant) async throws -> NodeRow? {
        guard let holder = try await catalog.leases.holder(deadline: deadline) else { return nil }
        return try await catalog.nodes.find(holder.node, deadline: deadline)
    }

    /// Which single losses the cluster survives: how many of its nodes can be lost at once without losing an acknowledged write.
    public var failureTolerance: String {
        switch catalog.database.dialect {
        case .sqlite: "0: catalog and store are on \(identity.name)"
        case .postgreSQL: "that of PostgreSQL and of the store (\(options.storePlace)); \(identity.name) holds nothing that is not there"
        }
    }
}
