internal import ApusCatalog
internal import ApusPlacement
internal import ApusRuntime
public import ApusTypes

/// What would happen to a node's replicas if it were to serve no more.
public struct DrainPlan: Sendable {
    /// Replicas that another node is given in its place.
    public var moves: [Move]
    /// Shards that would have fewer replicas than their collections ask for, or none that answers.
    public var short: [ShardID]
    public var unserved: [ShardID]
    /// Why it would be refused; nil where it would not.
    public var refusal: ApusError?

    public struct Move: Sendable, Hashable {
        public var shard: ShardID
        public var to: NodeName
    }
}

extension Cluster {
    /// What draining the node, or removing it, would move by what is known now, and what forbids it; nothing is changed. Throws `node.unknown`.
    public func drainPlan(of name: NodeName, removing: Bool = false, isForced: Bool = false, deadline: Instant) async throws -> DrainPlan {
        let input = try await placementInput(deadline: deadline)
        var plan = try await drainPlan(of: name, in: input, deadline: deadline)
        plan.refusal = refusal(of: plan, for: name, as: removing ? .removing : .draining, isForced: isForced, input)
        return plan
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
    public func drain(_ name: NodeName, isForced: Bool = false, by person: String, deadline: Instant) async throws -> DrainPlan {
        let (plan, _) = try await release(name, as: .draining, isForced: isForced, deadline: deadline)
        log.notice("a node drains", ["node": name.rawValue, "moves": "\(plan.moves.count)"])
        let moves = plan.moves.count == 1 ? "1 replica moves" : "\(plan.moves.count) replicas move"
        try await record("drains, and \(moves), because \(person) said so", of: name, deadline: deadline)
        return plan
    }

    /// Gives a node that drains, or is to be removed, work again; false for one that does neither. `isTrial`: changes nothing. Throws `node.unknown`.
    public func undrain(_ name: NodeName, by person: String, isTrial: Bool = false, deadline: Instant) async throws -> Bool {
        guard let row = try await catalog.nodes.find(name, deadline: deadline) else { throw Self.unknown(name) }
        guard [.draining, .removing].contains(row.status) else { return false }
        guard !isTrial else { return true }
        try await catalog.nodes.set(.active, of: name, deadline: deadline)
        log.notice("a node takes work again", ["node": name.rawValue])
        try await record("takes work again, because \(person) said so", of: name, deadline: deadline)
        return true
    }

    private func record(_ summary: String, of name: NodeName, deadline: Instant) async throws {
        try await catalog.records.add(.decision, subject: "node \(name)", summary: summary, deadline: deadline)
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
            if let refusal = refusal(of: plan, for: name, as: status, isForced: isForced, input) { throw refusal }
            if status == .removing, input.isEmpty(name) {
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

    private func refusal(
        of plan: DrainPlan, for name: NodeName, as status: NodeStatus, isForced: Bool, _ input: PlacementInput
    ) -> ApusError? {
        func list(_ shards: [ShardID]) -> String { shards.prefix(5).map(input.followed.name(of:)).joined(separator: ", ") }
        guard plan.unserved.isEmpty else {
            return ApusError(
                .lastCopy, "no other node could serve \(plan.unserved.count) shards of \(name) (\(list(plan.unserved)))",
                hint: "add a node, or bring one back", context: ["shards": list(plan.unserved)])
        }
        guard plan.short.isEmpty || isForced else {
            return ApusError(
                .nodeNeeded, "without \(name) \(plan.short.count) shards have fewer replicas than they should (\(list(plan.short)))",
                hint: "add a node, or insist with --force", context: ["shards": list(plan.short)])
        }
        guard status == .removing else { return nil }
        if input.rows.contains(where: { $0.name == name && $0.hostsCatalog }) {
            return ApusError(
                .nodeNeeded, "\(name) hosts the catalog, which would end with it", hint: "have another PostgreSQL hold the catalog first")
        }
        guard name != identity.name || !input.isEmpty(name) else {
            return ApusError(
                .nodeAlive, "\(name) is the node that you ask, and it is running", hint: "stop it first, then ask another node")
        }
        return nil
    }

    static func unknown(_ name: NodeName) -> ApusError {
        ApusError(.nodeUnknown, "there is no node \(name)", hint: "'apus node list' lists them")
    }
}

extension NodeRow {
    /// Whether the node said so when it registered.
    fileprivate var hostsCatalog: Bool { (try? JSONValue(parsing: Array(metadata.utf8)))?["hosts_catalog"] == true }
}
