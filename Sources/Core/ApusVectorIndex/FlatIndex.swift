/// The points in memory: compares the query with each of them, exactly, or by their codes first where they are coded.
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
        self.init(snapshot, field: field, kernel: DistanceKernel(snapshot.fields[field].metric))
    }

    init(_ snapshot: PointSnapshot, field: Int = 0, kernel: DistanceKernel) {
        self.snapshot = snapshot
        self.field = field
        self.kernel = kernel
    }

    /// A guess for fields whose vectors have any size.
    private var work: Int { snapshot.used * (snapshot.fields[field].dimension ?? 256) }

    var isEmpty: Bool { snapshot.used == 0 }

    public func work(of query: NeighbourQuery) -> Int { query.isExact || coding == nil ? work : work / 8 }

    /// How the rows are coded; nil where they are not.
    private var coding: Coding? { snapshot.chunks.first?.dense(field)?.codes?.coding }

    public func parts(atMost limit: Int) -> Int { max(1, min(limit, snapshot.blocks, work / Self.workPerPart)) }

    public func neighbours(of query: NeighbourQuery, part: Int, of parts: Int) -> [Neighbour] {
        guard query.limit > 0, snapshot.used > 0 else { return [] }
        if !query.isExact, let found = codedNeighbours(of: query, part: part, of: parts) { return found }
        let metric = snapshot.fields[field].metric
        let scorer = RowScorer(snapshot.fields[field], query.vector, kernel)
        let filter = query.filter.isEverything ? nil : query.filter
        var top = TopNeighbours(limit: query.limit, metric: metric)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: PointSnapshot.rowsPerBlock) { scores in
            snapshot.forEachRun(inBlocks: snapshot.blocks * part / parts..<snapshot.blocks * (part + 1) / parts) { chunk, first, offsets in
                score(chunk, offsets, by: scorer, into: scores.baseAddress!)  // not empty
                var worst = top.worstScore
                for index in 0..<offsets.count {
                    let score = scores[index]
                    if let worst, metric.isNearer(worst, than: score) { continue }
                    if let threshold = query.scoreThreshold, !metric.passes(score, threshold: threshold) { continue }
                    let offset = offsets.lowerBound + index
                    guard !score.isNaN, chunk.dense(field)?.isPresent(offset) ?? true else { continue }
                    let id = chunk.ids[offset]
                    if let filter, !snapshot.matches(first + UInt32(index), filter) { continue }
                    top.offer(Neighbour(id: id, score: score, row: first + UInt32(index)))
                    worst = top.worstScore
                }
            }
        }
        return top.sorted()
    }

    /// The same by codes: those that look nearest are compared exactly. Nil where the rows are not coded.
    private func codedNeighbours(of query: NeighbourQuery, part: Int, of parts: Int) -> [Neighbour]? {
        guard let coding, query.limit <= 256 else { return nil }
        let metric = snapshot.fields[field].metric
        let scorer = RowScorer(snapshot.fields[field], query.vector, kernel)
        guard let vector = scorer.dense else { return nil }
        let prepared = PreparedQuery(vector, coding)
        let filter = query.filter.isEverything ? nil : query.filter
        var nearest = NearestRows(limit: max(VectorGraph.Effort.rescoredRows, query.limit * 2))
        let reach = query.bound.map { coding.distance(ofScore: $0, query: vector) + prepared.noise } ?? .infinity
        withUnsafeTemporaryAllocation(of: Float.self, capacity: PointSnapshot.rowsPerBlock) { distances in
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: PointSnapshot.rowsPerBlock) { rows in
                snapshot.forEachRun(inBlocks: snapshot.blocks * part / parts..<snapshot.blocks * (part + 1) / parts) {
                    chunk, first, offsets in
                    guard let column = chunk.dense(field), let codes = column.codes else { return }
                    for index in 0..<offsets.count { rows[index] = UInt32(offsets.lowerBound + index) }
                    prepared.distances(codes, rows.baseAddress!, count: offsets.count, into: distances.baseAddress!)  // not empty
                    var bound = min(reach, nearest.bound)
                    for index in 0..<offsets.count where distances[index] < bound {
                        let offset = offsets.lowerBound + index
                        guard column.isPresent(offset) else { continue }
                        if let filter, !snapshot.matches(first + UInt32(index), filter) { continue }
                        nearest.offer(first + UInt32(index), distances[index])
                        bound = min(reach, nearest.bound)
                    }
                }
            }
        }
        var top = TopNeighbours(limit: query.limit, metric: metric)
        for (_, row) in nearest.rows {
            let (chunk, offset) = snapshot.memory(row)
            var score: Float = .nan
            self.score(chunk, offset..<offset + 1, by: scorer, into: &score)
            if let threshold = query.scoreThreshold, !metric.passes(score, threshold: threshold) { continue }
            top.offer(Neighbour(id: chunk.ids[offset], score: score, row: row))
        }
        return top.sorted()
    }

    /// Not a number where a row has no vector in the field; a dense one that has none is scored as zero.
    private func score(_ chunk: RowChunk, _ offsets: Range<Int>, by scorer: RowScorer, into out: UnsafeMutablePointer<Float>) {
        if let column = chunk.dense(field) {
            scorer.scores(
                column.vectors + offsets.lowerBound * column.stride, stride: column.stride, scales: column.scales + offsets.lowerBound,
                count: offsets.count, into: out)
        } else {
            for (index, offset) in offsets.enumerated() { out[index] = chunk.value(offset, field).map(scorer.score) ?? .nan }
        }
    }
}
