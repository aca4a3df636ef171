internal import CVectorKernels
internal import Glibc

/// Scores rows of float32 against one query, by the fastest code that the processor runs.
public struct DistanceKernel: Sendable {
    /// Implementations, weakest first.
    public enum Level: UInt32, Sendable, CaseIterable {
        case portable = 0
        case avx2 = 1
        case avx512 = 2

        var c: apus_kernel_level { apus_kernel_level(rawValue) }
    }

    /// The strongest level of this processor.
    public static let bestLevel = Level(rawValue: apus_kernel_best_level().rawValue) ?? .portable

    private let scan: apus_scan_kernel
    private let metric: Metric

    /// Fails where the processor does not run `level`.
    init?(_ metric: Metric, level: Level) {
        let operation =
            switch metric {
            case .cosine, .dot: APUS_KERNEL_DOT
            case .euclidean: APUS_KERNEL_SQUARED_L2
            case .manhattan: APUS_KERNEL_L1
            }
        guard let scan = apus_kernel(operation, level.c) else { return nil }
        self.scan = scan
        self.metric = metric
    }

    init(_ metric: Metric) {
        guard let best = DistanceKernel(metric, level: Self.bestLevel) else { preconditionFailure("the best level is one that runs") }
        self = best
    }

    /// Writes the score of each of `count` rows. Rows begin `stride` floats apart. For the cosine the query must have length 1, and
    /// `scales` holds one divided by each row's length (0 for a zero vector, NaN where a float cannot hold it).
    ///
    /// What leaves a float's range on the way is computed again in double precision, so that the extremes are ranked as they are; only a
    /// score that is itself beyond the range becomes its end.
    func scores(
        of query: UnsafePointer<Float>, rows: UnsafePointer<Float>, stride: Int, count: Int, dimension: Int,
        scales: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>
    ) {
        scan(query, rows, stride, count, dimension, out)
        switch metric {
        case .cosine:
            for row in 0..<count {
                let cosine = out[row] * scales[row]
                out[row] =
                    cosine.isFinite && !scales[row].isNaN
                    ? max(-1, min(1, cosine)) : Self.preciseCosine(query, rows + row * stride, dimension)
            }
        case .dot:
            for row in 0..<count where !out[row].isFinite {
                out[row] = Self.clamped(Self.preciseDot(query, rows + row * stride, dimension))
            }
        case .euclidean:
            for row in 0..<count {
                out[row] =
                    out[row].isFinite && out[row] >= Self.leastSquare
                    ? out[row].squareRoot() : Self.clamped(Self.preciseEuclidean(query, rows + row * stride, dimension))
            }
        case .manhattan:
            for row in 0..<count where !out[row].isFinite { out[row] = .greatestFiniteMagnitude }
        }
    }

    /// One divided by the length of a vector, as `scores` wants it.
    static func scale(of vector: UnsafePointer<Float>, dimension: Int) -> Float {
        let length = Self.length(of: vector, dimension)
        if length == 0 { return 0 }
        return (1e-15...1e15).contains(length) ? Float(1 / length) : .nan
    }

    /// The vector with length 1; a zero vector as it is.
    static func normalised(_ vector: [Float]) -> [Float] {
        let length = vector.withUnsafeBufferPointer { $0.baseAddress.map { Self.length(of: $0, vector.count) } ?? 0 }
        return length == 0 ? vector : vector.map { Float(Double($0) / length) }
    }

    /// Gives the vector length 1; a zero vector stays as it is.
    static func normalise(_ vector: UnsafeMutablePointer<Float>, dimension: Int) {
        let length = length(of: vector, dimension)
        guard length > 0 else { return }
        for index in 0..<dimension { vector[index] = Float(Double(vector[index]) / length) }
    }

    private static func length(of vector: UnsafePointer<Float>, _ dimension: Int) -> Double {
        var sum = 0.0
        for index in 0..<dimension { sum += Double(vector[index]) * Double(vector[index]) }
        return sum.squareRoot()
    }

    /// The sum of fewer than 2¹⁷ squares of floats below this has lost digits to numbers that are too small for a float.
    private static let leastSquare: Float = 0x1p-100

    private static func clamped(_ score: Double) -> Float {
        Float(max(-Double(Float.greatestFiniteMagnitude), min(Double(Float.greatestFiniteMagnitude), score)))
    }

    /// For rows so long or short that floats overflow.
    private static func preciseCosine(_ query: UnsafePointer<Float>, _ row: UnsafePointer<Float>, _ dimension: Int) -> Float {
        max(-1, min(1, Float(preciseDot(query, row, dimension) / length(of: row, dimension))))
    }

    private static func preciseDot(_ query: UnsafePointer<Float>, _ row: UnsafePointer<Float>, _ dimension: Int) -> Double {
        var sum = 0.0
        for index in 0..<dimension { sum += Double(query[index]) * Double(row[index]) }
        return sum
    }

    private static func preciseEuclidean(_ query: UnsafePointer<Float>, _ row: UnsafePointer<Float>, _ dimension: Int) -> Double {
        var sum = 0.0
        for index in 0..<dimension {
            let difference = Double(query[index]) - Double(row[index])
            sum += difference * difference
        }
        return sum.squareRoot()
    }
}

/// Half floats as floats, exactly; for the import of `.npy` files.
public func convertHalfFloats(_ halves: UnsafeBufferPointer<UInt16>) -> [Float] {
    [Float](unsafeUninitializedCapacity: halves.count) { buffer, count in
        if let source = halves.baseAddress, let target = buffer.baseAddress { apus_convert_f16(source, target, halves.count) }
        count = halves.count
    }
}

/// Index of the first number that is infinite or not a number.
public func firstNotFinite(_ values: [Float]) -> Int? {
    let index = values.withUnsafeBufferPointer { $0.baseAddress.map { apus_first_not_finite($0, values.count) } ?? 0 }
    return index == values.count ? nil : index
}
