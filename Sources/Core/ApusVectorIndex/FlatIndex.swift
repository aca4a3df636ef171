/// The exact answer: compares the query with every point of a snapshot.
///
/// The filter is asked only of points that are near enough to enter the answer: reading a payload costs several distances.
public struct FlatIndex: NeighbourIndex {
    /// Less work than this (in numbers compared) is not worth another thread.
    static let workPerPart = 4 << 20

    public let snapshot: PointSnapshot
    private let field: Int
    private let kernel: DistanceKernel

    /// Over the vectors of the field of that number.
    public init(_ snapshot: PointSnapshot, field: Int = 0) {
        self.init(snapshot, field: field, kernel: DistanceKernel(snapshot.table.fields[field].metric))
    }

    init(_ snapshot: PointSnapshot, field: Int = 0, kernel: DistanceKernel) {
        self.snapshot = snapshot
        self.field = field
        self.kernel = kernel
    }

    /// A guess for fields whose vectors have any size.
    private var work: Int { snapshot.used * (snapshot.table.fields[field].dimension ?? 256) }

    public func work(of query: NeighbourQuery) -> Int { work }

    public func parts(atMost limit: Int) -> Int { max(1, min(limit, snapshot.blocks, work / Self.workPerPart)) }

    public func neighbours(of query: NeighbourQuery, part: Int, of parts: Int) -> [Neighbour] {
        guard query.limit > 0 else { return [] }
        let metric = snapshot.table.fields[field].metric
        let scorer = RowScorer(snapshot.table.fields[field], field, query.vector, kernel)
        let filter = query.filter.isEverything ? nil : query.filter
        var top = TopNeighbours(limit: query.limit, metric: metric)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: PointSnapshot.rowsPerBlock) { scores in
            snapshot.forEachRun(inBlocks: snapshot.blocks * part / parts..<snapshot.blocks * (part + 1) / parts) { chunk, first, offsets in
                scorer.score(chunk, offsets, into: scores.baseAddress!)  // not empty
                var worst = top.worstScore
                for index in 0..<offsets.count {
                    let score = scores[index]
                    if let worst, metric.isNearer(worst, than: score) { continue }
                    if let threshold = query.scoreThreshold, !metric.passes(score, threshold: threshold) { continue }
                    let offset = offsets.lowerBound + index
                    guard scorer.isScored(chunk, offset, score) else { continue }
                    let id = chunk.ids[offset]
                    if let filter, !snapshot.matches(first + UInt32(index), filter) { continue }
                    top.offer(Neighbour(id: id, score: score, row: first + UInt32(index)))
                    worst = top.worstScore
                }
            }
        }
        return top.sorted()
    }
}
