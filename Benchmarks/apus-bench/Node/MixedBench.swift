import ApusRuntime
import ApusTypes
import Foundation
import NodeProcessKit
import Synchronization
import TestKit

/// A node's searches while it is idle otherwise, and while 2,000 points a second are upserted, sealed and merged; how many upserts it takes;
/// how long it takes to start with all points; and its memory.
enum MixedBench {
    private static let perSecond = 2000.0
    private static let connections = [1, 2]
    private static let (idleSeconds, busySeconds) = (8, 24)

    static func run() async throws {
        var report = BenchReport("vectors-mixed")
        let directory = try TemporaryDirectory()
        let data = try BenchData(in: directory)
        report.describe(data)
        var bench = try await BenchNode.filled(data, in: directory.path + "/node", loops: EventLoops(count: 2))
        bench = try await measureStart(bench, &report)
        try await measureMemory(bench, &report)
        try await measureMixed(bench, directory.path, &report)
        try await measureUpserts(bench, &report)
        _ = await bench.node.terminate()
        try report.finish()
    }

    private static func measureStart(_ bench: BenchNode, _ report: inout BenchReport) async throws -> BenchNode {
        var bench = bench, seconds: [Double] = []
        for round in 0..<BenchOptions.rounds(5) {
            let (next, time) = try await bench.restarted()
            bench = next
            seconds.append(time)
            progress("start \(round + 1): first search answered after \(BenchReport.short(time)) s")
        }
        let spread = Spread(seconds)
        report.row(["", "min", "median", "max"])
        report.row(["start to the first answer, s"] + [spread.min, spread.median, spread.max].map(BenchReport.short))
        report.figure("start_to_first_answer_seconds", seconds)
        return bench
    }

    private static func measureMemory(_ bench: BenchNode, _ report: inout BenchReport) async throws {
        let recall = try await bench.recall(of: bench.data.queries.indices)
        let count = Double(bench.data.points.count)
        let (own, mapped) = (Double(bench.memory("RssAnon")) / count, Double(bench.memory("RssFile")) / count)
        progress(
            "memory after \(bench.data.queries.count) searches (recall \(String(format: "%.4f", recall))): \(Int(own)) B of its own for each point, \(Int(mapped)) B mapped from files"
        )
        report.row(["bytes/point: the process's own", "", BenchReport.short(own)])
        report.row(["bytes/point: mapped, in memory", "", BenchReport.short(mapped)])
        report.row(["bytes/point: store on disk, merged segments included", "", BenchReport.short(Double(bench.storeBytes) / count)])
        report.figure("own_bytes_per_point", own)
        report.figure("mapped_bytes_per_point", mapped)
        report.figure("recall", recall)
    }

    private static func measureMixed(_ bench: BenchNode, _ directory: String, _ report: inout BenchReport) async throws {
        let load = try bench.load(in: directory), writes = UpsertLoad(bench)
        report.row([""])
        report.row(["searches", "idle/s", "p50, ms", "p99, ms", "busy/s", "p50, ms", "p99, ms", "upserts/s", "p99, ms", "seals", "merges"])
        for connections in connections {
            var idle: [SearchLoad.Result] = [], busy: [SearchLoad.Result] = [], upserts: [UpsertLoad.Result] = []
            var (seals, merges) = (0, 0)
            for round in 0..<BenchOptions.rounds(2) {
                _ = try await load.run(connections: connections, seconds: 1)
                idle.append(try await load.run(connections: connections, seconds: idleSeconds))
                let before = bench.events().count
                let end = End()
                let (found, written) = try await withThrowingTaskGroup(of: (SearchLoad.Result?, UpsertLoad.Result?).self) { group in
                    group.addTask {
                        (nil, try await writes.run(perSecond: perSecond, batch: 100, writers: 4) { end.isReached })
                    }
                    group.addTask {
                        defer { end.reach() }
                        return (try await load.run(connections: connections, seconds: busySeconds), nil)
                    }
                    return try await group.reduce(into: (SearchLoad.Result?.none, UpsertLoad.Result?.none)) {
                        $0 = ($0.0 ?? $1.0, $0.1 ?? $1.1)
                    }
                }
                guard let found, let written else { throw ApusError(.processFailed, "a load gave no result") }
                busy.append(found)
                upserts.append(written)
                let events = bench.events()[before...]
                seals += events.count { !$0.isMerge }
                merges += events.count { $0.isMerge }
                progress(
                    "\(connections) connections, round \(round + 1): idle \(BenchReport.short(idle[round].perSecond))/s, p99 \(BenchReport.short(idle[round].p99)) ms; busy \(BenchReport.short(found.perSecond))/s, p99 \(BenchReport.short(found.p99)) ms, \(BenchReport.short(written.perSecond)) upserts/s, \(events.count) seals and merges; waiting for one segment"
                )
                try await bench.settle(points: bench.data.points.count + writes.added)
            }
            func middle(_ values: [Double]) -> String { BenchReport.short(Spread(values).median) }
            report.row([
                "\(connections) connection\(connections == 1 ? "" : "s")", middle(idle.map(\.perSecond)), middle(idle.map(\.median)),
                middle(idle.map(\.p99)), middle(busy.map(\.perSecond)), middle(busy.map(\.median)), middle(busy.map(\.p99)),
                middle(upserts.map(\.perSecond)), middle(upserts.map(\.p99)), "\(seals)", "\(merges)",
            ])
            report.ratio("throughput_busy_to_idle_from_\(connections)", zip(busy, idle).map { $0.perSecond / $1.perSecond })
            report.ratio("p99_busy_to_idle_from_\(connections)", zip(busy, idle).map { $0.p99 / $1.p99 })
            report.ratio("p50_busy_to_idle_from_\(connections)", zip(busy, idle).map { $0.median / $1.median })
            report.figure("idle_searches_per_second_\(connections)", idle.map(\.perSecond))
            report.figure("busy_searches_per_second_\(connections)", busy.map(\.perSecond))
            report.figure("idle_p99_milliseconds_\(connections)", idle.map(\.p99))
            report.figure("busy_p99_milliseconds_\(connections)", busy.map(\.p99))
            report.figure("upserts_per_second_beside_searches_\(connections)", upserts.map(\.perSecond))
            report.figure("upsert_p99_milliseconds_\(connections)", upserts.map(\.p99))
            report.figure("seals_\(connections)", Double(seals))
            report.figure("merges_\(connections)", Double(merges))
        }
    }

    /// Of a load that another one outlives.
    private final class End: Sendable {
        private let reached = Atomic(false)
        var isReached: Bool { reached.load(ordering: .relaxed) }
        func reach() { reached.store(true, ordering: .relaxed) }
    }

    private static func measureUpserts(_ bench: BenchNode, _ report: inout BenchReport) async throws {
        let writes = UpsertLoad(bench)
        report.row([""])
        report.row(["upserts, 4 writers", "points/s", "p50, ms", "p99, ms"])
        for batch in [1, 100, 1000] {
            let end = BootClock.now.advanced(by: .seconds(6))
            let result = try await writes.run(perSecond: nil, batch: batch, writers: 4) { BootClock.now >= end }
            progress("batches of \(batch): \(BenchReport.short(result.perSecond)) upserts/s")
            report.row(["batches of \(batch)"] + [result.perSecond, result.median, result.p99].map(BenchReport.short))
            report.figure("upserts_per_second_in_batches_of_\(batch)", result.perSecond)
        }
    }
}
