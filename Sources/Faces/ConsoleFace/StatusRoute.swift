internal import ApusCatalog
internal import ApusCluster
internal import ApusDatabase
internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

extension ConsoleFace {
    /// Everything that `apus status` prints, in one object. A part that cannot be known now is null, with a problem beside it.
    func status(_ request: Request) async throws -> Response {
        try request.require(.reader)
        let asked = clock.now
        let (view, catalogProblem) = await Self.outcome {
            try await cluster.view(deadline: min(request.deadline, asked.advanced(by: .seconds(2))))
        }
        let latency = asked.duration(to: clock.now)
        let (collections, vectorsProblem) = await Self.outcome {
            try await vectors.wholeCollections(deadline: min(request.deadline, asked.advanced(by: .seconds(2))))
        }
        var writer = JSONWriter()
        writer.object {
            $0.key("node")
            $0.object {
                $0.member("name", cluster.identity.name.rawValue)
                $0.member("id", cluster.identity.id)
                $0.member("url", cluster.url)
                $0.member("version", options.version)
                $0.member("uptime_seconds", Int(cluster.startedAt.duration(to: clock.now).seconds))
                $0.member("roles", .array(cluster.options.roles.map(\.rawValue).sorted().map(JSONValue.string)))
            }
            $0.key("listeners")
            $0.object { for (name, url) in options.listeners() { $0.member(name, url) } }
            $0.key("readiness")
            $0.object {
                for (role, abilities) in [("read", [Health.Ability.read]), ("write", [.write])] as [(String, Set<Health.Ability>)] {
                    let readiness = health.readiness(for: abilities)
                    $0.key(role)
                    $0.object {
                        $0.member("is_ready", readiness.isReady)
                        Self.write(readiness.problems, to: &$0)
                    }
                }
                $0.member("is_draining", health.isDraining)
            }
            Self.write(health.problems, to: &$0)
            $0.key("catalog")
            $0.object {
                $0.member("kind", cluster.catalog.database.dialect == .sqlite ? "sqlite" : "postgresql")
                $0.member("is_available", view != nil)
                $0.member("problem", catalogProblem)
                $0.member("latency_seconds", view == nil ? .null : .double(latency.seconds))
                $0.member("is_read_only", cluster.catalog.isReadOnly)
                $0.member("incarnation", cluster.catalog.incarnation.description)
                $0.member("cluster_id", cluster.catalog.identity.id)
            }
            $0.key("store")
            $0.object { $0.member("place", cluster.options.storePlace) }
            $0.key("failure_tolerance")
            if let view { Self.write(cluster.failureTolerance(view), to: &$0) } else { $0.null() }
            $0.key("nodes")
            if let view { Self.write(view, to: &$0) } else { $0.null() }
            $0.member(
                "missing_nodes",
                .array(
                    cluster.missingNodes.map {
                        ["name": $0.name.map { .string($0.rawValue) } ?? .null, "address": .string($0.address)]
                    }))
            $0.key("shards")
            if let view { Self.writeShards(view, to: &$0) } else { $0.null() }
            $0.key("moves")
            if let view { Self.writeMoves(view, to: &$0) } else { $0.null() }
            $0.member("points", collections.map { .integer(Int64($0.reduce(0) { $0 + $1.points })) } ?? .null)
            $0.key("collections")
            if let collections { Self.write(collections, to: &$0) } else { $0.null() }
            $0.member("collections_problem", vectorsProblem)
        }
        return .json(writer.bytes)
    }

    /// What `body` gave, or why it gave nothing.
    private static func outcome<Value>(_ body: () async throws -> Value) async -> (Value?, problem: JSONValue) {
        do { return (try await body(), .null) } catch let error as ApusError { return (nil, .string(error.summary)) } catch {
            return (nil, "unknown")
        }
    }

    /// `nodes` may be lost, whichever they are; `losses` says of each what it costs.
    private static func write(_ tolerance: FailureTolerance, to writer: inout JSONWriter) {
        writer.object {
            $0.member("nodes", tolerance.nodes)
            $0.member("reason", tolerance.reason)
            $0.key("losses")
            $0.array {
                for loss in tolerance.losses {
                    $0.object {
                        $0.member("node", loss.node.rawValue)
                        $0.member("outcome", loss.outcome.rawValue)
                        $0.member("reasons", .array(loss.reasons.map(JSONValue.string)))
                    }
                }
            }
        }
    }

    private static func writeShards(_ view: ClusterView, to writer: inout JSONWriter) {
        writer.object {
            $0.member("total", view.shards.count)
            $0.member("served", view.shards.count(where: \.isServed))
        }
    }

    /// Replicas on their way: those that load, and those that go when others serve. At most the first hundred.
    private static func writeMoves(_ view: ClusterView, to writer: inout JSONWriter) {
        let moves = view.shards.lazy.flatMap { shard in
            shard.replicas.filter { $0.state != .serving }.map { (shard.id, $0) }
        }
        writer.array {
            for (shard, replica) in moves.prefix(100) {
                $0.object {
                    $0.member("shard", Int(shard.value))
                    $0.member("node", replica.node.rawValue)
                    $0.member("state", replica.state.rawValue)
                }
            }
        }
    }

    private static func write(_ view: ClusterView, to writer: inout JSONWriter) {
        writer.array {
            for node in view.nodes {
                $0.object {
                    $0.member("name", node.name.rawValue)
                    $0.member("url", node.url)
                    $0.member("status", node.status.rawValue)
                    $0.member("roles", .array(node.roles.map(\.rawValue).sorted().map(JSONValue.string)))
                    $0.member("version", node.version)
                    $0.member("shards", view.shards(on: node.name).count)
                    $0.key("unreached")
                    if let unreached = view.unreached[node.name] { write(unreached, to: &$0) } else { $0.null() }
                }
            }
        }
    }

    private static func write(_ unreached: UnreachedNode, to writer: inout JSONWriter) {
        func names(_ nodes: [NodeName]) -> JSONValue { .array(nodes.map { .string($0.rawValue) }) }
        writer.object {
            $0.member("seconds", .double(unreached.time.seconds))
            $0.member("failures", names(unreached.failures))
            $0.member("answers", names(unreached.answers))
            $0.member("is_emptied", unreached.isEmptied)
        }
    }

    private static func write(_ collections: [CollectionDescription], to writer: inout JSONWriter) {
        writer.array {
            for collection in collections {
                $0.object {
                    $0.member("name", collection.name.rawValue)
                    $0.member("points", collection.points)
                    $0.member("dimension", collection.configuration.dimension)
                    $0.member("metric", collection.configuration.metric.rawValue)
                    $0.member("shards", collection.shards.count)
                    $0.member("memory_bytes", collection.memory.bytes)
                    $0.member("is_complete", collection.isComplete)
                }
            }
        }
    }
}
