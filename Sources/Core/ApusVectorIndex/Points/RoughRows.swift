internal import CVectorGraph

/// A chunk's rows in a byte for each number, from which it follows how near each may be at most: a quarter of the bytes to read.
///
/// Each row has a size of its own and the length of what its code misses, so this holds for whatever rows there are, whichever came before.
final class RoughRows: @unchecked Sendable {  // a row is written before it is born
    private let dimension: Int
    private let metric: Metric
    private let slab: Slab
    private let rows: UnsafeMutablePointer<apus_rough>
    private let stride: Int

    /// Nil for the Manhattan distance, of which the lengths of differences tell little.
    init?(_ metric: Metric, dimension: Int, capacity: Int) {
        guard Self.serves(metric) else { return nil }
        self.metric = metric
        self.dimension = dimension
        stride = apus_rough_stride(UInt32(dimension))
        slab = Slab(capacity * stride)
        rows = .allocate(capacity: capacity)
        rows.initialize(repeating: apus_rough(), count: capacity)
    }

    deinit { rows.deallocate() }

    static func serves(_ metric: Metric) -> Bool { metric != .manhattan }
    static func bytesPerRow(_ metric: Metric, dimension: Int) -> Int {
        serves(metric) ? apus_rough_stride(UInt32(dimension)) + MemoryLayout<apus_rough>.stride : 0
    }

    private func code(_ row: Int) -> UnsafeMutablePointer<Int8> {
        (slab.bytes.baseAddress! + row * stride).assumingMemoryBound(to: Int8.self)  // a slab is never without memory
    }

    /// For the cosine `scale` gives the vector length 1.
    func set(_ row: Int, _ vector: UnsafePointer<Float>, scale: Float) {
        rows[row] = apus_rough_encode(vector, scale, UInt32(dimension), code(row))
    }

    /// Writes a number for each row; those for which it is beyond `Query.reach` of a score are farther than that score tells.
    func distances(_ offsets: Range<Int>, from query: Query, into out: UnsafeMutablePointer<Float>) {
        apus_rough_distances(
            metric.c, query.code, query.rough, code(offsets.lowerBound), rows + offsets.lowerBound, UInt32(dimension), offsets.count,
            InstructionSet.best.c, out)
    }

    /// A query as the rows are; for the cosine of length 1.
    final class Query {
        private let slab: Slab
        fileprivate let rough: apus_rough
        fileprivate var code: UnsafeMutablePointer<Int8> { slab.bytes.baseAddress!.assumingMemoryBound(to: Int8.self) }  // as above

        init(_ vector: [Float]) {
            slab = Slab(apus_rough_stride(UInt32(vector.count)))
            rough = apus_rough_encode(
                vector, 1, UInt32(vector.count), slab.bytes.baseAddress!.assumingMemoryBound(to: Int8.self))
        }

        /// What `distances` gives at most for rows whose score is as good.
        static func reach(of score: Float, _ metric: Metric) -> Float {
            metric.isSimilarity ? -score : (score * score).nextUp * (1 + 4 * .ulpOfOne)
        }
    }
}
