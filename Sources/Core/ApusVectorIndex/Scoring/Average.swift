extension VectorValue {
    /// One vector for many examples: the mean of the positive ones, pushed away from the mean of the negative ones by their difference.
    /// Of multiple vectors all are kept, the negative ones negated. Nil without a positive example, or where their kinds differ.
    public static func average(positive: [VectorValue], negative: [VectorValue]) -> VectorValue? {
        switch positive.first {
        case .dense:
            guard let mean = mean(positive), let opposite = negative.isEmpty ? mean : self.mean(negative), mean.count == opposite.count
            else { return nil }
            return .dense(zip(mean, opposite).map { negative.isEmpty ? $0 : $0 + $0 - $1 })
        case .multiple:
            var vectors: [[Float]] = []
            for (values, sign) in [(positive, Float(1)), (negative, -1)] {
                for value in values {
                    guard case .multiple(let more) = value else { return nil }
                    vectors += more.map { $0.map { $0 * sign } }
                }
            }
            return .multiple(vectors)
        case .sparse:
            var sums: [UInt32: Float] = [:]
            for (values, weight) in [(positive, Float(negative.isEmpty ? 1 : 2)), (negative, -1)] {
                for value in values {
                    guard case .sparse(let vector) = value else { return nil }
                    for (index, number) in zip(vector.indices, vector.values) {
                        sums[index, default: 0] += weight * number / Float(values.count)
                    }
                }
            }
            let indices = sums.keys.sorted()
            return .sparse(SparseVector(indices: indices, values: indices.map { sums[$0] ?? 0 }))
        case nil: return nil
        }
    }

    private static func mean(_ values: [VectorValue]) -> [Float]? {
        guard case .dense(let first)? = values.first else { return nil }
        var sum = [Double](repeating: 0, count: first.count)
        for value in values {
            guard case .dense(let vector) = value, vector.count == sum.count else { return nil }
            for index in sum.indices { sum[index] += Double(vector[index]) }
        }
        return sum.map { Float($0 / Double(values.count)) }
    }
}
