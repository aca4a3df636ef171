/// The exact answer: compares the query with every point of a snapshot.
///
/// The filter is asked only of points that are near enough to enter the answer: reading a payload costs several distances.
public struct FlatIndex: NeighbourIndex {
    /// Less work than this (in numbers compared) is not worth another thread.
    static let workPerPart = 4 << 20

    public let snapshot: PointSnapshot
    private let kernel: DistanceKernel

    public init(_ snapshot: PointSnapshot) { self.init(snapshot, kernel: DistanceKernel(snapshot.table.metric)) }

    init(_ snapshot: PointSnapshot, kernel: DistanceKernel) {
        self.snapshot = snapshot
        self.kernel = kernel
    }

    public func work(of query: NeighbourQuery) -> Int { snapshot.used * snapshot.table.dimension }

    public func parts(atMost limit: Int) -> Int {
        max(1, min(limit, snapshot.blocks, snapshot.used * snapshot.table.dimension / Self.workPerPart))
    }

    public func neighbours(of query: NeighbourQuery, part: Int, of parts: Int) -> [Neighbour] {
        let metric = snapshot.table.metric
        let dimension = snapshot.table.dimension
        precondition(query.vector.count == dimension, "the caller checks the dimension")
        guard query.limit > 0 else { return [] }
        let vector = metric == .cosine ? DistanceKernel.normalised(query.vector) : query.vector
        let filter = query.filter.isEverything ? nil : query.filter
        var top = TopNeighbours(limit: query.limit, metric: metric)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: PointSnapshot.rowsPerBlock) { scores in
            vector.withUnsafeBufferPointer { vector in
                guard let vector = vector.baseAddress, let out = scores.baseAddress else { return }  // neither is empty
                snapshot.forEachRun(inBlocks: snapshot.blocks * part / parts..<snapshot.blocks * (part + 1) / parts) {
                    chunk, first, offsets in
                    kernel.scores(
                        of: vector, rows: chunk.vectors + offsets.lowerBound * chunk.stride, stride: chunk.stride, count: offsets.count,
                        dimension: dimension, scales: chunk.scales + offsets.lowerBound, into: out)
                    var worst = top.worstScore
                    for index in 0..<offsets.count {
                        let score = scores[index]
                        if let worst, metric.isNearer(worst, than: score) { continue }
                        if let threshold = query.scoreThreshold, !metric.passes(score, threshold: threshold) { continue }
                        let id = chunk.ids[offsets.lowerBound + index]
                        if let filter, !filter.matches(id: id, payload: chunk.payload(offsets.lowerBound + index)) { continue }
                        top.offer(Neighbour(id: id, score: score, row: first + UInt32(index)))
                        worst = top.worstScore
                    }
                }
            }
        }
        return top.sorted()
    }
}
