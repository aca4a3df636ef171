internal import ApusCatalog
internal import ApusPlacement
internal import ApusRuntime
public import ApusTypes

/// What would happen to a node's replicas if it were to serve no more.
public struct DrainPlan: Sendable, Hashable {
    /// Replicas that another node is given in its place.
    public var moves: [Move]
    /// Shards that would have fewer replicas than their collections ask for, or none at all.
    public var short: [ShardID]
    public var unserved: [ShardID]

    public struct Move: Sendable, Hashable {
        public var shard: ShardID
        public var to: NodeName
    }
}

extension Cluster {
    /// What draining or removing the node would move, by what is known now; nothing is changed. Throws `node.unknown`.
    public func drainPlan(of name: NodeName, deadline: Instant) async throws -> DrainPlan {
        let view = try await view(deadline: deadline)
        _ = try known(name, in: view)
        let collections = try await catalog.collections.list(deadline: deadline)
        let factors = Dictionary(collections.map { ($0.id, $0.replicas) }, uniquingKeysWith: { first, _ in first })
        let nodes = view.nodes.map { row in
            let state: PlacementNode.State =
                switch row.status {
                case _ where row.name == name || !row.roles.contains(.worker): .leaves
                case .active, .joining: .takes
                case .suspect, .down, .stopping, .left: .keeps
                case .draining, .removing: .leaves
                }
            return PlacementNode(row.name, state: state)
        }
        let affected = view.shards.filter { shard in shard.replicas.contains { $0.node == name && $0.state != .leaving } }
        let plan = PlacementPlan(
            shards: view.shards.map { shard in
                PlacementShard(
                    shard.id, replicationFactor: max(1, factors[shard.collection] ?? 1),
                    replicas: shard.replicas.filter { $0.state != .leaving }.map {
                        .init(on: $0.node, $0.state.answers ? .serving : .loading)
                    })
            }, nodes: nodes)
        let wanted = Dictionary(plan.placements.map { ($0.shard, $0.nodes) }, uniquingKeysWith: { first, _ in first })
        let ids = Set(affected.map(\.id))
        return DrainPlan(
            moves: plan.changes.filter { $0.action == .add && ids.contains($0.shard) }.map { .init(shard: $0.shard, to: $0.node) },
            short: affected.filter { shard in
                (wanted[shard.id]?.count ?? 0) < min(factors[shard.collection] ?? 1, shard.replicas.count { $0.state != .leaving })
            }.map(\.id),
            unserved: affected.filter { wanted[$0.id]?.isEmpty ?? true }.map(\.id))
    }

    /// Has the node's shards served by others, and gives it none; it goes on answering until it has none left. `isForced`: also where
    /// collections have fewer replicas then than they ask for.
    ///
    /// Throws `node.unknown`, `node.last_copy` where nobody could serve a shard, `node.needed` where replicas would be too few.
    public func drain(_ name: NodeName, isForced: Bool = false, deadline: Instant) async throws -> DrainPlan {
        let plan = try await checked(name, isForced: isForced, deadline: deadline)
        try await catalog.nodes.set(.draining, of: name, deadline: deadline)
        log.notice("a node drains", ["node": name.rawValue, "moves": "\(plan.moves.count)"])
        return plan
    }

    /// Gives a node that drains, or is to be removed, work again. Throws `node.unknown`.
    public func undrain(_ name: NodeName, deadline: Instant) async throws {
        let row = try known(name, in: try await view(deadline: deadline))
        guard [.draining, .removing].contains(row.status) else { return }
        try await catalog.nodes.set(.active, of: name, deadline: deadline)
        log.notice("a node takes work again", ["node": name.rawValue])
    }

    /// Forgets a node: at once where it serves nothing, else as soon as others serve its shards, which the leader sees to. Nil: at once.
    ///
    /// Throws what `drain` throws, and `node.alive` for the node that is asked.
    public func remove(_ name: NodeName, isForced: Bool = true, deadline: Instant) async throws -> DrainPlan? {
        let view = try await view(deadline: deadline)
        _ = try known(name, in: view)
        let hasReplicas = view.shards.contains { shard in shard.replicas.contains { $0.node == name } }
        let plan = hasReplicas ? try await checked(name, isForced: isForced, deadline: deadline) : nil
        guard name != identity.name else {
            throw ApusError(.nodeAlive, "\(name) is the node that you ask, and it is running", hint: "stop it first, then ask another node")
        }
        guard let plan else {
            try await catalog.nodes.remove(name, deadline: deadline)
            log.notice("a node was removed", ["node": name.rawValue])
            return nil
        }
        try await catalog.nodes.set(.removing, of: name, deadline: deadline)
        log.notice("a node is removed when others serve its shards", ["node": name.rawValue, "moves": "\(plan.moves.count)"])
        return plan
    }

    private func checked(_ name: NodeName, isForced: Bool, deadline: Instant) async throws -> DrainPlan {
        let plan = try await drainPlan(of: name, deadline: deadline)
        func list(_ shards: [ShardID]) -> String { shards.prefix(5).map(\.description).joined(separator: ", ") }
        guard plan.unserved.isEmpty else {
            throw ApusError(
                .lastCopy, "no other node could serve \(plan.unserved.count) shards of \(name) (\(list(plan.unserved)))",
                hint: "add a node, or bring one back", context: ["shards": list(plan.unserved)])
        }
        guard plan.short.isEmpty || isForced else {
            throw ApusError(
                .nodeNeeded, "without \(name) \(plan.short.count) shards have fewer replicas than they should (\(list(plan.short)))",
                hint: "add a node, or insist with --force", context: ["shards": list(plan.short)])
        }
        return plan
    }

    private func known(_ name: NodeName, in view: ClusterView) throws(ApusError) -> NodeRow {
        guard let row = view.node(name) else {
            throw ApusError(.nodeUnknown, "there is no node \(name)", hint: "apus status lists the nodes")
        }
        return row
    }
}
