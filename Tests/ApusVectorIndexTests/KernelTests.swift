import TestKit
import Testing

@testable import ApusVectorIndex

@Suite("distance kernels", .computing)
struct KernelTests {
    static let levels = DistanceKernel.Level.allCases.filter { $0.rawValue <= DistanceKernel.bestLevel.rawValue }
    /// Every tail of every width, and the sizes that people use.
    static let dimensions =
        Array(1...70) + [96, 100, 127, 128, 129, 255, 256, 257, 384, 511, 768, 1023, 1024, 1536, 3072, 4097, 65_535, 65_536]

    /// In double precision, number by number.
    static func reference(_ metric: Metric, _ a: [Float], _ b: ArraySlice<Float>) -> (score: Double, magnitude: Double) {
        var sum = 0.0
        var magnitude = 0.0
        var lengths = (0.0, 0.0)
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                for index in 0..<a.count {
                    let (x, y) = (Double(a[index]), Double(b[index]))
                    let term =
                        switch metric {
                        case .cosine, .dot: x * y
                        case .euclidean: (x - y) * (x - y)
                        case .manhattan: abs(x - y)
                        }
                    sum += term
                    magnitude += abs(term)
                    lengths.0 += x * x
                    lengths.1 += y * y
                }
            }
        }
        switch metric {
        case .dot, .manhattan: return (sum, magnitude)
        case .euclidean: return (sum.squareRoot(), sum.squareRoot())
        case .cosine:
            let length = (lengths.0 * lengths.1).squareRoot()
            return length == 0 ? (0, 0) : (sum / length, magnitude / length)
        }
    }

    @Test("every level agrees with double precision within n · 2⁻²³ of the sum of magnitudes", arguments: Metric.allCases, levels)
    func agreement(metric: Metric, level: DistanceKernel.Level) throws {
        let kernel = try #require(DistanceKernel(metric, level: level))
        var random = SeededGenerator(seed: 7)
        for dimension in Self.dimensions {
            // Nine rows are two groups of four and one left over; a stride beyond the dimension in two of three.
            let rows = dimension > 10_000 ? 1 : dimension > 1000 ? 5 : 9
            let stride = dimension + (dimension % 3)
            let query = random.vector(dimension)
            let matrix = random.vector(rows * stride)
            let unit = metric == .cosine ? DistanceKernel.normalised(query) : query
            var scores = [Float](repeating: .nan, count: rows)
            matrix.withUnsafeBufferPointer { matrix in
                let base = matrix.baseAddress!
                let scales = (0..<rows).map { DistanceKernel.scale(of: base + $0 * stride, dimension: dimension) }
                kernel.scores(of: unit, rows: base, stride: stride, count: rows, dimension: dimension, scales: scales, into: &scores)
            }
            for row in 0..<rows {
                let (expected, magnitude) = Self.reference(metric, query, matrix[row * stride..<row * stride + dimension])
                let bound = Double(dimension + 8) * 0x1p-23 * magnitude + 1e-30
                #expect(abs(Double(scores[row]) - expected) <= bound, "dimension \(dimension), row \(row)")
            }
        }
    }

    @Test("what leaves a float's range on the way has the score that it has", arguments: levels)
    func extremes(level: DistanceKernel.Level) throws {
        let huge = Float.greatestFiniteMagnitude, tiny = Float.leastNonzeroMagnitude, denormal = tiny * 700
        let cases: [(Metric, query: [Float], row: [Float], expected: Float)] = [
            (.dot, [huge, huge], [huge, -huge], 0), (.dot, [huge, 1e30], [-huge, 1e30], -huge), (.dot, [huge], [huge], huge),
            (.dot, [1e30, huge, huge], [1e-30, huge, -huge], 0), (.dot, [2e38, -2e38, 3], [2, 2, 1], 3), (.dot, [1e30], [1e-30], 1),
            (.euclidean, [1e-30, 0], [0, 0], 1e-30), (.euclidean, [denormal, 0], [0, 0], denormal),
            (.euclidean, [3e-25, 0], [0, 4e-25], 5e-25),
            (.euclidean, [1e20, 0], [0, 0], 1e20), (.euclidean, [huge], [-huge], huge), (.euclidean, [huge, tiny], [huge, tiny], 0),
            (.euclidean, [tiny], [0], tiny),
            (.manhattan, [denormal, 0], [0, denormal], denormal + denormal), (.manhattan, [huge], [-huge], huge),
            (.manhattan, [huge, tiny], [huge, 0], tiny),
            (.cosine, [denormal, denormal], [1, 1], 1), (.cosine, [huge, -huge], [huge, huge], 0),
            (.cosine, [huge, huge], [-tiny, -tiny], -1),
            (.cosine, [huge, 0], [3e-38, 4e-38], 0.6), (.cosine, [0, 0], [huge, tiny], 0), (.cosine, [huge, tiny], [0, 0], 0),
        ]
        for (metric, query, row, expected) in cases {
            let kernel = try #require(DistanceKernel(metric, level: level))
            for padding in [0, 7, 64] {
                let zeros = [Float](repeating: 0, count: padding)
                let dimension = query.count + padding
                let query = metric == .cosine ? DistanceKernel.normalised(zeros + query) : zeros + query
                var score = Float.nan
                (zeros + row).withUnsafeBufferPointer { row in
                    let scale = DistanceKernel.scale(of: row.baseAddress!, dimension: dimension)  // not empty
                    kernel.scores(
                        of: query, rows: row.baseAddress!, stride: dimension, count: 1, dimension: dimension, scales: [scale], into: &score)
                }
                #expect(abs(score - expected) <= abs(expected) * 1e-6, "\(metric) \(query) \(row) +\(padding): \(score)")
            }
        }
    }

    @Test("a level that the processor does not run is refused")
    func unsupported() {
        for level in DistanceKernel.Level.allCases where level.rawValue > DistanceKernel.bestLevel.rawValue {
            #expect(DistanceKernel(.dot, level: level) == nil)
        }
        #expect(DistanceKernel(.dot, level: .portable) != nil)
    }

    @Test("half floats convert exactly, all 65,536 of them")
    func halfFloats() {
        let halves = (0...UInt16.max).map { $0 }
        let floats = halves.withUnsafeBufferPointer(convertHalfFloats)
        for (half, float) in zip(halves, floats) {
            let expected = Self.value(ofHalf: half)
            #expect(float == expected && float.sign == expected.sign || float.isNaN && expected.isNaN, "\(half)")
        }
    }

    /// IEEE 754-2019, section 3.4, written out.
    static func value(ofHalf bits: UInt16) -> Float {
        let (exponent, fraction) = (Int(bits >> 10 & 31), Float(bits & 1023))
        let magnitude: Float =
            switch exponent {
            case 0: fraction * 0x1p-24
            case 31: fraction == 0 ? .infinity : .nan
            default: Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
            }
        return bits & 0x8000 == 0 ? magnitude : -magnitude
    }

    @Test("the first number that is not finite is found wherever it is", arguments: [1, 63, 64, 65, 128, 200])
    func notFinite(count: Int) {
        #expect(firstNotFinite([Float](repeating: -.greatestFiniteMagnitude, count: count)) == nil)
        for bad in [Float.nan, .infinity, -.infinity] {
            for index in 0..<count {
                var values = [Float](repeating: 1, count: count)
                values[index] = bad
                values[count - 1] = index == count - 1 ? bad : .infinity
                #expect(firstNotFinite(values) == index)
            }
        }
        #expect(firstNotFinite([]) == nil)
    }
}
