import ApusTypes
import Foundation
import TestKit

/// Points and queries of length 1, and which points are each query's true neighbours: those that the run was told of, else made-up ones.
struct BenchData: Sendable {
    let files: Vectors.Files
    let points: Vectors
    let queries: Vectors
    let set: QuerySet

    init(in directory: TemporaryDirectory) throws {
        files = try Vectors.Files(of: BenchOptions.given?.data, orIn: directory.path)
        points = try Vectors(float16: files.points).normalised()
        let queries = try Vectors(float16: files.queries).normalised()
        self.queries = queries
        let truth: [[Int]]
        if let known = files.neighbours {
            truth = try Vectors.rows(known)
        } else {
            progress("comparing all queries with all points")
            truth = queries.indices.map { [points] in points.nearest(to: queries[$0], VectorsBench.limit) }
        }
        set = QuerySet(queries: queries, truth: truth.map { Array($0.prefix(VectorsBench.limit)) })
        progress("\(points.count) points of \(points.dimension) dimensions, \(queries.count) queries")
    }
}

/// Queries with their true neighbours, in two random halves.
struct QuerySet: Sendable {
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

    /// The least effort that reaches a recall on one half of the queries; nil if none does.
    func leastEffort(of system: any BenchedIndex, for target: Double, on half: [Int]) throws -> Double? {
        var (low, high) = (system.efforts.lowerBound, system.efforts.upperBound)
        func reaches(_ effort: Double) throws -> Bool {
            recall(of: try system.search(half, in: self, effort: effort, times: 1).rows, half) >= target
        }
        guard try reaches(high) else { return nil }
        for _ in 0..<9 {
            let middle = (low * high).squareRoot()
            if try reaches(middle) { high = middle } else { low = middle }
        }
        return high
    }
}

protocol BenchedIndex {
    var name: String { get }
    /// Of CPU time.
    var buildSeconds: Double { get }
    var bytes: Int { get }
    /// What may be tried; more finds more.
    var efforts: ClosedRange<Double> { get }
    /// Some of `efforts`, rising, for a curve.
    var curve: [Double] { get }
    func describe(_ effort: Double) -> String
    /// CPU seconds of one thread, on average where it is done more than once, and the rows found for each query.
    func search(_ numbers: [Int], in set: QuerySet, effort: Double, times: Int) throws -> (seconds: Double, rows: [[Int]])
}

extension BenchedIndex {
    /// As it goes on under load: once to warm up what the others' turns have driven out of the caches, then for long enough to be measured.
    func searchSteadily(_ numbers: [Int], in set: QuerySet, effort: Double) throws -> (seconds: Double, rows: [[Int]]) {
        let first = try search(numbers, in: set, effort: effort, times: 1).seconds
        return try search(numbers, in: set, effort: effort, times: max(1, Int((0.4 / max(first, 1e-6)).rounded(.up))))
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

    /// Some rows.
    func rows(_ numbers: [Int]) -> Vectors {
        Vectors(count: numbers.count, dimension: dimension, values: numbers.flatMap { self[$0] })
    }
}
