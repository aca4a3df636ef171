internal import ApusCatalog
internal import ApusCluster
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectors

/// Where shards are, what moves, and who wants it so.
extension ConsoleFace {
    func mountShards(on router: inout Router) {
        router.on(.get, "/api/shards", shards)
        router.on(.post, "/api/collections/{name}/shards/{number}/move", moveShard)
        router.on(.get, "/api/rebalance") { request in
            try request.require(.reader)
            return try await Self.reply(cluster.rebalancePlan(deadline: request.deadline))
        }
        router.on(.post, "/api/rebalance") { request in
            try request.require(.administrator)
            if try Self.isTrial(request) { return try await Self.reply(cluster.rebalancePlan(deadline: request.deadline)) }
            return try await Self.reply(cluster.rebalance(deadline: request.deadline))
        }
        for (path, isPaused) in [("/api/rebalance/pause", true), ("/api/rebalance/resume", false)] {
            router.on(.post, path) { request in
                try request.require(.administrator)
                let isTrial = try Self.isTrial(request)
                let wasPaused = try await cluster.rebalancePlan(deadline: request.deadline).pause != nil
                if !isTrial {
                    _ = try await cluster.setRebalancing(isPaused: isPaused, by: Self.person(request), deadline: request.deadline)
                }
                return .json(
                    JSONValue.object([
                        "is_paused": .bool(isTrial ? wasPaused : isPaused), "has_changed": .bool(wasPaused != isPaused),
                        "is_dry_run": .bool(isTrial),
                    ]).serialized())
            }
        }
    }

    static func isTrial(_ request: Request) throws -> Bool { try request.query.value("dry_run") ?? false }

    /// Who asks, as records name them.
    static func person(_ request: Request) -> String {
        guard let id = request.principal?.id else { return "somebody" }
        return id == "local" ? "the node's own user" : "key \(id)"
    }

    // MARK: Shards

    private func shards(_ request: Request) async throws -> Response {
        try request.require(.reader)
        let view = try await cluster.view(deadline: request.deadline)
        var wanted: CollectionID?
        if let name = request.query["collection"] {
            wanted = try await vectors.collection(CollectionName(name), deadline: request.deadline).id
        }
        let node = request.query["node"].map { NodeName($0) }
        if let node, view.node(node) == nil { throw ApusError(.nodeUnknown, "there is no node \(node)", hint: "apus node list") }
        let shards = view.shards.filter { shard in
            (wanted.map { shard.collection == $0 } ?? true) && (node.map { node in shard.replicas.contains { $0.node == node } } ?? true)
        }
        var writer = JSONWriter(reserving: 64 + shards.count * 160)
        writer.object {
            $0.key("shards")
            $0.array { for shard in shards { Self.write(shard, view, to: &$0) } }
        }
        return .json(writer.bytes)
    }

    private static func write(_ shard: ShardRow, _ view: ClusterView, to writer: inout JSONWriter) {
        writer.object {
            $0.member("shard", shard.id.value)
            $0.member("collection", view.collections[shard.collection]?.rawValue ?? "")
            $0.member("number", shard.number)
            $0.member("replication_factor", view.factors[shard.collection] ?? 1)
            $0.key("replicas")
            $0.array {
                for replica in shard.replicas {
                    $0.object {
                        $0.member("node", replica.node.rawValue)
                        $0.member("state", replica.state.rawValue)
                    }
                }
            }
        }
    }

    private func moveShard(_ request: Request) async throws -> Response {
        try request.require(.administrator)
        let name = CollectionName(try request.parameter("name"))
        let collection = try await vectors.collection(name, deadline: request.deadline)
        guard let target = request.query["to"] else { throw ApusError.field("to", "it is missing: the node that is to serve the shard") }
        let isTrial = try Self.isTrial(request)
        let move = try await cluster.moveShard(
            request.parameter("number"), of: collection.id, from: request.query["from"].map { NodeName($0) }, to: NodeName(target),
            by: Self.person(request), isTrial: isTrial, deadline: request.deadline)
        var writer = JSONWriter()
        writer.object {
            $0.member("shard", move.shard.value)
            $0.member("from", move.from.rawValue)
            $0.member("to", move.to.rawValue)
            $0.member("is_dry_run", isTrial)
            $0.key("follows")
            $0.array { for move in move.follows { Self.write(move, to: &$0) } }
        }
        return .json(writer.bytes)
    }

    // MARK: Rebalancing

    private static func reply(_ plan: RebalancePlan) -> Response {
        var writer = JSONWriter()
        writer.object {
            $0.member("is_paused", plan.pause != nil)
            if let pause = plan.pause {
                $0.member("paused_by", pause.by)
                $0.member("paused_at", pause.at.description)
            }
            $0.key("moving")
            $0.array { for move in plan.underWay { write(move, to: &$0) } }
            $0.key("planned")
            $0.array { for move in plan.planned { write(move, to: &$0) } }
            $0.key("nodes")
            $0.array {
                for node in plan.nodes {
                    $0.object {
                        $0.member("node", node.node.rawValue)
                        $0.member("replicas", node.before)
                        $0.member("replicas_after", node.after)
                        $0.member("share", .double(node.share))
                        $0.member("bound", node.bound)
                    }
                }
            }
            $0.member("replicas_missing", plan.missing)
            $0.member("shards", plan.shards)
        }
        return .json(writer.bytes)
    }

    private static func write(_ move: ReplicaMove, to writer: inout JSONWriter) {
        writer.object {
            $0.member("shard", move.shard.value)
            $0.member("collection", move.collection.rawValue)
            $0.member("number", move.number)
            $0.member("from", .array(move.from.map { .string($0.rawValue) }))
            $0.member("to", move.to.rawValue)
            if let why = move.why { $0.member("why", why) }
        }
    }
}
