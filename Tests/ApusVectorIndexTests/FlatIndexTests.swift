import ApusTypes
import TestKit
import Testing

@testable import ApusVectorIndex

@Suite("exact index", .computing)
struct FlatIndexTests {
    static func write(_ table: PointTable, at moment: Int64, _ points: [(PointID, [Float])]) {
        table.apply(at: moment) { writer in
            for (id, vector) in points { vector.withUnsafeBytes { writer.upsert(id, vector: $0, payload: nil) } }
        }
    }

    static func search(_ table: PointTable, _ query: NeighbourQuery, parts: Int = 1) -> [Neighbour] {
        let index = FlatIndex(table.snapshot())
        var top = TopNeighbours(limit: query.limit, metric: table.metric)
        for part in 0..<parts { index.neighbours(of: query, part: part, of: parts).forEach { top.offer($0) } }
        return top.sorted()
    }

    @Test("finds what double precision finds, in its order, in one part or several", arguments: Metric.allCases, [3, 64, 100])
    func bruteForce(metric: Metric, dimension: Int) {
        var random = SeededGenerator(seed: UInt64(dimension))
        let table = PointTable(dimension: dimension, metric: metric)
        let points = (0..<1500).map { (PointID.integer(UInt64($0)), random.vector(dimension)) }
        Self.write(table, at: 1, points)
        for parts in [1, 2, 7] {
            let query = random.vector(dimension)
            let hits = Self.search(table, NeighbourQuery(vector: query, limit: 25), parts: parts)
            let exact = points.map { ($0.0, KernelTests.reference(metric, query, $0.1[...]).score) }
                .sorted { metric.isSimilarity ? $0.1 > $1.1 : $0.1 < $1.1 }
            #expect(hits.count == 25)
            for (hit, expected) in zip(hits, exact) { #expect(abs(Double(hit.score) - expected.1) < 1e-4) }
            // Neighbours closer together than rounding may change places; the sets agree up to that.
            let last = exact[24].1
            for hit in hits where !exact.prefix(25).contains(where: { $0.0 == hit.id }) { #expect(abs(Double(hit.score) - last) < 1e-5) }
        }
    }

    @Test("equal scores come in the order of ids, and the limit cuts in that order", arguments: Metric.allCases)
    func ties(metric: Metric) throws {
        let table = PointTable(dimension: 2, metric: metric)
        let ids = try ["b", "a", "17", "9", "550E8400-e29b-41d4-a716-446655440000", "c"].map { try PointID($0) }
        Self.write(table, at: 1, ids.map { ($0, [1, 2]) })
        let order = ["9", "17", "550e8400-e29b-41d4-a716-446655440000", "a", "b", "c"]
        for limit in 0...7 {
            let hits = Self.search(table, NeighbourQuery(vector: [3, 4], limit: limit))
            #expect(hits.map(\.id.description) == Array(order.prefix(limit)))
        }
    }

    @Test("the threshold keeps the bound itself")
    func threshold() {
        let table = PointTable(dimension: 1, metric: .euclidean)
        Self.write(table, at: 1, (0..<10).map { (.integer($0), [Float($0)]) })
        #expect(
            Self.search(table, NeighbourQuery(vector: [0], limit: 10, scoreThreshold: 3)).map(\.id) == [0, 1, 2, 3].map { .integer($0) })
        let products = PointTable(dimension: 1, metric: .dot)
        Self.write(products, at: 1, (0..<10).map { (.integer($0), [Float($0)]) })
        #expect(
            Self.search(products, NeighbourQuery(vector: [1], limit: 10, scoreThreshold: 7)).map(\.id) == [9, 8, 7].map { .integer($0) })
    }

    @Test("under the cosine a zero vector is there with score 0, as a point and as a query")
    func zeroVector() {
        let table = PointTable(dimension: 3, metric: .cosine)
        Self.write(table, at: 1, [(.integer(1), [0, 0, 0]), (.integer(2), [1, 0, 0]), (.integer(3), [-1, 0, 0])])
        #expect(Self.search(table, NeighbourQuery(vector: [5, 0, 0], limit: 3)).map(\.score) == [1, 0, -1])
        let hits = Self.search(table, NeighbourQuery(vector: [0, 0, 0], limit: 3))
        #expect(hits.map(\.score) == [0, 0, 0] && hits.map(\.id) == [.integer(1), .integer(2), .integer(3)])
    }

    @Test("vectors at the ends of the range of a float give finite scores")
    func extremes() {
        let huge = Float.greatestFiniteMagnitude, tiny = Float.leastNonzeroMagnitude
        let vectors: [[Float]] = [[huge, huge], [-huge, -huge], [huge, -huge], [tiny, tiny], [0, 0], [1, 1]]
        for metric in Metric.allCases {
            let table = PointTable(dimension: 2, metric: metric)
            Self.write(table, at: 1, vectors.enumerated().map { (.integer(UInt64($0.offset)), $0.element) })
            for query in vectors {
                let hits = Self.search(table, NeighbourQuery(vector: query, limit: 6))
                #expect(hits.count == 6 && hits.allSatisfy(\.score.isFinite))
            }
        }
        let table = PointTable(dimension: 2, metric: .cosine)
        Self.write(table, at: 1, vectors.enumerated().map { (.integer(UInt64($0.offset)), $0.element) })
        let hits = Self.search(table, NeighbourQuery(vector: [huge, huge], limit: 6))
        #expect(hits.prefix(3).map(\.id) == [.integer(0), .integer(3), .integer(5)])
        #expect(hits.prefix(3).allSatisfy { abs($0.score - 1) < 1e-6 })
    }

    @Test("no limit is too large, and none is 0")
    func limits() {
        let table = PointTable(dimension: 2, metric: .dot)
        #expect(Self.search(table, NeighbourQuery(vector: [1, 1], limit: .max)).isEmpty)
        Self.write(table, at: 1, (0..<600).map { (.integer($0), [Float($0), 1]) })
        #expect(Self.search(table, NeighbourQuery(vector: [1, 1], limit: .max)).map(\.id) == (0..<600).reversed().map { .integer($0) })
        #expect(Self.search(table, NeighbourQuery(vector: [1, 1], limit: 0)).isEmpty)
    }
}
