internal import ApusCluster
internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectors

extension VectorizerFace {
    func mountMonitoring(on router: inout Router) {
        route(&router, .get, "/health", needs: nil) { _ in healthReply() }
        route(&router, .get, "/prometheus/metrics", needs: nil) { _ in
            Response(type: "text/plain; version=0.0.4; charset=utf-8", bytes: registry.text())
        }
        route(&router, .get, "/stats", needs: .reader, over: .collections) { request in
            let (collections, points) = try await counts(deadline: request.deadline)
            let providers = try await providers(request)
            var writer = JSONWriter()
            writer.object {
                $0.member("collections", collections)
                $0.member("total_vectors", points)
                $0.member("uptime_seconds", uptime)
                $0.member("version", options.version)
                $0.member("default_quantization", "none")
                $0.member("compression_ratio", 1.0)
                $0.key("providers")
                $0.array { for provider in providers { provider.write(to: &$0) } }
                $0.member("default_provider", "bm25")
            }
            return .json(writer.bytes)
        }
        route(&router, .get, "/status", needs: .reader, over: .collections) { request in
            let (collections, points) = try await counts(deadline: request.deadline)
            let readiness = health.readiness()
            var writer = JSONWriter()
            writer.object {
                $0.member("online", true)
                $0.member("ready", readiness.isReady)
                $0.member("status", readiness.isReady ? "ready" : "unready")
                $0.member("version", options.version)
                $0.member("uptime_seconds", uptime)
                $0.member("collections_count", collections)
                $0.member("total_vectors", points)
                $0.member("node", cluster.identity.name.rawValue)
                Self.write(readiness.problems, to: &$0)
            }
            return .json(writer.bytes)
        }
    }

    var uptime: Int { Int(cluster.startedAt.duration(to: clock.now).seconds) }

    func counts(deadline: Instant) async throws -> (collections: Int, points: Int) {
        let collections = try await vectors.wholeCollections(deadline: deadline)
        return (collections.count, collections.reduce(0) { $0 + $1.points })
    }

    /// 200 while the node answers reads, 503 when it drains or cannot. Everybody may ask, so nothing is told but health.
    private func healthReply() -> Response {
        let readiness = health.readiness()
        let reads = health.readiness(for: [.read])
        var writer = JSONWriter()
        writer.object {
            $0.member("status", readiness.isReady ? "healthy" : reads.isReady ? "degraded" : "unhealthy")
            $0.member("timestamp", clock.wallTime.description)
            $0.member("version", options.version)
            $0.member("uptime_seconds", uptime)
            // The real server's search cache; there is none here, and these are its true figures.
            $0.member("cache", ["size": 0, "capacity": 0, "hits": 0, "misses": 0, "evictions": 0, "hit_rate": 0.0])
            Self.write(readiness.problems, to: &$0)
        }
        return .json(writer.bytes, status: reads.isReady ? 200 : 503)
    }

    private static func write(_ problems: [Health.Problem], to writer: inout JSONWriter) {
        writer.key("problems")
        writer.array {
            for problem in problems {
                $0.object {
                    $0.member("component", problem.component)
                    $0.member("code", problem.code.rawValue)
                    $0.member("problem", problem.summary)
                }
            }
        }
    }
}
