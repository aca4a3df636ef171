internal import ApusCatalog
internal import ApusPlacement
internal import ApusRuntime
public import ApusTypes

/// That nothing is moved to even loads out: a setting of the cluster, which is there while it is paused.
public struct RebalancePause: Sendable, Hashable {
    public var by: String
    public var at: WallTime

    private static let setting = "rebalancing is paused"

    static func read(_ catalog: Catalog, deadline: Instant) async throws -> RebalancePause? {
        guard let text = try await catalog.settings.all(deadline: deadline)[setting] else { return nil }
        let value = try? JSONValue(parsing: Array(text.utf8))
        return RebalancePause(
            by: value?["by"]?.asString ?? "", at: WallTime(millisecondsSinceEpoch: value?["at_milliseconds"]?.asInteger ?? 0))
    }

    static func write(_ pause: RebalancePause?, to catalog: Catalog, deadline: Instant) async throws {
        let text = pause.map {
            JSONValue.object(["by": .string($0.by), "at_milliseconds": .integer($0.at.millisecondsSinceEpoch)]).description
        }
        try await catalog.settings.set(setting, to: text, deadline: deadline)
    }
}

/// A replica on its way to a node.
public struct ReplicaMove: Sendable, Hashable {
    public var shard: ShardID
    public var collection: CollectionName
    /// Of the shard in its collection.
    public var number: Int
    /// Nodes that give theirs up for it; none where the shard has too few.
    public var from: [NodeName]
    public var to: NodeName
    /// Of a move that is to come; the reasons of those under way are in their records.
    public var why: String?
}

/// What is moved and what is to be, by what is known now.
public struct RebalancePlan: Sendable {
    public var pause: RebalancePause?
    public var underWay: [ReplicaMove] = []
    public var planned: [ReplicaMove] = []
    /// Replicas too many, which go when others serve.
    public var surplus = 0
    /// By name.
    public var nodes: [Load] = []
    /// Replicas that no node can have.
    public var missing = 0
    public var shards = 0

    /// A node's replicas now and in the end; its share by capacity, and what it may have at most.
    public struct Load: Sendable, Hashable {
        public var node: NodeName
        public var before: Int
        public var after: Int
        public var share: Double
        public var bound: Int
    }

    init() {}

    init(_ input: PlacementInput) {
        pause = input.followed.pause
        let plan = input.steps().plan
        let summary = plan.summary
        missing = summary.missing
        shards = input.shards.count
        nodes = summary.nodes.map { Load(node: $0.name, before: $0.before, after: $0.after, share: $0.share, bound: $0.bound) }
        let wanted = Dictionary(plan.placements.map { ($0.shard, Set($0.nodes)) }, uniquingKeysWith: { first, _ in first })
        let rows = Dictionary(input.shards.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        func move(_ shard: ShardRow, to node: NodeName, _ why: String? = nil) -> ReplicaMove {
            let leaving = shard.replicas.filter { $0.state == .retiring || $0.state.answers && wanted[shard.id]?.contains($0.node) != true }
            return ReplicaMove(
                shard: shard.id, collection: input.followed.collections[shard.collection]?.name ?? "", number: shard.number,
                from: leaving.map(\.node), to: node, why: why)
        }
        for shard in input.shards {
            for replica in shard.replicas where replica.state == .loading && input.nodes[replica.node]?.isGone == false {
                underWay.append(move(shard, to: replica.node))
            }
        }
        surplus = input.shards.reduce(0) { sum, shard in
            sum + max(0, shard.replicas.count { $0.state != .leaving && $0.state != .retiring } - (wanted[shard.id]?.count ?? 0))
        }
        for change in plan.changes where change.action == .add {
            if let shard = rows[change.shard] { planned.append(move(shard, to: change.node, change.reason.description)) }
        }
    }
}

extension Cluster {
    /// What is moved, and what is to be.
    public func rebalancePlan(deadline: Instant) async throws -> RebalancePlan {
        let input = try await placementInput(deadline: deadline)
        return try await planning.run(deadline: deadline) { RebalancePlan(input) }
    }

    /// What would be moved if a collection asked for another number of replicas. Throws `collection.unknown`.
    public func rebalancePlan(replicas: Int, of collection: CollectionID, deadline: Instant) async throws -> RebalancePlan {
        var input = try await placementInput(deadline: deadline)
        guard input.followed.collections[collection] != nil else {
            throw ApusError(.collectionUnknown, "the collection is gone", hint: "apus collection list")
        }
        input.followed.collections[collection]?.factor = replicas
        return try await planning.run(deadline: deadline) { [input] in RebalancePlan(input) }
    }

    /// Has the leader look at the loads: at once if this node leads; it does so each half second anyway. Gives the plan.
    ///
    /// Throws `cluster.no_active_nodes`, and `rebalance.paused`.
    public func rebalance(deadline: Instant) async throws -> RebalancePlan {
        try await requireActiveNode(deadline: deadline)
        let plan = try await rebalancePlan(deadline: deadline)
        if let pause = plan.pause {
            throw ApusError(
                .rebalancePaused, "rebalancing was paused by \(pause.by) at \(pause.at)", hint: "apus rebalance resume")
        }
        if let epoch = leadership.epoch { try await placeReplicas(epoch, deadline: deadline) }
        return plan
    }

    /// While it is paused no move is begun that only evens loads out. Shards that too few nodes serve, nodes that leave and moves that
    /// somebody asks for are not held up, and what is begun is finished. False if it was so already.
    public func setRebalancing(isPaused: Bool, by person: String, deadline: Instant) async throws -> Bool {
        guard (try await RebalancePause.read(catalog, deadline: deadline) != nil) != isPaused else { return false }
        try await RebalancePause.write(
            isPaused ? RebalancePause(by: person, at: clock.wallTime) : nil, to: catalog, deadline: deadline)
        let what = isPaused ? "rebalancing is paused" : "rebalancing goes on"
        log.notice("rebalancing is paused or goes on", ["is_paused": "\(isPaused)", "by": person])
        try await catalog.records.add(.event, subject: "rebalance", summary: "\(what), because \(person) said so", deadline: deadline)
        return true
    }
}
