internal import ApusDatabase
internal import ApusRuntime
internal import ApusTypes

/// How far this node is with the schema, and what making one takes. `docs/reference/metrics.md` describes each.
final class SchemaMetrics: Sendable {
    private let version: Gauge
    private let behind: Gauge
    private let suspended: Gauge
    private let compiling: HistogramFamily
    private let propagation: HistogramFamily

    init(_ registry: MetricsRegistry, of holder: SchemaHolder) {
        version = registry.gauge("apus_query_schema_version", help: "The version of the schema that this node serves.").with()
        behind = registry.gauge(
            "apus_query_schema_behind_versions", help: "Versions of the schema that this node has heard of and does not serve."
        ).with()
        Self.follow(holder, registry)
        suspended = registry.gauge("apus_query_sources_suspended", help: "Data sources that this node leaves out or cannot reach.").with()
        compiling = registry.histogram(
            "apus_query_schema_compile_duration_seconds", help: "Time to make a schema and open its data sources.",
            buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5])
        propagation = registry.histogram(
            "apus_query_schema_propagation_seconds", help: "Time from the making of a version of the schema until this node served it.",
            buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
    }

    /// The connections to the sources that are served.
    private static func follow(_ holder: SchemaHolder, _ registry: MetricsRegistry) {
        let connections = registry.gauge(
            "apus_query_connections", help: "Connections to a PostgreSQL data source, and requests that wait for one.",
            labels: ["source", "state"])
        registry.onScrape {
            let pools = (holder.current?.sources ?? [:]).compactMapValues { ($0 as? PostgreSQLSource)?.use }
            connections.remove { pools[$0[0]] == nil }
            for (source, use) in pools {
                connections.with([source, "open"]).set(Double(use.open))
                connections.with([source, "busy"]).set(Double(use.busy))
                connections.with([source, "waiting"]).set(Double(use.waiting))
            }
        }
    }

    func note(_ standing: SchemaStanding) {
        version.set(Double(standing.version))
        behind.set(Double(max(0, standing.newest - standing.version)))
        suspended.set(Double(standing.suspended.count))
    }

    func propagated(_ time: Duration) { propagation.with().observe(time.seconds) }

    func compiled(_ time: Duration) { compiling.with().observe(time.seconds) }
}
