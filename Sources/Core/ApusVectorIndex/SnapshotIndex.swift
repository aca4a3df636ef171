/// The nearest points of a snapshot in one field: those of its segments, and those in memory.
public struct SnapshotIndex: NeighbourIndex {
    /// The largest first: what it finds tells how near the others' points must be.
    private let segments: [SegmentIndex]
    private let memory: FlatIndex
    private let metric: Metric

    public init(_ snapshot: PointSnapshot, field: Int = 0) {
        metric = snapshot.fields[field].metric
        let kernel = DistanceKernel(metric)
        memory = FlatIndex(snapshot, field: field, kernel: kernel)
        segments = snapshot.sealedParts.sorted { $0.rows.count > $1.rows.count }.map {
            SegmentIndex($0.rows, first: $0.first, of: snapshot, field: field, kernel: kernel)
        }
    }

    public func work(of query: NeighbourQuery) -> Int { segments.reduce(memory.work(of: query)) { $0 + $1.work(of: query) } }

    /// A segment is not split; the points in memory are.
    public func parts(atMost limit: Int) -> Int { max(min(limit, segments.count / 8), memory.parts(atMost: limit)) }

    public func neighbours(of query: NeighbourQuery, part: Int, of parts: Int) -> [Neighbour] {
        if segments.count == 1, memory.isEmpty, parts == 1 { return segments[0].neighbours(of: query) }
        var top = TopNeighbours(limit: query.limit, metric: metric)
        var query = query
        // The last parts get the fewer segments: memory is split evenly.
        for (number, segment) in segments.enumerated() where number % parts == part {
            segment.neighbours(of: query).forEach { top.offer($0) }
            query.bound = top.worstScore
        }
        memory.neighbours(of: query, part: part, of: parts).forEach { top.offer($0) }
        return top.sorted()
    }
}
