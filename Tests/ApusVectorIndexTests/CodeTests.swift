import TestKit
import Testing

@testable import ApusVectorIndex

@Suite("vector codes", .computing)
struct CodeTests {
    static let levels = InstructionSet.allCases.filter { $0.rawValue <= InstructionSet.best.rawValue }
    static let pairs = Metric.allCases.flatMap { metric in CodeKind.allCases.filter { $0.serves(metric) }.map { ($0, metric) } }

    @Test("every instruction set gives the same distances", arguments: pairs, levels)
    func agreement(pair: (kind: CodeKind, metric: Metric), level: InstructionSet) {
        var random = SeededGenerator(seed: 3)
        for dimension in Array(1...70) + [127, 128, 129, 255, 256, 384, 1000, 1536, 4097] {
            let rows = GraphRows(random.vector(23 * dimension), dimension: dimension, normalised: pair.metric == .cosine)
            let table = rows.with { CodeTable(Coding(pair.kind, pair.metric, for: $0), of: $0) }
            let query = rows[5].enumerated().map { $0.element + Float($0.offset % 3) / 100 }
            // Groups of four and one to three left over.
            for count in [1, 4, 6, 23] {
                let wanted = (0..<UInt32(count)).reversed().map { $0 }
                let expected = table.distances(from: query, to: wanted, level: .portable)
                let found = table.distances(from: query, to: wanted, level: level)
                if pair.kind.isSmall {
                    #expect(found == expected, "dimension \(dimension)")
                } else {
                    for (a, b) in zip(found, expected) {
                        #expect(abs(a - b) <= 1e-4 * abs(b) + 2e-6 * Float(dimension), "dimension \(dimension)")
                    }
                }
            }
        }
    }

    @Test("a code's distance is the true one within what its steps can tell", arguments: pairs)
    func precision(kind: CodeKind, metric: Metric) {
        let rows = GraphRows.clusters(2000, dimension: 96, seed: 5, normalised: metric == .cosine)
        let coding = rows.with { Coding(kind, metric, for: $0) }
        let table = rows.with { CodeTable(coding, of: $0) }
        let query = rows[17]
        let found = table.distances(from: query, to: (0..<2000).map { UInt32($0) })
        let expected = (0..<2000).map { rows.distance(metric, query, $0) }
        let spread = (expected.max() ?? 0) - (expected.min() ?? 0)
        let worst = zip(found, expected).map { abs(Double($0) - $1) / spread }.max() ?? 0
        let bound: [CodeKind: Double] = [.thirds: 0.25, .bits4: 0.12, .bits8: 0.02, .half: 0.002, .float: 1e-5]
        #expect(worst < bound[kind]!, "\(worst)")
    }

    @Test("what a code misses of its row hardly lies along the row", arguments: [CodeKind.thirds, .bits4])
    func straight(kind: CodeKind) {
        let rows = GraphRows.clusters(500, dimension: 96, seed: 9, normalised: true)
        let table = rows.with { CodeTable(Coding(kind, .cosine, for: $0), of: $0) }
        // A row's distance from itself is what its code misses of it along itself, which codes to the nearest steps miss like anything else.
        let along = (0..<500).map { Double(table.distances(from: rows[$0], to: [UInt32($0)])[0]) }
        let across = (0..<500).map { row in
            Double(table.distances(from: rows[row], to: [UInt32((row + 7) % 500)])[0]) - rows.distance(.cosine, rows[row], (row + 7) % 500)
        }
        func size(_ errors: [Double]) -> Double { (errors.reduce(0) { $0 + $1 * $1 } / Double(errors.count)).squareRoot() }
        #expect(size(along) < size(across) / 2, "\(size(along)) along, \(size(across)) across")
    }

    @Test("dimensions that hold nearly nothing leave the codes of others alone", arguments: [CodeKind.thirds, .bits4, .bits8])
    func tiny(kind: CodeKind) {
        var random = SeededGenerator(seed: 12)
        // Constant numbers whose squares are no normal floats any more, in every other dimension.
        var values: [Float] = [], others: [Float] = []
        for _ in 0..<1024 {
            for d in 0..<32 {
                let number = Float.random(in: -0.25...0.25, using: &random), nearlyNothing: Float = 0x1.8b03ep-57 * Float(d + 1)
                values += [number, nearlyNothing]
                others += [number, 0]
            }
        }
        let rows = GraphRows(values, dimension: 64), without = GraphRows(others, dimension: 64)
        let all = (0..<UInt32(1024)).map { $0 }
        func distances(_ rows: GraphRows) -> [Float] {
            rows.with { CodeTable(Coding(kind, .dot, for: $0), of: $0) }.distances(from: without[3], to: all)
        }
        for (one, other) in zip(distances(rows), distances(without)) { #expect(abs(one - other) < 1e-3 as Float) }
    }

    @Test("rows in which nothing differs, and numbers far outside the sample, are coded")
    func extremes() {
        for (kind, metric) in Self.pairs where kind.isSmall {
            let same = GraphRows([Float](repeating: 0.5, count: 40 * 8), dimension: 8)
            let table = same.with { CodeTable(Coding(kind, metric, for: $0), of: $0) }
            #expect(table.distances(from: same[0], to: [0, 39]).allSatisfy { $0.isFinite }, "\(kind) \(metric)")
            var values = same.values
            values += [Float](repeating: 1e30, count: 8) + [Float](repeating: -1e30, count: 8)
            let wild = GraphRows(values, dimension: 8)
            let coding = same.with { Coding(kind, metric, for: $0) }
            let coded = wild.with { CodeTable(coding, of: $0) }
            #expect(coded.distances(from: same[0], to: [0, 40, 41]).first?.isFinite == true, "\(kind) \(metric)")
        }
    }
}
