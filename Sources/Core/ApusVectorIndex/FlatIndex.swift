/// The points in memory: compares the query with each of them, exactly. Those that `RoughRows` tells to be too far are left out, which
/// changes nothing of the answer.
///
/// The filter is asked only of points that are near enough to enter the answer: reading a payload costs several distances.
public struct FlatIndex: NeighbourIndex {
    /// Less work than this (in numbers compared) is not worth another thread.
    static let workPerPart = 4 << 20
    private static let firstRows = 32

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

    var isEmpty: Bool { snapshot.used == 0 }

    /// Most dense rows are told to be far by a quarter of their bytes. Of other fields it is not known how much of what all rows hold is theirs.
    public func work(of query: NeighbourQuery) -> Int {
        let numbers =
            if case .dense(let dimension, let metric) = snapshot.fields[field].kind {
                snapshot.used * dimension / (RoughRows.serves(metric) ? 2 : 1)
            } else {
                snapshot.blobBytes / 4
            }
        return query.work(comparing: snapshot.used, numbers: numbers) + query.work(filtering: snapshot.used)
    }

    public func parts(atMost limit: Int) -> Int {
        max(1, min(limit, snapshot.blocks, snapshot.used * (snapshot.fields[field].dimension ?? 256) / Self.workPerPart))
    }

    public func neighbours(of query: NeighbourQuery, part: Int, of parts: Int) -> [Neighbour] {
        guard query.limit > 0, snapshot.used > 0 else { return [] }
        let metric = snapshot.fields[field].metric
        let scorer = RowScorer(snapshot.fields[field], query.vector, kernel)
        let filter = query.filter.isEverything ? nil : query.filter
        let rough = scorer.dense.map(RoughRows.Query.init)
        var top = TopNeighbours(limit: query.limit, metric: metric)
        // What is farther than this is not wanted.
        let given = [query.bound, query.scoreThreshold].compactMap { $0 }.min { metric.isNearer($0, than: $1) }
        var farthest = given
        func offer(_ chunk: RowChunk, _ offset: Int, _ row: UInt32, _ score: Float) {
            if let farthest, metric.isNearer(farthest, than: score) { return }
            guard !score.isNaN, chunk.dense(field)?.isPresent(offset) ?? true else { return }
            if let filter, snapshot.isAbandoned || !snapshot.matches(row, filter) { return }
            top.offer(Neighbour(id: chunk.ids[offset], score: score, row: row))
            guard let worst = top.worstScore else { return }
            farthest = given.map { metric.isNearer($0, than: worst) ? $0 : worst } ?? worst
        }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: PointSnapshot.rowsPerBlock) { numbers in
            let numbers = numbers.baseAddress!  // not empty
            snapshot.forEachRun(inBlocks: snapshot.blocks * part / parts..<snapshot.blocks * (part + 1) / parts) { chunk, first, offsets in
                let rows = chunk.dense(field)?.rough
                func row(_ offset: Int) -> UInt32 { first + UInt32(offset - offsets.lowerBound) }
                var rest = offsets
                while !rest.isEmpty {
                    guard let bound = farthest, let rough, let rows else {
                        // A few are enough to know how far is too far.
                        let head = rows == nil ? rest : rest.prefix(Self.firstRows)
                        score(chunk, head, by: scorer, into: numbers)
                        for (index, offset) in head.enumerated() { offer(chunk, offset, row(offset), numbers[index]) }
                        rest.removeFirst(head.count)
                        continue
                    }
                    rows.distances(rest, from: rough, into: numbers)
                    var reach = RoughRows.Query.reach(of: bound, metric)
                    for (index, offset) in rest.enumerated() where !(numbers[index] > reach) {
                        var found: Float = .nan
                        score(chunk, offset..<offset + 1, by: scorer, into: &found)
                        offer(chunk, offset, row(offset), found)
                        if let farthest { reach = RoughRows.Query.reach(of: farthest, metric) }
                    }
                    break
                }
            }
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
