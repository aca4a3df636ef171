internal import ApusCatalog
internal import ApusCluster
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectors

/// The cluster's endpoints, answered from the catalog's rows: the real server's fields, and those that its documents promise.
extension VectorizerFace {
    func mountCluster(on router: inout Router) {
        route(&router, .get, "/api/v1/cluster/nodes", needs: .reader) { request in
            let view = try await cluster.view(deadline: request.deadline)
            let progress = await progress(of: view.nodes, deadline: request.deadline)
            var writer = JSONWriter()
            writer.object {
                $0.key("nodes")
                $0.array { for node in view.nodes { write(node, view, progress[node.name], to: &$0) } }
            }
            return .json(writer.bytes)
        }
        route(&router, .get, "/api/v1/cluster/nodes/{id}", needs: .reader) { request in
            let view = try await cluster.view(deadline: request.deadline)
            let name = NodeName(try request.parameter("id"))
            guard let node = view.node(name) else { throw Self.unknown(name) }
            var writer = JSONWriter()
            write(node, view, await progress(of: [node], deadline: request.deadline)[name], to: &writer)
            return .json(writer.bytes)
        }
        route(&router, .delete, "/api/v1/cluster/nodes/{id}", needs: .administrator) { request in
            let name = NodeName(try request.parameter("id"))
            let plan: DrainPlan?
            do { plan = try await cluster.remove(name, deadline: request.deadline) } catch let error as ApusError
                where error.code == .nodeUnknown
            {
                throw Self.unknown(name)
            }
            let message =
                plan.map { "Node \(name) is leaving: \($0.moves.count) shards move to other nodes first" }
                ?? "Node \(name) removed from cluster"
            return .json(
                JSONValue.object([
                    "success": true, "message": .string(message), "status": plan == nil ? "removed" : "leaving",
                    "migrations": .array(
                        (plan?.moves ?? []).map {
                            ["shard_id": .integer($0.shard.value), "from": .string(name.rawValue), "to": .string($0.to.rawValue)]
                        }),
                ]).serialized())
        }
        route(&router, .get, "/api/v1/cluster/shard-distribution", needs: .reader, shardDistribution)
        route(&router, .post, "/api/v1/cluster/rebalance", needs: .administrator, rebalance)
        route(&router, .get, "/api/v1/cluster/rebalance/status", needs: .reader) { request in
            .json(try await rebalanceStatus(deadline: request.deadline).json)
        }
        route(&router, .post, "/api/v1/cluster/sync", needs: .administrator, sync)
        route(&router, .get, "/api/v1/cluster/leader", needs: .reader) { request in
            let leader = try await cluster.leader(deadline: request.deadline)
            return .json(
                JSONValue.object([
                    "leader": leader.map { .string($0.name.rawValue) } ?? .null,
                    "leader_id": leader.map { .string($0.name.rawValue) } ?? .null,
                    "leader_url": leader.map { .string($0.url) } ?? .null, "has_leader": .bool(leader != nil),
                    "is_leader": .bool(cluster.leadership.epoch != nil),
                ]).serialized())
        }
        route(&router, .get, "/api/v1/cluster/role", needs: .reader) { _ in
            let leads = cluster.leadership.epoch != nil
            return .json(
                JSONValue.object([
                    "role": .string(leads ? "leader" : "follower"), "node_id": .string(cluster.identity.name.rawValue),
                    "roles": .array(cluster.options.roles.map(\.rawValue).sorted().map(JSONValue.string)),
                ]).serialized())
        }
    }

    private static func unknown(_ name: NodeName) -> ApusError { ApusError(.nodeUnknown, "Node \(name) not found") }

    /// What nodes say of themselves; those that do not within a moment are left out.
    private func progress(of nodes: [NodeRow], deadline: Instant) async -> [NodeName: NodeProgress] {
        let living = nodes.filter {
            [.active, .joining, .draining, .removing, .stopping].contains($0.status) && $0.roles.contains(.worker)
        }
        return await vectors.progress(of: living.map(\.name), deadline: min(deadline, clock.now.advanced(by: .milliseconds(300))))
    }

    private func write(_ node: NodeRow, _ view: ClusterView, _ own: NodeProgress?, to writer: inout JSONWriter) {
        let shards = view.shards(on: node.name)
        let isSelf = node.name == cluster.identity.name
        writer.object {
            $0.member("id", node.name.rawValue)
            $0.member("address", Self.host(of: node.url))
            $0.member("grpc_port", Self.port(of: node.rpcAddress).map(JSONValue.integer) ?? .null)
            $0.member("status", Self.status(node.status))
            $0.member("state", node.status.rawValue)
            $0.member("url", node.url)
            $0.member("roles", .array(node.roles.map(\.rawValue).sorted().map(JSONValue.string)))
            $0.member("is_local", isSelf)
            $0.member("registered_at", node.registeredAt.description)
            $0.member("shard_count", shards.count)
            $0.member("shards", .array(shards.map { .integer($0.id.value) }))
            if isSelf { $0.member("uptime_seconds", Int(cluster.startedAt.duration(to: clock.now).seconds)) }
            $0.key("metadata")
            $0.object {
                $0.member("version", node.version)
                $0.member("capabilities", .array([]))
                $0.member("vector_count", own?.points.json ?? .null)
                $0.member("memory_usage", own?.memory.bytes.json ?? .null)
                $0.member("cpu_usage", .null)
            }
        }
    }

    private static func status(_ status: NodeStatus) -> String {
        switch status {
        case .active: "active"
        case .joining: "joining"
        case .draining, .removing, .stopping: "leaving"
        case .suspect, .down, .left: "unavailable"
        }
    }

    /// `http://192.168.1.10:15002` → `192.168.1.10`.
    private static func host(of url: String) -> String {
        var rest = url[...]
        if let colon = rest.firstIndex(of: ":"), rest[colon...].hasPrefix("://") { rest = rest[colon...].dropFirst(3) }
        if let slash = rest.firstIndex(of: "/") { rest = rest[..<slash] }
        if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") { return String(rest[rest.index(after: rest.startIndex)..<end]) }
        return String(rest.prefix { $0 != ":" })
    }

    private static func port(of address: String) -> Int64? {
        address.lastIndex(of: ":").flatMap { Int64(address[address.index(after: $0)...]) }
    }

    private func shardDistribution(_ request: Request) async throws -> Response {
        let view = try await cluster.view(deadline: request.deadline)
        var writer = JSONWriter()
        writer.object {
            $0.key("shard_to_node")
            $0.array {
                for shard in view.shards {
                    for replica in shard.replicas where replica.state.answers {
                        $0.object {
                            $0.member("shard_id", shard.id.value)
                            $0.member("node_id", replica.node.rawValue)
                            $0.member("collection_id", shard.collection.value)
                            $0.member("number", shard.number)
                        }
                    }
                }
            }
            $0.key("node_shard_counts")
            $0.array {
                for node in view.nodes {
                    $0.object {
                        $0.member("node_id", node.name.rawValue)
                        $0.member("shard_count", view.shards(on: node.name).count)
                    }
                }
            }
            $0.key("distribution")
            $0.object {
                for node in view.nodes { $0.member(node.name.rawValue, .array(view.shards(on: node.name).map { .integer($0.id.value) })) }
            }
            $0.member("total_shards", view.shards.count)
            $0.member("nodes", .array(view.nodes.map { .string($0.name.rawValue) }))
            $0.key("shards_per_node")
            $0.object { for node in view.nodes { $0.member(node.name.rawValue, view.shards(on: node.name).count) } }
            $0.member("unassigned_shards", .array(view.shards.filter { !$0.isServed }.map { .integer($0.id.value) }))
        }
        return .json(writer.bytes)
    }

    /// A body is not needed and not read.
    private func rebalance(_ request: Request) async throws -> Response {
        .json(try await rebalance(deadline: request.deadline).json)
    }

    /// How far the nodes are from what they should serve.
    struct RebalanceStatus {
        var plan: RebalancePlan

        var moves: Int { plan.underWay.count + plan.planned.count }
        var status: String { plan.pause != nil && plan.underWay.isEmpty ? "paused" : moves > 0 ? "running" : "idle" }

        var message: String {
            if plan.shards == 0 { return "No shards to rebalance" }
            if moves == 0 { return "Cluster is already balanced" }
            let paused = plan.pause == nil ? "" : "; no move is begun, because rebalancing is paused"
            return "\(plan.underWay.count) shards are on their way to other nodes and \(plan.planned.count) follow" + paused
        }

        var json: [UInt8] {
            func list(_ moves: [ReplicaMove]) -> JSONValue {
                .array(
                    moves.map { move in
                        [
                            "shard_id": .integer(move.shard.value), "from": .array(move.from.map { .string($0.rawValue) }),
                            "to": .string(move.to.rawValue),
                        ]
                    })
            }
            return JSONValue.object([
                "success": true, "status": .string(status), "message": .string(message), "shards_to_move": .integer(Int64(moves)),
                "shards_moved": 0, "moving": list(plan.underWay), "planned": list(plan.planned),
            ]).serialized()
        }
    }

    func rebalance(deadline: Instant) async throws -> RebalanceStatus {
        RebalanceStatus(plan: try await cluster.rebalance(deadline: deadline))
    }

    func rebalanceStatus(deadline: Instant) async throws -> RebalanceStatus {
        RebalanceStatus(plan: try await cluster.rebalancePlan(deadline: deadline))
    }

    /// Has every node look at the catalog, and says how far each is then. Nodes follow it by themselves: a difference that lasts is a fault.
    private func sync(_ request: Request) async throws -> Response {
        let view = try await cluster.view(deadline: request.deadline)
        let head = try await cluster.catalog.feed.head(deadline: request.deadline)
        let heads = try await cluster.catalog.log.heads(of: view.shards.map(\.id), deadline: request.deadline)
        let living = view.nodes.filter {
            [.active, .joining, .draining, .removing, .stopping].contains($0.status) && $0.roles.contains(.worker)
        }
        let progress = await vectors.synchronize(living.map(\.name), to: head.version, deadline: request.deadline)
        var behind: [NodeName] = []
        for node in living {
            guard let own = progress[node.name] else {
                behind.append(node.name)
                continue
            }
            let isCurrent = view.shards(on: node.name).allSatisfy { shard in
                heads[shard.id].map { own.applied[shard.id] ?? -1 >= $0.sequence } ?? true
            }
            if own.feed < head.version || !isCurrent { behind.append(node.name) }
        }
        let own = progress[cluster.identity.name]?.applied ?? [:]
        var writer = JSONWriter()
        writer.object {
            $0.member("success", true)
            $0.member(
                "message",
                behind.isEmpty
                    ? "Every node is up to date" : "\(behind.map(\.rawValue).joined(separator: ", ")) did not catch up with the catalog yet"
            )
            $0.member("node_id", cluster.identity.name.rawValue)
            $0.member("feed_version", head.version)
            $0.member("feed_digest", head.digest.description)
            $0.key("nodes")
            $0.array {
                for node in view.nodes {
                    let own = progress[node.name]
                    $0.object {
                        $0.member("node_id", node.name.rawValue)
                        $0.member("status", Self.status(node.status))
                        $0.member("is_synchronized", living.contains { $0.name == node.name } && !behind.contains(node.name))
                        $0.member("feed_version", own.map { .integer($0.feed) } ?? .null)
                        $0.member("feed_digest", own.map { .string($0.digest.description) } ?? .null)
                        $0.member("shards", own?.applied.count.json ?? .null)
                    }
                }
            }
            $0.key("shards")
            $0.array {
                for shard in view.shards {
                    $0.object {
                        $0.member("shard_id", shard.id.value)
                        $0.member("head_sequence", heads[shard.id].map { .integer($0.sequence) } ?? .null)
                        $0.member("digest", heads[shard.id].map { .string($0.digest.description) } ?? .null)
                        $0.member("applied_sequence", own[shard.id].map(JSONValue.integer) ?? .null)
                    }
                }
            }
        }
        return .json(writer.bytes)
    }
}

extension Int {
    fileprivate var json: JSONValue { .integer(Int64(self)) }
}
