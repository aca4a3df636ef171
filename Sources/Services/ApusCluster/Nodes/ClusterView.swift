public import ApusCatalog
internal import ApusDatabase
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
        shards.filter { $0.replicas.contains { $0.node == node && $0.state == .serving } }
    }

    /// Shards whose only serving copy is `node`'s.
    public func lastCopies(on node: NodeName) -> [ShardRow] {
        shards(on: node).filter { $0.replicas.filter { $0.state == .serving }.count == 1 }
    }
}

extension ShardRow {
    public var isServed: Bool { replicas.contains { $0.state == .serving } }
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
        watch.withLock { watch in
            // This node answers, so it is not silent, however slow its heartbeats are.
            for index in nodes.indices where nodes[index].name != identity.name { nodes[index].status = watch.status(of: nodes[index]) }
        }
        return nodes
    }

    /// Throws `cluster.no_active_nodes` when there is nobody whom a shard could be given: all drain, have left or are silent.
    public func requireActiveNode(deadline: Instant) async throws {
        let takers = try await nodes(deadline: deadline).filter { [.joining, .active].contains($0.status) && $0.roles.contains(.worker) }
        guard !takers.isEmpty else {
            throw ApusError(.noActiveNodes, "No active cluster nodes available", hint: "apus status says why")
        }
    }

    /// Forgets a node. Throws `node.unknown`, `node.last_copy` when it alone serves a shard, `node.alive` for the node that is asked.
    public func remove(_ name: NodeName, deadline: Instant) async throws {
        let view = try await view(deadline: deadline)
        guard view.node(name) != nil else {
            throw ApusError(.nodeUnknown, "there is no node \(name)", hint: "apus status lists the nodes")
        }
        let lastCopies = view.lastCopies(on: name)
        guard lastCopies.isEmpty else {
            throw ApusError(
                .lastCopy, "\(name) has the only copy of \(lastCopies.count) shards", hint: "move them to another node first",
                context: ["shards": lastCopies.map(\.id.description).joined(separator: ",")])
        }
        guard name != identity.name else {
            throw ApusError(.nodeAlive, "\(name) is the node that you ask, and it is running", hint: "stop it first, then ask another node")
        }
        try await catalog.nodes.remove(name, deadline: deadline)
        log.notice("a node was removed", ["node": name.rawValue])
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
