import ApusTypes
import Glibc
import TestKit
import Testing

@testable import ApusVectorIndex

/// Rows in memory are told to be far by bytes: that must never change an answer, whatever the rows are like and whichever came before.
@Suite("points in memory", .computing)
struct RoughRowsTests {
    enum Rows: CaseIterable {
        case even, onOneSide, far, inFewDimensions, ofAllSizes, huge, tiny, equal, atTheEnds

        func vector(_ dimension: Int, _ number: Int, _ random: inout SeededGenerator) -> [Float] {
            let even = random.vector(dimension)
            switch self {
            case .even: return even
            case .onOneSide: return even.map { $0 * $0 * $0 * $0 + 0.1 }
            case .far: return even.map { $0 * 0.01 + 1000 }
            case .inFewDimensions: return even.indices.map { $0 / 8 == number % 4 ? even[$0] : 0 }
            case .ofAllSizes: return even.map { $0 * pow(10, Float(number % 41) - 20) }
            case .huge: return even.map { $0 * 1e37 }
            case .tiny: return even.map { $0 * 1e-20 * 1e-20 }
            case .equal: return even.indices.map { Float(($0 + number % 3) % 5) }
            case .atTheEnds:
                let ends: [Float] = [.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, 0, 1, -1, 1e19]
                return even.indices.map { ends[($0 + number) % (1 + number % ends.count)] }
            }
        }
    }

    /// Every row compared, one after another.
    static func expected(_ metric: Metric, _ query: [Float], _ points: [[Float]], limit: Int) -> [Neighbour] {
        let kernel = DistanceKernel(metric), unit = metric == .cosine ? DistanceKernel.normalised(query) : query
        return points.enumerated().map { number, point in
            var score: Float = .nan
            var scale = DistanceKernel.scale(of: point, dimension: point.count)
            kernel.scores(of: unit, rows: point, stride: point.count, count: 1, dimension: point.count, scales: &scale, into: &score)
            return Neighbour(id: .integer(UInt64(number)), score: score, row: UInt32(number))
        }.sorted { $0.precedes($1, by: metric) }.prefix(limit).map { $0 }
    }

    @Test("the nearest of points in memory are those of comparing every one", arguments: Metric.allCases, Rows.allCases)
    func exact(metric: Metric, kind: Rows) {
        for dimension in [1, 7, 33, 100, 384] {
            var random = SeededGenerator(seed: UInt64(dimension))
            let points = (0..<900).map { kind.vector(dimension, $0, &random) }
            let table = PointTable(dimension: dimension, metric: metric)
            FlatIndexTests.write(table, at: 1, points.enumerated().map { (.integer(UInt64($0.offset)), $0.element) })
            let queries = [points[3], points[899], kind.vector(dimension, 5, &random), [Float](repeating: 0, count: dimension)]
            for query in queries + Rows.allCases.map({ $0.vector(dimension, 17, &random) }) {
                for limit in [1, 10, 300] {
                    let expected = Self.expected(metric, query, points, limit: limit)
                    for isExact in [true, false] {
                        let found = FlatIndexTests.search(
                            table, NeighbourQuery(vector: query, limit: limit, isExact: isExact), parts: limit % 3 + 1)
                        #expect(found == expected, "\(dimension) dimensions, \(limit) of them")
                    }
                    // As after others have found some, or with a threshold: the bound itself is in.
                    guard let bound = expected.last?.score else { continue }
                    var query = NeighbourQuery(vector: query, limit: limit)
                    query.bound = bound
                    #expect(FlatIndexTests.search(table, query) == expected)
                    query.bound = nil
                    query.scoreThreshold = bound
                    #expect(FlatIndexTests.search(table, query) == expected)
                }
            }
        }
    }

    @Test("points unlike those of the segment before are found by the next search", arguments: Metric.allCases)
    func shifted(metric: Metric) throws {
        var random = SeededGenerator(seed: 8)
        func points(_ dimensions: Range<Int>, _ count: Int) -> [[Float]] {
            (0..<count).map { _ in random.vector(40).enumerated().map { dimensions.contains($0.offset) ? $0.element : 0 } }
        }
        let sealed = points(0..<20, 3000), later = points(20..<40, 2000)
        let table = PointTable(dimension: 40, metric: metric)
        FlatIndexTests.write(table, at: 1, sealed.enumerated().map { (.integer(UInt64($0.offset)), $0.element) })
        let (segment, moment) = try SegmentLab.seal(table, &random)
        #expect(table.adopt([segment], sealedAt: moment) && segment.field(0).graph != nil)
        FlatIndexTests.write(table, at: 2, later.enumerated().map { (.integer(UInt64(3000 + $0.offset)), $0.element) })
        for number in stride(from: 0, to: 2000, by: 53) {
            let found = SnapshotIndex(table.snapshot()).neighbours(
                of: NeighbourQuery(vector: later[number], limit: 10, isExact: false), part: 0, of: 1)
            // The product with another point may be larger than that with itself.
            let itself = KernelTests.reference(metric, later[number], later[number][...]).score
            #expect(found.first.map { !metric.isNearer(Float(itself - 1e-4), than: $0.score) || metric != .dot } == true)
            if metric != .dot { #expect(found.first?.id == .integer(UInt64(3000 + number))) }
            let memory = Self.expected(metric, later[number], later, limit: 10)
            #expect(
                memory.allSatisfy { expected in
                    found.contains { $0.score == expected.score }
                        || found.last.map { !metric.isNearer(expected.score, than: $0.score) } == true
                })
        }
    }
}
