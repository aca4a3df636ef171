import ApusTypes
import Foundation
import TestKit

/// Approximate search in one thread beside hnswlib, faiss and usearch: queries per second of CPU time at the same recall@10.
///
/// Every system's parameters are chosen on a random half of the queries, the least effort that reaches the recall, and judged on the other
/// half, both ways round, all systems in turn, each for the better part of a second. CPU time, because these machines are shared.
enum VectorsBench {
    static let targets = [0.97, 0.99]
    static let limit = 10
    static let threads = 2
    /// Each library's graph is made twice: as its documentation suggests, and with more effort.
    static let graphs: [(peer: String, links: Int, effort: Int)] = [
        ("hnswlib", links: 16, effort: 128), ("hnswlib", 24, 200), ("faiss", 16, 128), ("faiss", 24, 200), ("usearch", 16, 128),
    ]
    static let peers = ["hnswlib", "faiss", "usearch"]

    static func run() async throws {
        var report = BenchReport("vectors")
        let directory = try TemporaryDirectory()
        let data = try BenchData(in: directory)
        report.describe(data)
        let apus = try await SealedIndex(data.points, in: directory.path)
        let libraries = try Peers.libraries()
        try libraries.load(data, in: directory.path)
        let systems: [any BenchedIndex] =
            [apus]
            + (try graphs.map { try PeerIndex(libraries, $0.peer, links: $0.links, effort: $0.effort) })

        report.row("", "build, CPU s", "bytes/vector")
        for system in systems {
            report.row(system.name, BenchReport.short(system.buildSeconds), String(system.bytes / data.points.count))
            report.figure("\(system.key)_build_cpu_seconds", system.buildSeconds)
            report.figure("\(system.key)_bytes_per_vector", Double(system.bytes) / Double(data.points.count))
        }
        report.row("apus, file", "", String(apus.fileBytes / data.points.count))
        report.ratio("build_cpu_to_hnswlib", [apus.buildSeconds / systems[1].buildSeconds])

        report.row("")
        report.row("", "recall@\(limit)", "queries/CPU s, min", "median", "max", "with")
        for target in targets { try compare(systems, at: target, data.set, &report) }
        try plot(systems, data)
        try report.finish()
    }

    private static func compare(_ systems: [any BenchedIndex], at target: Double, _ set: QuerySet, _ report: inout BenchReport) throws {
        // What each half says about the parameters is judged on the other: so every query counts, for every system alike.
        let chosen = try systems.compactMap { system -> (index: any BenchedIndex, efforts: [Double])? in
            let efforts = try set.halves.compactMap { try set.leastEffort(of: system, for: target, on: $0) }
            progress(
                "recall \(target): \(system.name) with \(efforts.isEmpty ? "nothing" : efforts.map(system.describe).joined(separator: ", "))"
            )
            return efforts.count == set.halves.count ? (system, efforts) : nil
        }
        var rates = [[Double]](repeating: [], count: chosen.count)
        var recalls = [Double](repeating: 0, count: chosen.count)
        for round in 0..<BenchOptions.rounds(7) {
            for turn in chosen.indices {
                let number = (turn + round) % chosen.count
                var (seconds, recall) = (0.0, 0.0)
                for (half, effort) in zip(set.halves.reversed(), chosen[number].efforts) {
                    let found = try chosen[number].index.searchSteadily(half, in: set, effort: effort)
                    seconds += found.seconds
                    recall += set.recall(of: found.rows, half) * Double(half.count) / Double(set.queries.count)
                }
                rates[number].append(Double(set.queries.count) / seconds)
                recalls[number] = recall
            }
            progress(
                "recall \(target), round \(round + 1): "
                    + zip(chosen, rates).map { "\($0.index.name) \(BenchReport.short($1[round]))" }.joined(separator: ", "))
        }
        for (number, (system, efforts)) in chosen.enumerated() {
            let spread = Spread(rates[number])
            report.row(
                "\(system.name), recall \(target)", String(format: "%.4f", recalls[number]), BenchReport.short(spread.min),
                BenchReport.short(spread.median), BenchReport.short(spread.max), efforts.map(system.describe).joined(separator: ", "))
            report.figure("\(system.key)_queries_per_cpu_second_at_\(target)", rates[number])
            report.figure("\(system.key)_recall_at_\(target)", recalls[number])
        }
        guard chosen.first?.index.name == "apus" else { return report.row("apus, recall \(target)", "not reached") }
        for peer in peers {
            let of = chosen.indices.filter { chosen[$0].index.name.hasPrefix(peer) }
            guard let best = of.max(by: { Spread(rates[$0]).median < Spread(rates[$1]).median }) else { continue }
            report.ratio("to_\(peer)_at_\(target)", zip(rates[0], rates[best]).map { $0 / $1 })
        }
    }

    /// Recall against queries/s over all queries, a curve for each library (the better of its graphs), as a picture for the documentation.
    private static func plot(_ systems: [any BenchedIndex], _ data: BenchData) throws {
        let all = Array(data.queries.indices)
        var rates: [[[Double]]] = systems.map { $0.curve.map { _ in [] } }
        var recalls = rates.map { $0.map { _ in 0.0 } }
        for round in 0..<min(3, BenchOptions.rounds(3)) {
            for turn in systems.indices {
                let number = (turn + round) % systems.count
                for (place, effort) in systems[number].curve.enumerated() {
                    let found = try systems[number].searchSteadily(all, in: data.set, effort: effort)
                    rates[number][place].append(Double(all.count) / found.seconds)
                    recalls[number][place] = data.set.recall(of: found.rows, all)
                }
            }
            progress("curves, round \(round + 1)")
        }
        let curves = (["apus"] + peers).map { name in
            let points = systems.indices.filter { systems[$0].name.hasPrefix(name) }.flatMap { number in
                systems[number].curve.indices.map { (recall: recalls[number][$0], rate: Spread(rates[number][$0]).median) }
            }
            return RecallPlot.Curve(name: name, points: points)
        }
        let plot = RecallPlot(
            title: "\(data.points.count) vectors of \(data.points.dimension) dimensions, one thread, \(BenchReport.processor)",
            curves: curves)
        try FileManager.default.createDirectory(atPath: "docs/images", withIntermediateDirectories: true)
        let path = "docs/images/recall-\(data.points.dimension).svg"
        try plot.svg.write(toFile: path, atomically: true, encoding: .utf8)
        print("drawn in \(path)")
    }
}

extension BenchedIndex {
    /// In results.
    var key: String { name.replacing(" ", with: "_") }
}
