internal import CVectorKernels

/// The points of a shard at one moment. Holds back the reuse of rows for as long as it lives, so it is not kept for long.
public final class PointSnapshot: Sendable {
    /// The operation of the log after which this is the state.
    public var moment: Int64 { Int64(exactMoment) }
    /// Points in it.
    public let count: Int

    let table: PointTable
    let chunks: [RowChunk]
    /// Rows to look at: 0..<used; some are dead, or not born yet.
    let used: Int
    private let exactMoment: UInt64

    init(table: PointTable, chunks: [RowChunk], used: Int, moment: UInt64, points: Int) {
        self.table = table
        self.chunks = chunks
        self.used = used
        exactMoment = moment
        count = points
    }

    deinit { table.endReading(exactMoment) }

    public func id(_ row: UInt32) -> PointID { chunk(row).ids[offset(row)] }

    /// Nil if the point has no vector in the field of that number.
    public func value(_ row: UInt32, field: Int) -> VectorValue? {
        chunk(row).value(offset(row), field).map { table.fields[field].value($0) }
    }

    public func vectors(_ row: UInt32) -> PointVectors {
        PointVectors(table.fields.indices.compactMap { field in value(row, field: field).map { .init(table.fields[field].name, $0) } })
    }

    /// Nil where the point has none.
    public func payload(_ row: UInt32) -> [UInt8]? {
        let payload = chunk(row).payload(offset(row))
        return payload.isEmpty ? nil : Array(payload)
    }

    /// Number of the operation that wrote this version of the point.
    public func version(_ row: UInt32) -> Int64 { Int64(apus_load_moment(chunk(row).born + offset(row))) }

    public func matches(_ row: UInt32, _ filter: Filter) -> Bool {
        let chunk = chunk(row)
        let offset = offset(row)
        return filter.matches(id: chunk.ids[offset], payload: chunk.payload(offset)) { name in
            table.fields.firstIndex { $0.name == name }.map { chunk.value(offset, $0) != nil } ?? false
        }
    }

    /// Blocks of `rowsPerBlock` rows, the units of a scan.
    var blocks: Int { (used + Self.rowsPerBlock - 1) / Self.rowsPerBlock }
    static let rowsPerBlock = 256

    /// Calls `body` for runs of visible rows that lie together in memory, in ascending order, within the given blocks.
    func forEachRun(
        inBlocks range: Range<Int>, _ body: (_ chunk: RowChunk, _ firstRow: UInt32, _ offsets: Range<Int>) -> Void
    ) {
        let perChunk = table.rowsPerChunk
        var row = range.lowerBound * Self.rowsPerBlock
        let end = min(range.upperBound * Self.rowsPerBlock, used)
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: Self.rowsPerBlock) { visible in
            while row < end {
                let chunk = chunks[row / perChunk]
                let offset = row % perChunk
                let count = min(Self.rowsPerBlock, end - row, perChunk - offset)
                let found = apus_visible_rows(chunk.born + offset, chunk.died + offset, count, exactMoment, visible.baseAddress)
                var start = 0
                while start < found {
                    var next = start + 1
                    while next < found, visible[next] == visible[next - 1] + 1 { next += 1 }
                    let first = offset + Int(visible[start])
                    body(chunk, UInt32(row + Int(visible[start])), first..<first + (next - start))
                    start = next
                }
                row += count
            }
        }
    }

    /// Every point's row.
    public func forEachRow(_ body: (UInt32) -> Void) {
        forEachRun(inBlocks: 0..<blocks) { _, first, offsets in
            for row in first..<first + UInt32(offsets.count) { body(row) }
        }
    }

    private func chunk(_ row: UInt32) -> RowChunk { chunks[Int(row) / table.rowsPerChunk] }
    private func offset(_ row: UInt32) -> Int { Int(row) % table.rowsPerChunk }
}

extension PointSnapshot {
    /// The `limit` points with the smallest ids of those from `start` on (that id included) that match, in no order.
    public func firstRows(_ limit: Int, from start: PointID?, filter: Filter) -> [(id: PointID, row: UInt32)] {
        let filter = filter.isEverything ? nil : filter
        var found: [(id: PointID, row: UInt32)] = []
        var bound: PointID?
        forEachRow { row in
            let id = id(row)
            if let start, id < start { return }
            if let bound, bound < id { return }
            if let filter, !matches(row, filter) { return }
            found.append((id, row))
            // Twice too many are cut back to the wanted at once: cheaper than a heap, and no worse than it in memory.
            if found.count >= 2 * limit, found.count >= 512 {
                found.sort { $0.id < $1.id }
                found.removeLast(found.count - limit)
                bound = found.last?.id
            }
        }
        if found.count > limit {
            found.sort { $0.id < $1.id }
            found.removeLast(found.count - limit)
        }
        return found
    }
}

extension PointSnapshot {
    /// How many points have a vector in a sparse field, and how many of them a number at each of `places`.
    public func frequencies(of places: [UInt32], field: Int) -> (vectors: Int, counts: [Int]) {
        var vectors = 0
        var counts = [Int](repeating: 0, count: places.count)
        forEachRow { row in
            guard let bytes = chunk(row).value(offset(row), field) else { return }
            vectors += 1
            let view = SparseView(bytes)
            var position = 0
            for (number, place) in places.enumerated() {
                while position < view.count, view.index(position) < place { position += 1 }
                if position < view.count, view.index(position) == place { counts[number] += 1 }
            }
        }
        return (vectors, counts)
    }
}

/// The points that matched a filter at a moment.
public struct PointMatches: Sendable {
    public var ids: [PointID]
    var rows: Set<UInt32>
    public var moment: Int64
    /// Rows and moments mean nothing in another one.
    let table: PointTable
}

extension PointSnapshot {
    /// What matches now. With the matches of an earlier moment of the same table only the points written since are evaluated again.
    public func matches(_ filter: Filter, since earlier: PointMatches? = nil) -> PointMatches {
        let earlier = earlier.flatMap { $0.table === table ? $0 : nil }
        var matches = PointMatches(ids: [], rows: [], moment: moment, table: table)
        forEachRow { row in
            let isOld = earlier.map { version(row) <= $0.moment } ?? false
            guard isOld ? earlier?.rows.contains(row) == true : self.matches(row, filter) else { return }
            matches.ids.append(id(row))
            matches.rows.insert(row)
        }
        return matches
    }
}
