import ApusTypes
import ApusVectorIndex
import Foundation
import TestKit

/// Search under filters, as a node does it, beside the exact scan of the points that pass (faiss's, over their list), faiss's graph with an
/// `IDSelectorBitmap` and hnswlib's with a function of Python.
///
/// The libraries get each filter as a list, bits or array that was made before and is not timed, and as much effort as a first half of the
/// queries needs for a recall of 0.97. Apus gets the filter as a request has it, a condition on payloads, and no hints: its first search under
/// a filter, which finds out what passes, is reported by itself.
enum FiltersBench {
    private static let target = 0.97
    private static let efforts: [Double] = [16, 32, 64, 128, 256, 512]
    /// A round of one system under one kind of filter takes at least so long, where searches are quick.
    private static let leastSeconds = 0.05

    static func run() async throws {
        var report = BenchReport("filters")
        let directory = try TemporaryDirectory()
        let data = try BenchData(in: directory)
        report.describe(data)
        progress("making filters")
        let filters = FilterSet(data)
        let apus = try await SealedIndex(data.points, in: directory.path, payload: filters.payload)
        let libraries = try Peers.libraries()
        try libraries.load(data, in: directory.path)
        try Data(filters.masks.joined()).write(to: URL(fileURLWithPath: directory.path + "/masks"))
        _ = try libraries.ask(["do": "filters", "masks": .string(directory.path + "/masks")])
        let peers = try ["faiss", "hnswlib"].map { try PeerIndex(libraries, $0, links: 16, effort: 128) }

        report.row(
            "filter", "recall", "fewest", "first, ms", "queries/CPU s", "exact scan's", "time to scan's", "faiss: recall", "queries/CPU s",
            "hnswlib: recall", "queries/CPU s")
        var slowest = [Double](repeating: 0, count: BenchOptions.rounds(5)), least = 1.0, fewest = VectorsBench.limit
        for cell in filters.cells {
            let result = try measure(cell, apus, libraries, peers, data)
            for (round, ratio) in result.timeToScan.enumerated() { slowest[round] = max(slowest[round], ratio) }
            (least, fewest) = (min(least, result.recall), min(fewest, result.fewest))
            report.ratio("time_to_exact_scan_\(cell.key)", result.timeToScan)
            report.figure("recall_\(cell.key)", result.recall)
            report.figure("queries_per_cpu_second_\(cell.key)", result.rates)
            report.figure("first_search_milliseconds_\(cell.key)", result.firstSeconds.map { $0 * 1000 })
            var cells = [
                cell.name, String(format: "%.4f", result.recall), "\(result.fewest)",
                BenchReport.short(Spread(result.firstSeconds).median * 1000),
                BenchReport.short(Spread(result.rates).median), BenchReport.short(Spread(result.scanRates).median),
                BenchReport.short(Spread(result.timeToScan).median),
            ]
            for (peer, found) in zip(peers, result.peers) {
                cells += [String(format: "%.4f", found.recall), BenchReport.short(Spread(found.rates).median)]
                report.figure("\(peer.key)_recall_\(cell.key)", found.recall)
                report.figure("\(peer.key)_queries_per_cpu_second_\(cell.key)", found.rates)
            }
            report.row(cells)
            progress(cells.joined(separator: "  "))
        }
        report.ratio("time_to_exact_scan_slowest", slowest)
        report.figure("least_recall", least)
        report.figure("fewest_found", Double(fewest))
        try report.finish()
    }

    private struct Result {
        var recall = 0.0
        /// Found by the search that found the fewest; all filters pass at least as many as are asked for.
        var fewest = VectorsBench.limit
        var firstSeconds: [Double] = []
        var rates: [Double] = []
        var scanRates: [Double] = []
        var timeToScan: [Double] = []
        var peers: [(recall: Double, rates: [Double])] = []
    }

    private static func measure(
        _ cell: FilterSet.Cell, _ apus: SealedIndex, _ libraries: Peers, _ peers: [PeerIndex], _ data: BenchData
    ) throws -> Result {
        var result = Result()
        let vectors = cell.filters.map { $0.queries.map { data.queries[$0] } }
        let count = Double(vectors.joined().count)
        for (filter, vectors) in zip(cell.filters, vectors) { result.firstSeconds.append(apus.search([vectors[0]], filter.filter).seconds) }

        var truth: [[[Int]]] = []
        func scan() throws -> Double {
            truth = []
            return try cell.filters.reduce(0) { seconds, filter in
                let answer = try libraries.ask([
                    "do": "scan", "queries": .array(filter.queries.map { .integer(Int64($0)) }), "k": .integer(Int64(VectorsBench.limit)),
                    "filter": .integer(Int64(filter.number)),
                ])
                truth.append(answer.foundRows)
                return seconds + (answer["cpu"]?.asDouble ?? .nan)
            }
        }
        func recall(_ found: [[[Int]]], _ queries: (Int) -> Bool = { _ in true }) -> Double {
            var (hits, all) = (0, 0)
            for (found, truth) in zip(found, truth) {
                for (number, (found, truth)) in zip(found, truth).enumerated() where queries(number) {
                    hits += Set(found).intersection(truth).count
                    all += truth.count
                }
            }
            return Double(hits) / Double(max(1, all))
        }
        func ask(_ peer: PeerIndex, effort: Double) throws -> (seconds: Double, rows: [[[Int]]]) {
            let found = try cell.filters.map { try peer.search($0.queries, effort: effort, filter: $0.number) }
            return (found.reduce(0) { $0 + $1.cpu }, found.map(\.rows))
        }

        _ = try scan()
        let efforts = try peers.map { peer in
            for effort in Self.efforts where recall(try ask(peer, effort: effort).rows, { $0 % 2 == 0 }) >= Self.target { return effort }
            return Self.efforts[Self.efforts.count - 1]
        }
        result.peers = peers.map { _ in (0, []) }
        var times = 1
        for round in 0..<BenchOptions.rounds(5) {
            var seconds = 0.0, found: [[[Int]]] = []
            while true {
                (seconds, found) = (0, [])
                for (filter, vectors) in zip(cell.filters, vectors) {
                    let answer = apus.search(vectors, filter.filter, times: times)
                    seconds += answer.seconds
                    found.append(answer.rows)
                }
                guard round == 0, seconds * Double(times) < leastSeconds else { break }
                times *= 2
            }
            // The scan is asked as often: what is quick is measured as well.
            let scans = try (0..<min(times, 8)).map { _ in try scan() }
            let scanned = Spread(scans).median
            result.rates.append(count / seconds)
            result.scanRates.append(count / scanned)
            result.timeToScan.append(seconds / scanned)
            result.recall = recall(found)
            result.fewest = min(result.fewest, found.joined().map { Set($0).count }.min() ?? 0)
            for (number, peer) in peers.enumerated() {
                let answer = try ask(peer, effort: efforts[number])
                result.peers[number].recall = recall(answer.rows, { $0 % 2 == 1 })
                result.peers[number].rates.append(count / answer.seconds)
            }
        }
        return result
    }
}
