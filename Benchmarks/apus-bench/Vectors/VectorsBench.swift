import ApusRuntime
import ApusTypes
import ApusVectorIndex
import Foundation
import Synchronization
import TestKit

/// Approximate search in one thread beside hnswlib and faiss: queries per second of CPU time at the same recall@10.
///
/// Every system's parameters are chosen on a random half of the queries, the least effort that reaches the recall, and judged on the other
/// half, both ways round, all systems in turn. CPU time, because these machines are shared. `APUS_BENCH_DATA` as for `import`.
enum VectorsBench {
    static let targets = [0.97, 0.99]
    static let rounds = 7
    static let limit = 10
    static let threads = 2

    static func run() async throws {
        var report = BenchReport("vectors")
        let directory = try TemporaryDirectory()
        let data = try Vectors.Files(of: ProcessInfo.processInfo.environment["APUS_BENCH_DATA"], orIn: directory.path)
        let points = try Vectors(float16: data.points).normalised(), queries = try Vectors(float16: data.queries).normalised()
        let truth = try data.neighbours.map { try Vectors.rows($0) } ?? queries.indices.map { points.nearest(to: queries[$0], limit) }
        let set = QuerySet(queries: queries, truth: truth.map { Array($0.prefix(limit)) })
        print("\(points.count) points of \(points.dimension) dimensions, \(queries.count) queries, \(rounds) rounds in turn")

        let apus = try await SealedIndex(points, in: directory.path)
        report.row("", "build, CPU s", "bytes/vector")
        report.row("apus", BenchReport.short(apus.buildSeconds), String(apus.bytes / points.count))
        report.row("apus, file", "", String(apus.fileBytes / points.count))
        report.figure("apus_build_cpu_seconds", apus.buildSeconds)
        report.figure("apus_bytes_per_vector", Double(apus.bytes) / Double(points.count))

        let peers = try Peers()
        try points.write(to: directory.path + "/points.f32")
        try queries.write(to: directory.path + "/queries.f32")
        _ = try peers.ask([
            "do": "load", "points": .string(directory.path + "/points.f32"), "queries": .string(directory.path + "/queries.f32"),
            "dimension": .integer(Int64(points.dimension)),
        ])
        var systems: [any BenchedIndex] = [apus]
        for name in ["hnswlib", "faiss"] {
            for (links, effort) in [(16, 128), (24, 200)] {
                let peer = try PeerIndex(peers, name, links: links, effort: effort)
                systems.append(peer)
                report.row(peer.name, BenchReport.short(peer.buildSeconds), String(peer.bytes / points.count))
                if name == "hnswlib", links == 16 {
                    report.ratio("build_cpu_to_hnswlib", [apus.buildSeconds / peer.buildSeconds])
                    report.figure("hnswlib_build_cpu_seconds", peer.buildSeconds)
                }
            }
        }

        report.row("")
        report.row("", "recall@\(limit)", "queries/CPU s, min", "median", "max", "with")
        for target in targets {
            // What each half says about the parameters is judged on the other: so every query counts, for every system alike.
            let chosen = try systems.compactMap { system -> (index: any BenchedIndex, efforts: [Double])? in
                let efforts = try set.halves.compactMap { try leastEffort(of: system, for: target, on: $0, set) }
                return efforts.count == set.halves.count ? (system, efforts) : nil
            }
            var rates = [[Double]](repeating: [], count: chosen.count)
            var recalls = [Double](repeating: 0, count: chosen.count)
            for round in 0..<rounds {
                for turn in chosen.indices {
                    let number = (turn + round) % chosen.count
                    var (seconds, recall) = (0.0, 0.0)
                    for (half, effort) in zip(set.halves.reversed(), chosen[number].efforts) {
                        let found = try chosen[number].index.search(half, in: set, effort: effort)
                        seconds += found.seconds
                        recall += set.recall(of: found.rows, half) * Double(half.count) / Double(set.queries.count)
                    }
                    rates[number].append(Double(set.queries.count) / seconds)
                    recalls[number] = recall
                }
            }
            for (number, (system, efforts)) in chosen.enumerated() {
                let spread = Spread(rates[number])
                report.row(
                    "\(system.name), recall \(target)", String(format: "%.4f", recalls[number]), BenchReport.short(spread.min),
                    BenchReport.short(spread.median), BenchReport.short(spread.max),
                    efforts.map(system.describe).joined(separator: ", "))
                report.figure("\(system.name.replacing(" ", with: "_"))_queries_per_cpu_second_at_\(target)", rates[number])
            }
            for name in ["hnswlib", "faiss"] {
                let of = chosen.indices.filter { chosen[$0].index.name.hasPrefix(name) }
                guard let best = of.max(by: { Spread(rates[$0]).median < Spread(rates[$1]).median }) else { continue }
                report.ratio("to_\(name)_at_\(target)", zip(rates[0], rates[best]).map { $0 / $1 })
            }
        }
        try report.finish()
    }

    /// The least effort that reaches a recall on one half of the queries; nil if none does.
    private static func leastEffort(of system: any BenchedIndex, for target: Double, on half: [Int], _ set: QuerySet) throws -> Double? {
        var (low, high) = (system.efforts.lowerBound, system.efforts.upperBound)
        func reaches(_ effort: Double) throws -> Bool {
            set.recall(of: try system.search(half, in: set, effort: effort).rows, half) >= target
        }
        guard try reaches(high) else { return nil }
        for _ in 0..<9 {
            let middle = (low * high).squareRoot()
            if try reaches(middle) { high = middle } else { low = middle }
        }
        return high
    }
}

/// Queries with their true neighbours, in two random halves.
struct QuerySet {
    let queries: Vectors
    let truth: [[Int]]
    let halves: [[Int]]

    init(queries: Vectors, truth: [[Int]]) {
        self.queries = queries
        self.truth = truth
        var random = SeededGenerator(seed: 4)
        let order = queries.indices.shuffled(using: &random)
        halves = [Array(order[..<(order.count / 2)]), Array(order[(order.count / 2)...])]
    }

    func recall(of rows: [[Int]], _ half: [Int]) -> Double {
        let hits = zip(rows, half).reduce(0) { $0 + Set($1.0).intersection(truth[$1.1]).count }
        return Double(hits) / Double(half.reduce(0) { $0 + truth[$1].count })
    }
}

protocol BenchedIndex {
    var name: String { get }
    /// What may be tried; more finds more.
    var efforts: ClosedRange<Double> { get }
    func describe(_ effort: Double) -> String
    /// CPU seconds of one thread, and the rows found for each query.
    func search(_ numbers: [Int], in set: QuerySet, effort: Double) throws -> (seconds: Double, rows: [[Int]])
}

struct PeerIndex: BenchedIndex {
    let name: String
    let buildSeconds: Double
    let bytes: Int
    let efforts = 10.0...800.0
    private let peers: Peers
    private let key: [String: JSONValue]

    init(_ peers: Peers, _ peer: String, links: Int, effort: Int) throws {
        self.peers = peers
        name = "\(peer) M \(links) efC \(effort)"
        let answer = try peers.ask([
            "do": "build", "peer": .string(peer), "m": .integer(Int64(links)), "ef": .integer(Int64(effort)),
            "threads": .integer(Int64(VectorsBench.threads)),
        ])
        buildSeconds = answer["cpu"]?.asDouble ?? 0
        bytes = answer["bytes"]?.asInteger.map { Int($0) } ?? 0
        key = ["peer": .string(peer), "m": .integer(Int64(links)), "ef_build": .integer(Int64(effort))]
    }

    func describe(_ effort: Double) -> String { "ef \(Int(effort.rounded(.up)))" }

    func search(_ numbers: [Int], in set: QuerySet, effort: Double) throws -> (seconds: Double, rows: [[Int]]) {
        var job = key
        job["do"] = "search"
        job["ef"] = .integer(Int64(effort.rounded(.up)))
        job["k"] = .integer(Int64(VectorsBench.limit))
        job["queries"] = .array(numbers.map { .integer(Int64($0)) })
        let answer = try peers.ask(job)
        let rows = (answer["rows"]?.asArray ?? []).map { ($0.asArray ?? []).compactMap { $0.asInteger.map { Int($0) } } }
        return (answer["cpu"]?.asDouble ?? .nan, rows)
    }
}

extension Vectors {
    /// With rows of length 1.
    func normalised() -> Vectors {
        var values = values
        for row in indices {
            var sum = 0.0
            for column in 0..<dimension { sum += Double(values[row * dimension + column]) * Double(values[row * dimension + column]) }
            let scale = sum > 0 ? Float(1 / sum.squareRoot()) : 0
            for column in 0..<dimension { values[row * dimension + column] *= scale }
        }
        return Vectors(count: count, dimension: dimension, values: values)
    }

    func write(to path: String) throws {
        try values.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: path)) }
    }
}
