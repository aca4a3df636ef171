internal import ApusCatalog
internal import ApusCluster
internal import ApusDatabase
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectors
internal import Synchronization

/// What the guides tell people to watch about a cluster, as this node sees it: who lives, how long the others take, what moves, what waits.
/// `docs/reference/metrics.md` describes each.
final class NodeMetrics: Sendable {
    private let nodes: GaugeFamily
    private let failures: CounterFamily
    private let probes: HistogramFamily
    private let replicas: GaugeFamily
    private let unserved: Gauge
    private let moves: Gauge
    private let tolerance: Gauge
    private let lag: Gauge
    private let catalogLatency: HistogramFamily
    private let state = Mutex((statuses: [NodeName: NodeStatus](), feed: Int64(-1)))

    init(_ registry: MetricsRegistry) {
        nodes = registry.gauge("apus_cluster_nodes", help: "Nodes, by what this node takes them for.", labels: ["status"])
        failures = registry.counter(
            "apus_node_health_failures_total", help: "Probes of a node that were not answered, and how often it became suspect or down.",
            labels: ["node", "kind"])
        probes = registry.histogram(
            "apus_node_probe_duration_seconds", help: "Time that a peer took to answer a probe: the latency between the nodes.",
            labels: ["node"], buckets: [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1])
        replicas = registry.gauge("apus_shard_replicas", help: "Replicas of shards in the cluster, by their state.", labels: ["state"])
        unserved = registry.gauge("apus_shards_unserved", help: "Shards that no node answers for.").with()
        moves = registry.gauge("apus_placement_moves_pending", help: "Replicas that load, or go when others serve in their place.").with()
        tolerance = registry.gauge(
            "apus_failure_tolerance", help: "Nodes that may be lost, whichever they are; -1 while it is not known."
        ).with()
        lag = registry.gauge("apus_feed_lag_changes", help: "Configuration changes that this node has not read yet.").with()
        catalogLatency = registry.histogram(
            "apus_catalog_read_duration_seconds", help: "Time of a small read of the catalog, made each second.",
            buckets: [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2])
        tolerance.set(-1)
    }

    /// What came of one probe.
    func probed(_ node: NodeName, took time: Duration?) {
        if let time { probes.with(node.rawValue).observe(time.seconds) } else { failures.with(node.rawValue, "probe").increment() }
    }

    /// What waits for threads and connections, read when somebody looks.
    static func watch(
        _ pools: [BlockingPool], _ database: any Database, _ replicas: ReadReplicas?, in registry: MetricsRegistry
    ) {
        let waiting = registry.gauge("apus_pool_waiting", help: "Calls that wait for a thread of a pool.", labels: ["pool"])
        let threads = registry.gauge("apus_pool_threads", help: "Threads of a pool that run; its size is the bound.", labels: ["pool"])
        let lanes = registry.gauge(
            "apus_catalog_lane_waiting", help: "Requests that wait for one of the node's connections to the catalog.", labels: ["lane"])
        if let replicas { watch(replicas, in: registry) }
        registry.onScrape {
            for pool in pools {
                waiting.with(pool.name).set(Double(pool.waiting))
                threads.with(pool.name).set(Double(pool.running))
            }
            for (lane, count) in (database as? PostgreSQLDatabase)?.waiting ?? [:] { lanes.with(lane.rawValue).set(Double(count)) }
        }
    }

    private static func watch(_ replicas: ReadReplicas, in registry: MetricsRegistry) {
        let usable = registry.gauge(
            "apus_catalog_replica_usable", help: "Whether a replica of the catalog answers reads.", labels: ["replica"])
        let lag = registry.gauge(
            "apus_catalog_replica_lag_seconds", help: "How old a replica's data may be; -1 while that cannot be told.", labels: ["replica"])
        registry.onScrape {
            for (name, standing) in replicas.standings {
                usable.with(name).set(standing.isUsable ? 1 : 0)
                lag.with(name).set(standing.lag?.seconds ?? -1)
            }
        }
    }

    /// Looks each second, until the task is cancelled.
    func run(_ cluster: Cluster, _ vectors: VectorService) async {
        for await now in BootClock().ticks(every: .seconds(1)) {
            note(cluster.knownNodes)
            do {
                let deadline = now.advanced(by: .seconds(2))
                let head = try await cluster.catalog.feed.head(deadline: deadline).version
                catalogLatency.with().observe(now.duration(to: BootClock.now).seconds)
                lag.set(Double(max(0, head - vectors.feedVersion)))
                try await describe(cluster, at: head, deadline: deadline)
            } catch {
                tolerance.set(-1)  // the catalog's absence is health's to report
                state.withLock { $0.feed = -1 }
            }
        }
    }

    private func note(_ rows: [NodeRow]) {
        let became = state.withLock { state in
            let statuses = Dictionary(rows.map { ($0.name, $0.status) }, uniquingKeysWith: { first, _ in first })
            let became = statuses.filter { state.statuses[$0.key] != $0.value }
            if !became.isEmpty || statuses.count != state.statuses.count { state.feed = -1 }
            state.statuses = statuses
            return became
        }
        for (node, status) in became where [.suspect, .down].contains(status) { failures.with(node.rawValue, status.rawValue).increment() }
        for status in NodeStatus.allCases { nodes.with(status.rawValue).set(Double(rows.count { $0.status == status })) }
    }

    /// Reads the shards, which may be many, only when something has changed.
    private func describe(_ cluster: Cluster, at feed: Int64, deadline: Instant) async throws {
        guard state.withLock({ $0.feed }) != feed else { return }
        let view = try await cluster.view(deadline: deadline)
        let all = view.shards.flatMap(\.replicas)
        for kind in ReplicaState.allCases { replicas.with(kind.rawValue).set(Double(all.count { $0.state == kind })) }
        unserved.set(Double(view.shards.count { !$0.isServed }))
        moves.set(Double(all.count { $0.state != .serving }))
        tolerance.set(Double(cluster.failureTolerance(view).nodes))
        state.withLock { $0.feed = feed }
    }
}
