internal import ApusCatalog
internal import ApusPlacement
internal import ApusRuntime
public import ApusTypes

/// What would happen to a node's replicas if it were to serve no more.
public struct DrainPlan: Sendable, Hashable {
    /// Replicas that another node is given in its place.
    public var moves: [Move]
    /// Shards that would have fewer replicas than their collections ask for, or none that answers.
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
        try await drainPlan(of: name, in: try await placementInput(deadline: deadline), deadline: deadline)
    }

    private func drainPlan(of name: NodeName, in input: PlacementInput, deadline: Instant) async throws -> DrainPlan {
        guard let presence = input.nodes[name] else { throw Self.unknown(name) }
        var without = input
        without.nodes[name] = presence.isGone ? .lost : .leaving
        let plan = try await planning.run(deadline: deadline) { [without] in without.steps().plan }
        let wanted = Dictionary(plan.placements.map { ($0.shard, $0.nodes) }, uniquingKeysWith: { first, _ in first })
        let affected = input.shards.filter { shard in shard.replicas.contains { $0.node == name && $0.state != .leaving } }
        let ids = Set(affected.map(\.id))
        return DrainPlan(
            moves: plan.changes.filter { $0.action == .add && ids.contains($0.shard) }.map { .init(shard: $0.shard, to: $0.node) },
            short: affected.filter { shard in
                (wanted[shard.id]?.count ?? 0)
                    < min(input.followed.factors[shard.collection] ?? 1, shard.replicas.count { $0.state != .leaving })
            }.map(\.id),
            unserved: affected.filter { shard in
                wanted[shard.id]?.allSatisfy { without.nodes[$0]?.isGone ?? true } ?? true
            }.map(\.id))
    }

    /// Has the node's shards served by others, and gives it none; it goes on answering until it has none left. `isForced`: also where
    /// collections have fewer replicas then than they ask for.
    ///
    /// Throws `node.unknown`, `node.last_copy` where nobody could serve a shard, `node.needed` where replicas would be too few.
    public func drain(_ name: NodeName, isForced: Bool = false, deadline: Instant) async throws -> DrainPlan {
        let (plan, _) = try await release(name, as: .draining, isForced: isForced, deadline: deadline)
        log.notice("a node drains", ["node": name.rawValue, "moves": "\(plan.moves.count)"])
        return plan
    }

    /// Gives a node that drains, or is to be removed, work again. Throws `node.unknown`.
    public func undrain(_ name: NodeName, deadline: Instant) async throws {
        guard let row = try await catalog.nodes.find(name, deadline: deadline) else { throw Self.unknown(name) }
        guard [.draining, .removing].contains(row.status) else { return }
        try await catalog.nodes.set(.active, of: name, deadline: deadline)
        log.notice("a node takes work again", ["node": name.rawValue])
    }

    /// Forgets a node: at once where it has no replicas, else as soon as others serve its shards, which the leader sees to. Nil: at once.
    ///
    /// Throws what `drain` throws, and `node.alive` for the node that is asked where it has no replicas.
    public func remove(_ name: NodeName, isForced: Bool = true, deadline: Instant) async throws -> DrainPlan? {
        let (plan, isGone) = try await release(name, as: .removing, isForced: isForced, deadline: deadline)
        log.notice(
            isGone ? "a node was removed" : "a node is removed when others serve its shards",
            ["node": name.rawValue, "moves": "\(plan.moves.count)"])
        return isGone ? nil : plan
    }

    /// Whether nobody leaves at the same moment on whom the plan counts is judged where the status is set; then it is planned anew.
    private func release(
        _ name: NodeName, as status: NodeStatus, isForced: Bool, deadline: Instant
    ) async throws -> (plan: DrainPlan, isGone: Bool) {
        var attempts = 3
        while true {
            let input = try await placementInput(deadline: deadline)
            let plan = try await drainPlan(of: name, in: input, deadline: deadline)
            try Self.check(plan, of: name, isForced: isForced)
            if status == .removing, input.rows.contains(where: { $0.name == name && $0.hostsCatalog }) {
                throw ApusError(
                    .nodeNeeded, "\(name) hosts the catalog, which would end with it",
                    hint: "have another PostgreSQL hold the catalog first")
            }
            if status == .removing, !input.shards.contains(where: { $0.replicas.contains { $0.node == name } }) {
                guard name != identity.name else {
                    throw ApusError(
                        .nodeAlive, "\(name) is the node that you ask, and it is running", hint: "stop it first, then ask another node")
                }
                try await catalog.nodes.remove(name, deadline: deadline)
                return (plan, true)
            }
            do {
                try await catalog.nodes.set(status, of: name, ifLeaving: input.leaving, deadline: deadline)
                return (plan, false)
            } catch let error as ApusError where error.code == .writeAborted && attempts > 1 {
                attempts -= 1
            }
        }
    }

    private static func check(_ plan: DrainPlan, of name: NodeName, isForced: Bool) throws(ApusError) {
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
    }

    static func unknown(_ name: NodeName) -> ApusError {
        ApusError(.nodeUnknown, "there is no node \(name)", hint: "apus status lists the nodes")
    }
}

extension NodeRow {
    /// Whether the node said so when it registered.
    fileprivate var hostsCatalog: Bool { (try? JSONValue(parsing: Array(metadata.utf8)))?["hosts_catalog"] == true }
}
