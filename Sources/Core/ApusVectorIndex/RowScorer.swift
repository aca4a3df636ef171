/// Scores vectors of one field against one query.
struct RowScorer {
    private let query: Query
    private let kernel: DistanceKernel
    private let metric: Metric

    private enum Query {
        case dense([Float])
        case multiple([[Float]])
        case sparse(SparseVector)
    }

    /// The query is one of the field: the caller checks that.
    init(_ description: VectorField, _ value: VectorValue, _ kernel: DistanceKernel) {
        self.kernel = kernel
        metric = description.metric
        func prepared(_ vector: [Float]) -> [Float] {
            precondition(vector.count == description.dimension, "the caller checks the dimension")
            return description.metric == .cosine ? DistanceKernel.normalised(vector) : vector
        }
        switch (description.kind, value) {
        case (.dense, .dense(let vector)): query = .dense(prepared(vector))
        case (.multiple, .multiple(let vectors)): query = .multiple(vectors.map(prepared))
        case (.multiple, .dense(let vector)): query = .multiple([prepared(vector)])
        case (.sparse, .sparse(let vector)): query = .sparse(vector)
        default: preconditionFailure("the caller checks the kind of the query")
        }
    }

    /// The dense query, as the kernels want it: for the cosine with length 1.
    var dense: [Float]? {
        if case .dense(let vector) = query { vector } else { nil }
    }

    var sparse: SparseVector? {
        if case .sparse(let vector) = query { vector } else { nil }
    }

    /// Scores of dense rows that lie `stride` floats apart. `scales` is there for the cosine.
    func scores(
        _ rows: UnsafePointer<Float>, stride: Int, scales: UnsafePointer<Float>?, count: Int, into out: UnsafeMutablePointer<Float>
    ) {
        guard case .dense(let vector) = query else { return }
        vector.withUnsafeBufferPointer { vector in
            kernel.scores(
                of: vector.baseAddress!, rows: rows, stride: stride, count: count, dimension: vector.count, scales: scales ?? rows,
                into: out)  // no vector is empty; without the cosine nobody reads the scales
        }
    }

    /// Not a number for a sparse vector that has no number at a place of the query.
    func score(_ bytes: UnsafeRawBufferPointer) -> Float {
        switch query {
        case .dense: .nan
        // Lengths are summed by their squares, as Qdrant does.
        case .multiple(let vectors) where metric == .euclidean:
            vectors.reduce(Float(0)) { sum, vector in
                let length = nearest(vector, bytes)
                return sum + length * length
            }.squareRoot()
        case .multiple(let vectors): vectors.reduce(0) { $0 + nearest($1, bytes) }
        case .sparse(let vector): vector.product(SparseView(bytes)) ?? .nan
        }
    }

    /// The best score of the vectors in `bytes`.
    private func nearest(_ query: [Float], _ bytes: UnsafeRawBufferPointer) -> Float {
        let rows = bytes.assumingMemoryBound(to: Float.self)
        let count = rows.count / query.count
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * count) { memory in
            guard let out = memory.baseAddress, let rows = rows.baseAddress else { return .nan }
            let scales = out + count
            for row in 0..<count {
                scales[row] = metric == .cosine ? DistanceKernel.scale(of: rows + row * query.count, dimension: query.count) : 0
            }
            query.withUnsafeBufferPointer {
                kernel.scores(
                    of: $0.baseAddress!, rows: rows, stride: query.count, count: count, dimension: query.count, scales: scales, into: out)
            }
            let scores = UnsafeBufferPointer(start: out, count: count)
            return (metric.isSimilarity ? scores.max() : scores.min()) ?? .nan
        }
    }
}
