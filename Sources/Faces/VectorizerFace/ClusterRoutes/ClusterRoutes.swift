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
            var writer = JSONWriter()
            writer.object {
                $0.key("nodes")
                $0.array { for node in view.nodes { write(node, view, to: &$0) } }
            }
            return .json(writer.bytes)
        }
        route(&router, .get, "/api/v1/cluster/nodes/{id}", needs: .reader) { request in
            let view = try await cluster.view(deadline: request.deadline)
            let name = NodeName(try request.parameter("id"))
            guard let node = view.node(name) else { throw Self.unknown(name) }
            var writer = JSONWriter()
            write(node, view, to: &writer)
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

    private func write(_ node: NodeRow, _ view: ClusterView, to writer: inout JSONWriter) {
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
                // What another node holds only that node knows.
                let own = isSelf ? try? vectors.collections() : nil
                $0.member("vector_count", own.map { .integer(Int64($0.reduce(0) { $0 + $1.points })) } ?? .null)
                $0.member("memory_usage", own.map { .integer(Int64($0.reduce(0) { $0 + $1.memory.bytes })) } ?? .null)
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
        let (moved, message) = try await rebalance(deadline: request.deadline)
        return .json(JSONValue.object(["success": true, "message": .string(message), "shards_moved": .integer(Int64(moved))]).serialized())
    }

    func rebalance(deadline: Instant) async throws -> (moved: Int, message: String) {
        let (moved, view) = try await cluster.rebalance(deadline: deadline)
        let workers = view.nodes.filter { $0.status == .active && $0.roles.contains(.worker) }.count
        let message =
            if view.shards.isEmpty {
                "No shards to rebalance"
            } else if moved > 0 {
                "Rebalancing completed successfully. \(moved) shards redistributed across \(workers) nodes."
            } else if workers <= 1 {
                "Cluster is already balanced"
            } else {
                "No shards were moved: every shard is served, and a shard that is served stays where it is"
            }
        return (moved, message)
    }

    /// Says how far this node is with each of its shards: a node that follows the catalog has nothing else to synchronise.
    private func sync(_ request: Request) async throws -> Response {
        let view = try await cluster.view(deadline: request.deadline)
        let heads = try await cluster.catalog.log.heads(of: view.shards.map(\.id), deadline: request.deadline)
        let applied = Dictionary(
            try vectors.collections().flatMap(\.shards).map { ($0.id, $0.applied) }, uniquingKeysWith: { first, _ in first })
        let behind = view.shards(on: cluster.identity.name).filter { shard in
            heads[shard.id].map { (applied[shard.id] ?? -1) < $0.sequence } ?? false
        }
        var writer = JSONWriter()
        writer.object {
            $0.member("success", true)
            $0.member("message", behind.isEmpty ? "Every shard is up to date" : "\(behind.count) shards are catching up with the catalog")
            $0.member("node_id", cluster.identity.name.rawValue)
            $0.key("shards")
            $0.array {
                for shard in view.shards {
                    $0.object {
                        $0.member("shard_id", shard.id.value)
                        $0.member("head_sequence", heads[shard.id].map { .integer($0.sequence) } ?? .null)
                        $0.member("digest", heads[shard.id].map { .string($0.digest.description) } ?? .null)
                        $0.member("applied_sequence", applied[shard.id].map(JSONValue.integer) ?? .null)
                    }
                }
            }
        }
        return .json(writer.bytes)
    }
}
