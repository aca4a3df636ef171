import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import NodeProcessKit
import TestKit

/// What three nodes cost that one does not: CPU time of a search over the same shards, and the time of an acknowledgement above its commit.
enum ClusterBench {
    private static let shards = 6
    private static let mostPoints = 24_000

    static func run() async throws {
        var report = BenchReport("cluster")
        let directory = try TemporaryDirectory()
        let data = try BenchData(in: directory)
        report.describe(data)
        let loops = EventLoops(count: 2)
        let (one, three) = (try await BenchCluster(nodes: 1), try await BenchCluster(nodes: 3))
        for cluster in [one, three] { try await fill(cluster, data) }
        try await measureSearches([one, three], data, directory.path, loops, &report)
        report.row([""])
        report.row([
            "one point each, of", "nodes", "replicas", "writers", "per s", "acknowledged p50, ms", "p99", "above the commit p50, ms", "p99",
        ])
        for (cluster, replicas) in [(one, 1), (three, 1), (three, 2), (three, 3)] {
            for writers in [1, 8] { try await measureWrites(cluster, replicas: replicas, writers: writers, data, &report) }
        }
        for cluster in [one, three] { await cluster.stop() }
        try report.finish()
    }

    private static func fill(_ cluster: BenchCluster, _ data: BenchData) async throws {
        try await cluster.create("bench", dimension: data.points.dimension, shards: shards)
        let count = min(mostPoints, data.points.count)
        for first in stride(from: 0, to: count, by: 500) {
            let points = (first..<min(first + 500, count)).map { #"{"id":"\#($0)","vector":\#(data.points[$0])}"# }
            try await cluster.ask(.post, "/insert_vectors", #"{"collection":"bench","vectors":[\#(points.joined(separator: ","))]}"#)
        }
        // What is written is sealed in the background, whose work is not the searches'.
        var quiet = 0, before = cluster.cpuSeconds
        try await cluster.wait("nothing is done any more") {
            try await BootClock().sleep(for: .seconds(1))
            let now = cluster.cpuSeconds
            quiet = now - before < 0.1 * Double(cluster.nodes.count) ? quiet + 1 : 0
            before = now
            return quiet == 3
        }
        progress("\(cluster.nodes.count) nodes have \(count) points in \(shards) shards")
    }

    // MARK: Searches

    private static func measureSearches(
        _ clusters: [BenchCluster], _ data: BenchData, _ directory: String, _ loops: EventLoops, _ report: inout BenchReport
    ) async throws {
        report.row(["searches", "nodes", "per s", "p50, ms", "p99, ms", "CPU ms each: min", "median", "max"])
        let queries = data.queries.indices.prefix(1000)
        for (name, isExact) in [("approximate", false), ("exact", true)] {
            let bodies = queries.map { #"{"vector":\#(data.queries[$0]),"limit":10,"with_payload":false,"exact":\#(isExact)}"# }
            var costs: [[Double]] = [[], []], results: [[SearchLoad.Result]] = [[], []]
            for _ in 0..<BenchOptions.rounds(5) {
                for (number, cluster) in clusters.enumerated() {
                    var (searches, cpu) = (0.0, 0.0)
                    for node in cluster.nodes {
                        let load = try SearchLoad(
                            bodies, to: "/collections/bench/search", of: node, in: directory, on: loops.first)
                        _ = try await load.run(connections: 16, seconds: 1)
                        let before = cluster.cpuSeconds
                        let result = try await load.run(connections: 16, seconds: 2)
                        cpu += cluster.cpuSeconds - before
                        searches += result.perSecond * 2
                        results[number].append(result)
                    }
                    costs[number].append(cpu / searches * 1000)
                    progress("\(name) searches of \(cluster.nodes.count) nodes: \(BenchReport.short(cpu / searches * 1000)) ms of CPU each")
                }
            }
            for (number, cluster) in clusters.enumerated() {
                let spread = Spread(costs[number])
                report.row(
                    [name, "\(cluster.nodes.count)"]
                        + [\SearchLoad.Result.perSecond, \.median, \.p99].map { path in
                            BenchReport.short(Spread(results[number].map { $0[keyPath: path] }).median)
                        } + [spread.min, spread.median, spread.max].map { String(format: "%.3f", $0) })
                report.figure("\(name)_cpu_ms_\(cluster.nodes.count)_nodes", costs[number])
            }
            report.ratio("\(name)_cpu_of_three_to_one", zip(costs[1], costs[0]).map { $0 / $1 })
        }
    }

    // MARK: Writes

    private static func measureWrites(
        _ cluster: BenchCluster, replicas: Int, writers: Int, _ data: BenchData, _ report: inout BenchReport
    ) async throws {
        let name = "writes-\(replicas)-\(writers)"
        try await cluster.create(name, dimension: data.points.dimension, shards: shards, replicas: replicas)
        try await cluster.wait("all replicas serve") {
            let shards = try await cluster.ask(.get, "/api/shards?collection=\(name)")["shards"]?.asArray ?? []
            return shards.allSatisfy { shard in
                let states = shard["replicas"]?.asArray ?? []
                return states.count == replicas && states.allSatisfy { $0["state"] == "serving" }
            }
        }
        let before = try await showTimes(of: cluster)
        let each = 1200 / writers
        let start = BootClock.now
        let times = try await withThrowingTaskGroup(of: [Double].self) { group in
            for writer in 0..<writers {
                group.addTask {
                    var times: [Double] = []
                    for number in writer * each..<(writer + 1) * each {
                        let asked = BootClock.now
                        try await cluster.ask(
                            .post, "/insert_vectors",
                            #"{"collection":"\#(name)","vectors":[{"id":"\#(number)","vector":\#(data.points[number % data.points.count])}]}"#,
                            node: number % cluster.nodes.count)
                        times.append(asked.duration(to: BootClock.now).seconds * 1000)
                    }
                    return times
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }.sorted()
        let perSecond = Double(times.count) / start.duration(to: BootClock.now).seconds
        var shown = try await showTimes(of: cluster)
        shown.add(before, sign: -1)
        let numbers = [
            perSecond, times[times.count / 2], times[times.count * 99 / 100], shown.quantile(0.5), shown.quantile(0.99),
        ]
        report.row(["", "\(cluster.nodes.count)", "\(replicas)", "\(writers)"] + numbers.map(BenchReport.short))
        let key = "\(cluster.nodes.count)_nodes_\(replicas)_replicas_\(writers)_writers"
        for (figure, value) in zip(["per_second", "acknowledged_ms_p50", "acknowledged_ms_p99", "shown_ms_p50", "shown_ms_p99"], numbers) {
            report.figure("\(key)_\(figure)", value)
        }
        progress("\(key): acknowledged in \(BenchReport.short(numbers[1])) ms, shown \(BenchReport.short(numbers[3])) ms after the commit")
    }

    private static func showTimes(of cluster: BenchCluster) async throws -> HistogramReading {
        var sum = try await HistogramReading("apus_vector_show_duration_seconds", of: cluster.nodes[0])
        for node in cluster.nodes.dropFirst() {
            sum.add(try await HistogramReading("apus_vector_show_duration_seconds", of: node))
        }
        return sum
    }
}
