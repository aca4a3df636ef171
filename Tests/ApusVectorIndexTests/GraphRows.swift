import Glibc
import TestKit

@testable import ApusVectorIndex

/// Rows to build graphs over.
final class GraphRows: Sendable {
    let values: [Float]
    let count: Int
    let dimension: Int

    init(_ values: [Float], dimension: Int, normalised: Bool = false) {
        self.dimension = dimension
        count = values.count / dimension
        self.values =
            normalised
            ? (0..<count).flatMap { DistanceKernel.normalised(Array(values[$0 * dimension..<($0 + 1) * dimension])) } : values
    }

    /// Around 64 centres, as real vectors lie in clusters. In no order.
    static func clusters(_ count: Int, dimension: Int, seed: UInt64, spread: Float = 0.8, normalised: Bool = false) -> GraphRows {
        var random = SeededGenerator(seed: seed)
        let centres = (0..<64).map { _ in random.vector(dimension) }
        let sizes = (0..<dimension).map { Float($0 % 7 + 1) / 4 }
        var values: [Float] = []
        for _ in 0..<count {
            let centre = centres[Int.random(in: 0..<64, using: &random)]
            let noise = random.vector(dimension, in: -spread...spread)
            for d in 0..<dimension { values.append((centre[d] + noise[d]) * sizes[d]) }
        }
        return GraphRows(values, dimension: dimension, normalised: normalised)
    }

    /// The sentence embeddings of Examples/wordnet, in random order.
    static let words: GraphRows = {
        let path = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/Examples/wordnet/points.f16.npy"
        guard let file = fopen(path, "rb") else { fatalError("no \(path)") }
        defer { fclose(file) }
        let dimension = 384, count = 5000
        var halves = [UInt16](repeating: 0, count: dimension * count)
        fseek(file, -halves.count * 2, SEEK_END)
        guard fread(&halves, 2, halves.count, file) == halves.count else { fatalError("\(path) is too short") }
        let values = halves.withUnsafeBufferPointer { convertHalfFloats($0) }
        var random = SeededGenerator(seed: 1)
        let order = (0..<count).shuffled(using: &random)
        return GraphRows(order.flatMap { values[$0 * dimension..<($0 + 1) * dimension] }, dimension: dimension, normalised: true)
    }()

    subscript(row: Int) -> [Float] { Array(values[row * dimension..<(row + 1) * dimension]) }

    func with<Value>(first: Int? = nil, _ body: (FloatRows) -> Value) -> Value {
        values.withUnsafeBufferPointer {
            body(FloatRows($0.baseAddress!, stride: dimension, count: first ?? count, dimension: dimension))
        }
    }

    /// The distance that the C code defines, in double precision.
    func distance(_ metric: Metric, _ query: [Float], _ row: Int) -> Double {
        var product = 0.0, squares = 0.0, sum = 0.0
        for d in 0..<dimension {
            let (x, y) = (Double(query[d]), Double(values[row * dimension + d]))
            product += x * y
            squares += (x - y) * (x - y)
            sum += abs(x - y)
        }
        switch metric {
        case .cosine: return 1 - product
        case .dot: return -product
        case .euclidean: return squares
        case .manhattan: return sum
        }
    }

    /// By codes of float32, whose distances `CodeTests` compares with those in double precision.
    func nearest(_ query: [Float], _ limit: Int, by floats: CodeTable) -> Set<UInt32> {
        let distances = floats.distances(from: query, to: (0..<UInt32(count)).map { $0 })
        let farthest = distances.sorted()[limit - 1]
        return Set((0..<UInt32(count)).filter { distances[Int($0)] <= farthest })
    }

    func graph(_ metric: Metric, _ parameters: GraphParameters = GraphParameters(), level: InstructionSet = .best) -> VectorGraph {
        with { rows in
            let codes = CodeTable(Coding(.preferred(metric, dimension: rows.dimension), metric, for: rows), of: rows)
            let builder = GraphBuilder(rows, codes: codes, parameters: parameters, threads: 1, level: level)
            while builder.insert(thread: 0) {}
            return builder.finish()
        }
    }
}
