/// How alike vectors of a field are to one example: larger is more alike, whatever the metric is. A Euclidean distance counts by its
/// negative square, a Manhattan distance by its negative; sparse vectors without a place in common have 0.
struct Likeness: Sendable {
    private enum Example {
        case dense([Float])
        case multiple([[Float]])
        case sparse(SparseVector)
    }

    private let example: Example
    private let metric: Metric
    private let kernel: DistanceKernel

    init(_ field: VectorField, to value: VectorValue) {
        metric = field.metric
        kernel = DistanceKernel(field.metric)
        let metric = metric
        func prepared(_ vector: [Float]) -> [Float] { metric == .cosine ? DistanceKernel.normalised(vector) : vector }
        switch (field.kind, value) {
        case (.multiple, .dense(let vector)): example = .multiple([prepared(vector)])
        case (_, .dense(let vector)): example = .dense(prepared(vector))
        case (_, .multiple(let vectors)): example = .multiple(vectors.map(prepared))
        case (_, .sparse(let vector)): example = .sparse(vector)
        }
    }

    func of(_ value: VectorValue) -> Float { likeness(value) ?? 0 }

    /// As users see it: a similarity, or a distance. Nil for sparse vectors without a place in common.
    func distance(_ value: VectorValue) -> Float? {
        guard let likeness = likeness(value) else { return nil }
        switch metric {
        case .cosine, .dot: return likeness
        case .euclidean: return abs(likeness).squareRoot()
        case .manhattan: return abs(likeness)
        }
    }

    private func likeness(_ value: VectorValue) -> Float? {
        switch (example, value) {
        case (.dense(let example), .dense(let vector)): return likeness(example, vector)
        case (.multiple(let examples), .multiple(let vectors)):
            return examples.reduce(Float(0)) { sum, example in sum + (vectors.map { likeness(example, $0) }.max() ?? 0) }
        case (.sparse(let example), .sparse(let vector)): return example.product(vector)
        default: preconditionFailure("the caller checks the kind of a vector")
        }
    }

    private func likeness(_ example: [Float], _ vector: [Float]) -> Float {
        precondition(example.count == vector.count, "the caller checks the dimension")
        var score: Float = 0
        example.withUnsafeBufferPointer { example in
            vector.withUnsafeBufferPointer { vector in
                guard let query = example.baseAddress, let row = vector.baseAddress else { return }
                var scale = metric == .cosine ? DistanceKernel.scale(of: row, dimension: vector.count) : 0
                kernel.scores(
                    of: query, rows: row, stride: vector.count, count: 1, dimension: vector.count, scales: &scale, into: &score)
            }
        }
        switch metric {
        case .cosine, .dot: return score
        case .euclidean: return -score * score
        case .manhattan: return -score
        }
    }
}
