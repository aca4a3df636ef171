import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit

/// What a cluster costs when nobody asks it anything, by nodes and by shards: what `docs/limits.md` reckons with.
enum LimitsBench {
    private static let seconds = 10

    /// Shards and nodes to go through; the greatest numbers are those that were tried.
    private static let nodes = [1, 3, 10, 30]
    private static let shards = [6, 600, 3000, 12_000]

    static func run() async throws {
        var report = BenchReport("limits")
        report.row(head)
        var grown = try await BenchCluster(nodes: 1, most: nodes.max())
        for count in nodes {
            let start = BootClock.now
            try await grown.grow(to: count)
            progress("\(count) nodes after \(BenchReport.short(start.duration(to: BootClock.now).seconds)) s")
            try await measure(grown, shards: 0, &report)
        }
        await grown.stop()

        let cluster = try await BenchCluster(nodes: 3)
        var (have, collections) = (0, 0)
        for count in shards {
            let start = BootClock.now
            while have < count {
                let more = min(200, count - have)
                try await cluster.create("c\(collections)", dimension: 8, shards: more, replicas: 2)
                (have, collections) = (have + more, collections + 1)
            }
            try await cluster.wait("all replicas serve") {
                let counts = try await cluster.ask(.get, "/api/v1/cluster/shard-distribution")["shards_per_node"]?.asObject ?? [:]
                return counts.reduce(0) { $0 + ($1.value.asInteger ?? 0) } == 2 * Int64(count)
            }
            progress("\(count) shards after \(BenchReport.short(start.duration(to: BootClock.now).seconds)) s")
            try await measure(cluster, shards: count, &report)
        }
        await cluster.stop()
        try report.finish()
    }

    private static let head = [
        "idle, with", "nodes", "shards (2 replicas)", "catalog: transactions/s", "CPU, ms/s", "rows read/s", "size, MiB",
        "a node: CPU, ms/s",
        "memory, MiB",
    ]

    private static func measure(_ cluster: BenchCluster, shards: Int, _ report: inout BenchReport) async throws {
        try await BootClock().sleep(for: .seconds(5))  // what was just made or started is at rest
        func counters() async throws -> [Double] {
            // Statistics are reported once a second at most.
            let text = try await cluster.server.query(
                "SELECT sum(xact_commit), sum(tup_returned + tup_fetched), sum(pg_database_size(datname)) FROM pg_stat_database WHERE datname = 'postgres'"
            )
            return text.split(separator: "|").compactMap { Double($0) }
        }
        let (before, cpu, catalogCPU) = (try await counters(), cluster.cpuSeconds, cluster.catalogCPUSeconds)
        try await BootClock().sleep(for: .seconds(Int64(seconds)))
        let (after, cpuAfter, catalogCPUAfter) = (try await counters(), cluster.cpuSeconds, cluster.catalogCPUSeconds)
        let (count, span) = (Double(cluster.nodes.count), Double(seconds))
        let memory = cluster.nodes.reduce(0.0) { $0 + Double(processMemory("VmRSS", of: $1.identifier)) / 1_048_576 }
        let numbers: [(String, Double)] = [
            ("transactions_per_second", (after[0] - before[0]) / span),
            ("catalog_cpu_ms_per_second", (catalogCPUAfter - catalogCPU) / span * 1000),
            ("rows_per_second", (after[1] - before[1]) / span), ("catalog_mebibytes", after[2] / 1_048_576),
            ("node_cpu_ms_per_second", (cpuAfter - cpu) / span * 1000 / count), ("node_mebibytes", memory / count),
        ]
        report.row(["", "\(cluster.nodes.count)", "\(shards)"] + numbers.map { BenchReport.short($0.1) })
        for (name, value) in numbers { report.figure("\(cluster.nodes.count)_nodes_\(shards)_shards_\(name)", value) }
    }
}
