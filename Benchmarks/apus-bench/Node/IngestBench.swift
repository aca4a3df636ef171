import ApusRuntime
import ApusTypes
import Foundation
import NodeProcessKit
import TestKit

/// All points with their payloads in batches of 1,000 until they are in an index and found: a node over REST, chromadb and lancedb in their own
/// process, each on its disk.
enum IngestBench {
    private static let databases = ["chromadb", "lancedb"]

    private struct Result {
        /// Until all is acknowledged; until it is in an index.
        var acknowledged: Double
        var indexed: Double
        var recall: Double
        var settings: String
    }

    static func run() async throws {
        var report = BenchReport("ingest")
        let directory = try TemporaryDirectory()
        let data = try BenchData(in: directory)
        report.describe(data)
        let peers = try Peers.databases()
        try data.queries.write(to: directory.path + "/queries.f32")
        _ = try peers.ask([
            "do": "load", "points": .string(data.files.points), "payloads": .string(data.files.payloads),
            "queries": .string(directory.path + "/queries.f32"),
            "truth": .array(data.set.truth.map { .array($0.map { .integer(Int64($0)) }) }),
        ])

        var results: [String: [Result]] = [:]
        let systems = ["apus"] + databases
        for round in 0..<BenchOptions.rounds(2) {
            for turn in systems.indices {
                let name = systems[(turn + round) % systems.count], place = "\(directory.path)/\(name)-\(round)"
                let result = name == "apus" ? try await ours(data, place) : try theirs(name, peers, place)
                results[name, default: []].append(result)
                progress(
                    "\(name), round \(round + 1): inserted after \(BenchReport.short(result.acknowledged)) s, indexed after \(BenchReport.short(result.indexed)) s, recall \(String(format: "%.4f", result.recall))"
                )
            }
        }
        report.row("", "inserted, s", "indexed, s: min", "median", "max", "recall@\(VectorsBench.limit)", "")
        for name in systems {
            guard let found = results[name], let last = found.last else { continue }
            let spread = Spread(found.map(\.indexed))
            report.row(
                [name, BenchReport.short(Spread(found.map(\.acknowledged)).median)]
                    + [spread.min, spread.median, spread.max].map(BenchReport.short) + [String(format: "%.4f", last.recall), last.settings])
            report.figure("\(name)_inserted_seconds", found.map(\.acknowledged))
            report.figure("\(name)_indexed_seconds", found.map(\.indexed))
            report.figure("\(name)_recall", found.map(\.recall))
            if name != "apus" { report.ratio("time_to_\(name)", zip(results["apus"] ?? [], found).map { $0.indexed / $1.indexed }) }
        }
        try report.finish()
    }

    private static func ours(_ data: BenchData, _ place: String) async throws -> Result {
        let bench = try await BenchNode.start(data, in: place, loops: EventLoops(count: 2))
        let times = try await bench.fill()
        let recall = try await bench.recall(of: data.queries.indices.prefix(200))
        _ = await bench.node.terminate()
        return Result(acknowledged: times.acknowledged, indexed: times.indexed, recall: recall, settings: "")
    }

    private static func theirs(_ name: String, _ peers: Peers, _ place: String) throws -> Result {
        let answer = try peers.ask(["do": .string(name), "place": .string(place), "queries": 200])
        func number(_ key: String) -> Double { answer[key]?.asDouble ?? .nan }
        return Result(
            acknowledged: number("inserted"), indexed: number("indexed"), recall: number("recall"),
            settings: answer["settings"]?.asString ?? "")
    }
}
