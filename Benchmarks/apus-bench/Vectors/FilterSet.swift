import ApusTypes
import ApusVectorIndex
import Foundation
import TestKit

/// Filters over a data set that pass a known share of the points: random ones, the nearest to a query, and the nearest to a query that is
/// far from the one asked.
///
/// Each point's payload has numbers to filter by: `r`, a place in a random order, and `a0` to `a7`, its place in the order of nearness to
/// one of 8 queries, the anchors.
struct FilterSet {
    enum Kind: String, CaseIterable { case random, near, far }

    struct Cell {
        var kind: Kind
        var share: Double
        /// Each filter of the cell with the queries that are asked under it.
        var filters: [(number: Int, filter: Filter, queries: [Int])]

        var name: String { "\(kind.rawValue) \(share * 100) %".replacing(".0 %", with: " %") }
        var key: String { "\(kind.rawValue)_\(share)" }
    }

    static let shares = [0.5, 0.1, 0.01, 0.001]
    private static let anchors = 8
    private static let queriesEach = 10

    let cells: [Cell]
    /// A byte for each point, 1 where it passes, for each filter by its number.
    let masks: [[UInt8]]
    private let places: [(key: String, places: [Int])]

    init(_ data: BenchData) {
        var random = SeededGenerator(seed: 7)
        let count = data.points.count
        func places(_ order: [Int]) -> [Int] {
            var places = [Int](repeating: 0, count: order.count)
            for (place, row) in order.enumerated() { places[row] = place }
            return places
        }
        func byNearness(_ vectors: Vectors, _ query: [Float]) -> [Int] {
            let scores = vectors.indices.map { vectors.dot($0, query) }
            return vectors.indices.sorted { scores[$0] > scores[$1] }
        }
        let anchors = Array(data.queries.indices.shuffled(using: &random).prefix(Self.anchors))
        let shuffled = data.queries.indices.shuffled(using: &random)
        let neighbours = anchors.map { byNearness(data.queries, data.queries[$0]) }
        self.places =
            [("r", places(Array(data.points.indices.shuffled(using: &random))))]
            + anchors.enumerated().map { ("a\($0)", places(byNearness(data.points, data.queries[$1]))) }

        var cells: [Cell] = [], masks: [[UInt8]] = []
        for kind in Kind.allCases {
            for share in Self.shares {
                let passing = max(VectorsBench.limit, Int(Double(count) * share))
                var cell = Cell(kind: kind, share: share, filters: [])
                for anchor in anchors.indices {
                    let field = kind == .random ? 0 : anchor + 1
                    let first = kind == .random ? (count - passing) * anchor / (anchors.count - 1) : 0
                    let queries =
                        switch kind {
                        case .random: Array(shuffled.dropFirst(anchor * Self.queriesEach).prefix(Self.queriesEach))
                        case .near: Array(neighbours[anchor].prefix(Self.queriesEach))
                        case .far: Array(neighbours[anchor].suffix(Self.queriesEach))
                        }
                    let range = NumberRange(atLeast: Double(first), lessThan: Double(first + passing))
                    cell.filters.append((masks.count, .range(PayloadPath(self.places[field].key), range), queries))
                    masks.append(self.places[field].places.map { $0 >= first && $0 < first + passing ? 1 : 0 })
                }
                cells.append(cell)
            }
        }
        self.cells = cells
        self.masks = masks
    }

    /// `{"r":17,"a0":4711,…}`
    func payload(_ row: Int) -> [UInt8] {
        Array(("{" + places.map { "\"\($0.key)\":\($0.places[row])" }.joined(separator: ",") + "}").utf8)
    }
}
