import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import NodeProcessKit
import TestKit

/// Searches of a node over HTTP, JSON bodies on kept connections from a client on the same machine, beside hnswlib without any server: in
/// process, in one thread, at a recall of 0.97.
enum VectorsHTTPBench {
    private static let target = 0.97
    private static let connections = [1, 8, 32]
    private static let seconds = 4

    static func run() async throws {
        var report = BenchReport("vectors-http")
        let directory = try TemporaryDirectory()
        let data = try BenchData(in: directory)
        report.describe(data)
        let libraries = try Peers.libraries()
        try libraries.load(data, in: directory.path)
        let peer = try PeerIndex(libraries, "hnswlib", links: 16, effort: 128)
        let efforts = try data.set.halves.compactMap { try data.set.leastEffort(of: peer, for: target, on: $0) }
        guard let effort = efforts.max() else { throw ApusError(.processFailed, "hnswlib does not reach a recall of \(target)") }
        let all = Array(data.queries.indices)
        let peerRecall = data.set.recall(of: try peer.search(all, effort: effort).rows, all)
        progress("hnswlib with \(peer.describe(effort)): recall \(String(format: "%.4f", peerRecall))")

        let loops = EventLoops(count: 2)
        let bench = try await BenchNode.filled(data, in: directory.path + "/node", loops: loops)
        let recall = try await bench.recall(of: all)
        progress("apus over HTTP: recall \(String(format: "%.4f", recall)), bodies of \(bench.body(0).utf8.count) B")
        let load = try bench.load(in: directory.path)
        for connections in connections { _ = try await load.run(connections: connections, seconds: 1) }

        var peerRates: [Double] = [], peerRatesOfCPU: [Double] = []
        var results = connections.map { _ in [SearchLoad.Result]() }
        for round in 0..<BenchOptions.rounds(5) {
            var (searches, wall, cpu) = (0, 0.0, 0.0)
            while wall < Double(seconds) {
                let found = try peer.search(all, effort: effort)
                (searches, wall, cpu) = (searches + all.count, wall + found.wall, cpu + found.cpu)
            }
            peerRates.append(Double(searches) / wall)
            peerRatesOfCPU.append(Double(searches) / cpu)
            for turn in connections.indices {
                let number = (turn + round) % connections.count
                results[number].append(try await load.run(connections: connections[number], seconds: seconds))
            }
            let rates = zip(connections, results).map { "\(BenchReport.short($1[round].perSecond)) from \($0)" }
            progress("round \(round + 1): hnswlib \(BenchReport.short(peerRates[round])) searches/s, apus " + rates.joined(separator: ", "))
        }
        _ = await bench.node.terminate()

        report.row("", "recall", "searches/s, min", "median", "max", "p50, ms", "p99, ms")
        func row(_ name: String, _ recall: Double, _ rates: [Double], _ latencies: [String]) {
            let spread = Spread(rates)
            report.row(
                [name, String(format: "%.4f", recall)] + [spread.min, spread.median, spread.max].map(BenchReport.short) + latencies)
        }
        row("hnswlib, one thread", peerRecall, peerRates, [])
        row("hnswlib, for each CPU second", peerRecall, peerRatesOfCPU, [])
        report.figure("hnswlib_recall", peerRecall)
        report.figure("hnswlib_queries_per_second", peerRates)
        report.figure("hnswlib_queries_per_cpu_second", peerRatesOfCPU)
        report.figure("apus_recall", recall)
        for (connections, results) in zip(connections, results) {
            let rates = results.map(\.perSecond)
            row(
                "apus, \(connections) connection\(connections == 1 ? "" : "s")", recall, rates,
                [BenchReport.short(Spread(results.map(\.median)).median), BenchReport.short(Spread(results.map(\.p99)).median)])
            report.figure("apus_searches_per_second_\(connections)", rates)
            report.figure("apus_p50_milliseconds_\(connections)", results.map(\.median))
            report.figure("apus_p99_milliseconds_\(connections)", results.map(\.p99))
            report.ratio("to_hnswlib_in_process_from_\(connections)", zip(rates, peerRates).map { $0 / $1 })
            report.ratio("to_hnswlib_per_cpu_second_from_\(connections)", zip(rates, peerRatesOfCPU).map { $0 / $1 })
        }
        try report.finish()
    }
}
