internal import CVectorKernels
internal import Synchronization

/// The points of a shard at one moment: those of its segments that live, then those in memory. Holds back the reuse of rows for as long as
/// it lives, so it is not kept for long.
///
/// A row is a number that means something in this snapshot only.
public final class PointSnapshot: Sendable {
    /// The operation of the log after which this is the state.
    public var moment: Int64 { Int64(exactMoment) }
    /// Points in it.
    public let count: Int
    public var fields: [VectorField] { table.fields }

    let table: PointTable
    /// Of the table: rows of two snapshots with the same layout are the same.
    let layout: Int
    let sealed: [SealedRows]
    /// Rows of segments: those in memory come after them.
    let sealedCount: Int
    let chunks: [RowChunk]
    /// Rows in memory to look at: 0..<used; some are dead, or not born yet.
    let used: Int
    /// What they hold of any length: payloads, and vectors of fields that are not dense.
    let blobBytes: Int
    let exactMoment: UInt64
    private let abandoned = Atomic(false)

    /// Nobody waits for what is found here any more: whoever reads ends soon, with some of the answer, which nobody may take for the whole.
    public func abandon() { abandoned.store(true, ordering: .relaxed) }
    public var isAbandoned: Bool { abandoned.load(ordering: .relaxed) }
    var stops: () -> Bool { { self.isAbandoned } }

    init(
        table: PointTable, layout: Int, sealed: [SealedRows], chunks: [RowChunk], used: Int, moment: UInt64, points: Int, blobBytes: Int
    ) {
        self.blobBytes = blobBytes
        self.table = table
        self.layout = layout
        self.sealed = sealed
        sealedCount = sealed.reduce(0) { $0 + $1.count }
        self.chunks = chunks
        self.used = used
        exactMoment = moment
        count = points
    }

    deinit { table.endReading(exactMoment) }

    /// Where a row is.
    private enum Place {
        case sealed(Segment, Int)
        case memory(RowChunk, Int)
    }

    private func place(_ row: UInt32) -> Place {
        var row = Int(row)
        for part in sealed {
            if row < part.count { return .sealed(part.segment, row) }
            row -= part.count
        }
        return .memory(chunks[row / table.rowsPerChunk], row % table.rowsPerChunk)
    }

    /// Of a row in memory.
    func memory(_ row: UInt32) -> (chunk: RowChunk, offset: Int) {
        let row = Int(row) - sealedCount
        return (chunks[row / table.rowsPerChunk], row % table.rowsPerChunk)
    }

    public func id(_ row: UInt32) -> PointID {
        switch place(row) {
        case .sealed(let segment, let row): segment.ids[row]
        case .memory(let chunk, let offset): chunk.ids[offset]
        }
    }

    /// In the form of `VectorValue.bytes`; nil if the point has no vector in the field of that number.
    func valueBytes(_ row: UInt32, field: Int) -> UnsafeRawBufferPointer? {
        switch place(row) {
        case .sealed(let segment, let row): segment.value(row, field)
        case .memory(let chunk, let offset): chunk.value(offset, field)
        }
    }

    /// Empty where the point has none.
    func payloadBytes(_ row: UInt32) -> UnsafeRawBufferPointer {
        switch place(row) {
        case .sealed(let segment, let row): segment.payload(row)
        case .memory(let chunk, let offset): chunk.payload(offset)
        }
    }

    /// Nil if the point has no vector in the field of that number.
    public func value(_ row: UInt32, field: Int) -> VectorValue? { valueBytes(row, field: field).map { fields[field].value($0) } }

    public func vectors(_ row: UInt32) -> PointVectors {
        PointVectors(fields.indices.compactMap { field in value(row, field: field).map { .init(fields[field].name, $0) } })
    }

    /// Nil where the point has none.
    public func payload(_ row: UInt32) -> [UInt8]? {
        let payload = payloadBytes(row)
        return payload.isEmpty ? nil : Array(payload)
    }

    /// Number of the operation that wrote this version of the point.
    public func version(_ row: UInt32) -> Int64 {
        switch place(row) {
        case .sealed(let segment, let row): segment.version(row)
        case .memory(let chunk, let offset): Int64(apus_load_moment(chunk.born + offset))
        }
    }

    public func matches(_ row: UInt32, _ filter: Filter) -> Bool {
        switch place(row) {
        case .sealed(let segment, let row): return segment.matches(row, filter)
        case .memory(let chunk, let offset):
            return filter.matches(id: chunk.ids[offset], payload: chunk.payload(offset)) { name in
                fields.firstIndex { $0.name == name }.map { chunk.value(offset, $0) != nil } ?? false
            }
        }
    }

    /// Segments with the number of their first row.
    var sealedParts: [(first: UInt32, rows: SealedRows)] {
        var first: UInt32 = 0
        return sealed.map { part in
            defer { first += UInt32(part.count) }
            return (first, part)
        }
    }

    /// Blocks of `rowsPerBlock` rows in memory, the units of a scan.
    var blocks: Int { (used + Self.rowsPerBlock - 1) / Self.rowsPerBlock }
    static let rowsPerBlock = 256

    /// Calls `body` for runs of visible rows in memory that lie together, in ascending order, within the given blocks.
    func forEachRun(
        inBlocks range: Range<Int>, _ body: (_ chunk: RowChunk, _ firstRow: UInt32, _ offsets: Range<Int>) -> Void
    ) {
        let perChunk = table.rowsPerChunk
        var row = range.lowerBound * Self.rowsPerBlock
        let end = min(range.upperBound * Self.rowsPerBlock, used)
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: Self.rowsPerBlock) { visible in
            while row < end, !isAbandoned {
                let chunk = chunks[row / perChunk]
                let offset = row % perChunk
                let count = min(Self.rowsPerBlock, end - row, perChunk - offset)
                let found = apus_visible_rows(chunk.born + offset, chunk.died + offset, count, exactMoment, visible.baseAddress)
                var start = 0
                while start < found {
                    var next = start + 1
                    while next < found, visible[next] == visible[next - 1] + 1 { next += 1 }
                    let first = offset + Int(visible[start])
                    body(chunk, UInt32(sealedCount + row + Int(visible[start])), first..<first + (next - start))
                    start = next
                }
                row += count
            }
        }
    }

    /// Every point's row.
    public func forEachRow(_ body: (UInt32) -> Void) {
        for (first, part) in sealedParts { part.forEachRow(at: exactMoment) { if !isAbandoned { body(first + $0) } } }
        forEachMemoryRow(body)
    }

    /// The row of every point that matches.
    public func forEachMatch(of filter: Filter, _ body: (UInt32) -> Void) {
        if filter.isEverything { return forEachRow(body) }
        for (first, part) in sealedParts {
            part.segment.matching(filter, until: stops).forEach {
                if !isAbandoned, part.lives($0, at: exactMoment) { body(first + UInt32($0)) }
            }
        }
        forEachMemoryRow { if !isAbandoned, matches($0, filter) { body($0) } }
    }

    func forEachMemoryRow(_ body: (UInt32) -> Void) {
        forEachRun(inBlocks: 0..<blocks) { _, first, offsets in
            for row in first..<first + UInt32(offsets.count) { body(row) }
        }
    }
}

extension PointSnapshot {
    /// The `limit` points with the smallest ids of those from `start` on (that id included) that match, in no order.
    public func firstRows(_ limit: Int, from start: PointID?, filter: Filter) -> [(id: PointID, row: UInt32)] {
        let filter = filter.isEverything ? nil : filter
        var found: [(id: PointID, row: UInt32)] = []
        guard limit > 0 else { return found }
        for (first, part) in sealedParts {
            let ids = part.segment.ids
            var wanted = limit
            let known = filter.map(part.segment.estimate)
            for rank in (start.map(ids.lowerBound) ?? 0)..<ids.count where wanted > 0 && !isAbandoned {
                let row = ids.ordered(rank)
                guard part.lives(row, at: exactMoment) else { continue }
                if let filter, let known, !part.segment.matches(row, filter, known) { continue }
                found.append((ids[row], first + UInt32(row)))
                wanted -= 1
            }
        }
        var bound: PointID?
        forEachMemoryRow { row in
            let id = id(row)
            if let start, id < start { return }
            if let bound, bound < id { return }
            if isAbandoned { return }
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
        func look(at row: UInt32) {
            guard let bytes = valueBytes(row, field: field) else { return }
            vectors += 1
            let view = SparseView(bytes)
            var position = 0
            for (number, place) in places.enumerated() {
                while position < view.count, view.index(position) < place { position += 1 }
                if position < view.count, view.index(position) == place { counts[number] += 1 }
            }
        }
        for (first, part) in sealedParts {
            let sealed = part.segment.field(field)
            guard let lists = sealed.sparseLists else {
                part.forEachRow(at: exactMoment) { look(at: first + $0) }
                continue
            }
            func lives(_ vector: Int) -> Bool { part.lives(Int(sealed.row(vector)), at: exactMoment) }
            let isWhole = !part.hasDeaths
            vectors += isWhole ? sealed.count : (0..<sealed.count).count(where: lives)
            for (number, place) in places.enumerated() {
                let entries = lists.entries(of: place)
                counts[number] += isWhole ? entries.count : entries.count { lists.vector($0).map(lives) ?? false }
            }
        }
        forEachMemoryRow(look)
        return (vectors, counts)
    }
}

/// The points that matched a filter at a moment.
public struct PointMatches: Sendable {
    public var ids: [PointID]
    var rows: Set<UInt32>
    public var moment: Int64
    /// Rows and moments mean nothing in another one, or in another layout.
    let table: PointTable
    let layout: Int
}

extension PointSnapshot {
    /// What matches now. With the matches of an earlier moment of the same table only the points written since are evaluated again.
    public func matches(_ filter: Filter, since earlier: PointMatches? = nil) -> PointMatches {
        let earlier = earlier.flatMap { $0.table === table && $0.layout == layout ? $0 : nil }
        var matches = PointMatches(ids: [], rows: [], moment: moment, table: table, layout: layout)
        func add(_ row: UInt32) {
            matches.ids.append(id(row))
            matches.rows.insert(row)
        }
        guard let earlier else {
            forEachMatch(of: filter, add)
            return matches
        }
        forEachRow { row in
            if version(row) <= earlier.moment ? earlier.rows.contains(row) : self.matches(row, filter) { add(row) }
        }
        return matches
    }
}
