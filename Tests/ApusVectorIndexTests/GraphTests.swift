import TestKit
import Testing

@testable import ApusVectorIndex

@Suite("vector graph", .computing)
struct GraphTests {
    private func recall(
        _ rows: GraphRows, _ metric: Metric, _ graph: VectorGraph, _ kind: CodeKind, queries: [[Float]], effort: VectorGraph.Effort,
        level: InstructionSet = .best
    ) -> Double {
        let codes = rows.with { CodeTable(Coding(kind, metric, for: $0), of: $0) }
        let better = rows.with { CodeTable(Coding(.float, metric, for: $0), of: $0) }
        let scratch = GraphScratch(rows: rows.count)
        var hits = 0
        for query in queries {
            let truth = rows.nearest(query, 10, by: better)
            let compared =
                graph.nearest(to: query, limit: 10, codes: codes, better: better, effort: effort, scratch: scratch, level: level) ?? []
            let found = compared.prefix(10)
            #expect(found.count == 10 && Set(found.map(\.row)).count == 10)
            #expect(zip(found, found.dropFirst()).allSatisfy { $0.distance <= $1.distance })
            hits += found.count { truth.contains($0.row) }
        }
        return Double(hits) / Double(queries.count * 10)
    }

    @Test("finds nearly all neighbours under every metric, on every code", arguments: CodeTests.pairs)
    func finds(kind: CodeKind, metric: Metric) {
        let rows = GraphRows.clusters(3000, dimension: 48, seed: 11, normalised: metric == .cosine)
        let queries = GraphRows.clusters(40, dimension: 48, seed: 11, normalised: metric == .cosine)
        let found = recall(
            rows, metric, rows.graph(metric), kind, queries: (0..<40).map { queries[$0] }, effort: .init(candidates: 128))
        #expect(found >= 0.97, "\(found)")
    }

    @Test("finds sentences near sentences, with each instruction set, by a fixed or an adaptive stop", arguments: CodeTests.levels)
    func words(level: InstructionSet) {
        let rows = GraphRows.words
        let graph = rows.graph(.cosine, level: level)
        // What a text's neighbour might be: halfway between two.
        let queries = (0..<50).map { number in
            DistanceKernel.normalised(zip(rows[number * 7], rows[number * 31 + 1]).map { $0 + $1 })
        }
        let fixed = recall(
            rows, .cosine, graph, .preferred(.cosine, dimension: 384), queries: queries, effort: .init(candidates: 160), level: level)
        #expect(fixed >= 0.98, "\(fixed)")
        let adaptive = recall(
            rows, .cosine, graph, .preferred(.cosine, dimension: 384), queries: queries, effort: .init(candidates: 400, slack: 0.25),
            level: level)
        #expect(adaptive >= 0.97, "\(adaptive)")
    }

    @Test("one thread builds the same graph twice; several build one that is as it must be")
    func deterministic() async {
        let rows = GraphRows.clusters(20_000, dimension: 16, seed: 2)
        let first = rows.graph(.euclidean), second = rows.graph(.euclidean)
        #expect(withExtendedLifetime((first, second)) { first.links.elementsEqual(second.links) })
        let builder = rows.with { GraphBuilder($0, codes: CodeTable(Coding(.bits4, .euclidean, for: $0), of: $0), threads: 4) }
        await withTaskGroup { group in
            for thread in 0..<4 { group.addTask { while builder.insert(thread: thread) {} } }
        }
        let graph = builder.finish(), degree = graph.degree
        #expect(graph.links.count == rows.count * degree)
        for row in 0..<rows.count {
            let list = graph.links[row * degree..<(row + 1) * degree]
            let linked = list.prefix { $0 != .max }
            #expect(!linked.isEmpty && linked.allSatisfy { $0 < rows.count && $0 != row } && Set(linked).count == linked.count)
            #expect(list.dropFirst(linked.count).allSatisfy { $0 == .max })
        }
        let queries = GraphRows.clusters(40, dimension: 16, seed: 2)
        let found = recall(rows, .euclidean, graph, .bits8, queries: (0..<40).map { queries[$0] }, effort: .init(candidates: 128))
        #expect(found >= 0.97, "\(found)")
    }

    @Test("every instruction set builds the same graph, of loose and of tight clusters", arguments: Metric.allCases, [0.8, 0.004])
    func agreement(metric: Metric, spread: Float) {
        let rows = GraphRows.clusters(1500, dimension: 24, seed: 4, spread: spread, normalised: metric == .cosine)
        func links(_ level: InstructionSet) -> [UInt32] {
            let graph = rows.graph(metric, level: level)
            return withExtendedLifetime(graph) { Array(graph.links) }
        }
        let portable = links(.portable)
        for level in CodeTests.levels { #expect(links(level) == portable, "\(level)") }
    }

    @Test("few rows, equal rows, more wanted than there are", arguments: [1, 2, 33, 200, 300])
    func small(count: Int) {
        for metric in Metric.allCases {
            let rows = GraphRows(
                [Float](repeating: 0.25, count: count * 5), dimension: 5, normalised: metric == .cosine)
            let graph = rows.graph(metric)
            let codes = rows.with { CodeTable(Coding(.bits8, metric, for: $0), of: $0) }
            let found =
                graph.nearest(
                    to: rows[0], limit: 1000, codes: codes, better: codes, effort: .init(candidates: 10),
                    scratch: GraphScratch(rows: count)) ?? []
            #expect(
                Set(found.map(\.row)).count == found.count && found.count <= count && found.count >= min(count, 33),
                "\(metric) \(found.count)")
        }
    }
}
