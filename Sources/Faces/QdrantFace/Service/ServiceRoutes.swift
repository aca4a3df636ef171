internal import ApusCluster
internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectors

extension QdrantFace {
    /// Paths that tell nothing but health, open to everybody like those of the other faces.
    func mountService(on routes: inout Routes, withMetrics: Bool) {
        let version: JSONValue = [
            "title": "qdrant - vector search engine (Apus)", "version": .string(Self.apiVersion),
            "commit": .string("apus-\(options.version)"),
        ]
        // With a slash at the end and without.
        for path in Set(["/", routes.prefix.isEmpty ? "/" : ""]) {
            routes.on(.get, path, needs: .reader, over: .collections) { _ in .response(.json(version.serialized())) }
        }
        for path in ["/healthz", "/livez", "/readyz"] {
            routes.on(.get, path, needs: nil) { _ in
                let isWell = path == "/livez" || health.readiness(for: [.read]).isReady
                return .response(
                    .text(isWell ? "\(path.dropFirst()) check passed" : "\(path.dropFirst()) check failed", status: isWell ? 200 : 503))
            }
        }
        if withMetrics {
            routes.on(.get, "/metrics", needs: .reader) { _ in
                .response(Response(type: "text/plain; version=0.0.4; charset=utf-8", bytes: registry.text()))
            }
        }
        routes.on(.get, "/telemetry", needs: .reader) { request in
            let collections = try vectors.collections()
            let view = try await cluster.view(deadline: request.deadline)
            return .result([
                "id": .string(cluster.identity.id),
                "app": [
                    "name": "apus", "version": .string(options.version),
                    "startup": .string(
                        WallTime(
                            millisecondsSinceEpoch: clock.wallTime.millisecondsSinceEpoch
                                - cluster.startedAt.duration(to: clock.now).milliseconds
                        ).description),
                ],
                "collections": [
                    "number_of_collections": .integer(Int64(collections.count)),
                    "collections": .array(
                        collections.map { collection in
                            ["vectors": .integer(Int64(collection.points)), "optimizers_status": "ok", "params": [:]]
                        }),
                ],
                "cluster": ["enabled": true, "number_of_peers": .integer(Int64(view.nodes.count))],
            ])
        }
    }
}

/// The metric names of Qdrant's server.
final class QdrantMetrics: Sendable {
    private let responses: CounterFamily
    private let seconds: HistogramFamily

    init(_ registry: MetricsRegistry, vectors: VectorService) {
        responses = registry.counter(
            "rest_responses_total", help: "Answers of the Qdrant API.", labels: ["method", "endpoint", "status"])
        seconds = registry.histogram(
            "rest_responses_duration_seconds", help: "Time of a request to the Qdrant API.", labels: ["method", "endpoint"],
            buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10])
        let collections = registry.gauge("collections_total", help: "Collections.")
        let points = registry.gauge("collections_vector_total", help: "Points in memory, over all collections.")
        registry.onScrape {
            // Not loaded yet: the gauges keep what they last said, and readiness says why.
            guard let all = try? vectors.collections() else { return }
            collections.with().set(Double(all.count))
            points.with().set(Double(all.reduce(0) { $0 + $1.points }))
        }
    }

    func count(_ method: Method, _ path: String, _ status: Int, _ time: Double) {
        responses.with(method.rawValue, path, String(status)).increment()
        seconds.with(method.rawValue, path).observe(time)
    }
}
