internal import CVectorKernels
internal import Synchronization

/// The points of one shard, in segments and since the last of them in memory, in versions: what a reader has begun to read stays as it was,
/// whatever is written meanwhile.
///
/// A moment is the number of an operation in the shard's log. All changes of one operation become visible together. Readers take a
/// `PointSnapshot`, which never waits for a write under way, and need no lock while they scan; rows that died are used again once no
/// snapshot can see them.
public final class PointTable: Sendable {
    public let fields: [VectorField]
    let rowsPerChunk: Int
    private let state = Mutex(State())
    /// What readers begin with. Locked for moments only, also by a writer that holds `state`.
    private let published = Mutex(Published())

    struct State {
        var sealed: [SealedRows] = []
        /// Living points of the segments.
        var sealedPoints = 0
        /// Raised when segments take the place of others or of rows in memory.
        var layout = 0
        var chunks: [RowChunk] = []
        /// Rows that were ever used: 0..<used.
        var used = 0
        /// The living row of each point that is in memory.
        var rows: [PointID: UInt32] = [:]
        var moment: UInt64 = 0
        /// Rows that died, by the moment of it; `firstRetired` is the oldest that is not free yet.
        var retired: [(moment: UInt64, row: UInt32)] = []
        var firstRetired = 0
        var free: [UInt32] = []
        /// Of what rows hold besides their chunks.
        var blobBytes = 0

        /// Copies a row from another chunk.
        mutating func append(_ source: RowChunk, _ offset: Int, born: UInt64, fields: [VectorField], rowsPerChunk: Int) -> UInt32 {
            if used == chunks.count * rowsPerChunk { chunks.append(RowChunk(capacity: rowsPerChunk, fields: fields)) }
            let row = used
            let payload = source.payload(offset)
            let target = chunks[row / rowsPerChunk]
            blobBytes += target.write(
                row % rowsPerChunk, id: source.ids[offset], payload: payload.isEmpty ? nil : payload
            ) { source.value(offset, $0) }
            target.reveal(row % rowsPerChunk, from: born)
            used += 1
            return UInt32(row)
        }

        /// Where a living point is among the segments.
        func sealedRow(of id: PointID) -> (part: SealedRows, row: Int)? {
            for part in sealed.reversed() { if let row = part.livingRow(of: id) { return (part, row) } }
            return nil
        }
    }

    /// Rows of tables before the last adoption are not among `retired`: they go with the chunks that they are in.
    private struct Published {
        var sealed: [SealedRows] = []
        var layout = 0
        var chunks: [RowChunk] = []
        var used = 0
        var points = 0
        var blobBytes = 0
        var moment: UInt64 = 0
        /// Moments that are being read, with how many readers each.
        var readers: [UInt64: Int] = [:]
    }

    public init(_ fields: [VectorField]) {
        precondition(fields.allSatisfy { $0.dimension != 0 }, "a vector has at least one number")
        self.fields = fields
        rowsPerChunk = RowChunk.rows(fields)
    }

    /// The points of `segments`, in the order in which they were sealed, as they were after operation `moment`.
    public convenience init(_ fields: [VectorField], segments: [Segment], moment: Int64) {
        self.init(fields)
        state.withLock { state in
            state.sealed = SealedRows.parts(of: segments)
            state.sealedPoints = state.sealed.reduce(0) { $0 + $1.living }
            state.moment = UInt64(moment)
            publish(state)
        }
    }

    /// Living points.
    public var count: Int { published.withLock { $0.points } }
    /// The last operation that was applied.
    public var moment: Int64 { published.withLock { Int64($0.moment) } }

    /// Bytes that must be in memory for searches to be quick, about, as `MemoryForecast` counts them: of points that no segment holds all
    /// (`unsealedBytes`: vectors, payloads, ids and the map of ids), of segments what searches look at (`searchedBytes`), mapped or not.
    public var bytes: Int {
        state.withLock { state in
            state.chunks.reduce(0) { $0 + $1.bytes } + state.sealed.reduce(0) { $0 + $1.bytes } + state.blobBytes + state.rows.capacity
                * Self.bytesPerEntry
        }
    }

    /// Of the map of ids: a key, a row, and a bit of the table's own.
    static let bytesPerEntry = MemoryLayout<PointID>.stride + 5

    /// Applies one operation; its changes become visible together when `body` returns. Moments only rise.
    public func apply<Value>(at moment: Int64, _ body: (inout PointWriter) throws -> sending Value) rethrows -> sending Value {
        try state.withLock { state in
            precondition(moment > Int64(state.moment), "operations are applied in the order of the log")
            reclaim(&state)
            var writer = PointWriter(table: self, state: state, moment: UInt64(moment))
            state = State()  // so that the writer owns the arrays alone
            defer {
                state = writer.state
                state.moment = UInt64(moment)
                publish(state)
            }
            return try body(&writer)
        }
    }

    /// The points as they are now, for as long as the snapshot lives.
    public func snapshot() -> PointSnapshot {
        published.withLock { published in
            published.readers[published.moment, default: 0] += 1
            return PointSnapshot(
                table: self, layout: published.layout, sealed: published.sealed, chunks: published.chunks, used: published.used,
                moment: published.moment, points: published.points, blobBytes: published.blobBytes)
        }
    }

    /// A snapshot, and the rows in it of those ids that exist. Waits for a write under way.
    public func snapshot(finding ids: some Sequence<PointID>) -> (PointSnapshot, [UInt32?]) {
        state.withLock { state in
            let snapshot = snapshot()
            return (
                snapshot,
                ids.map { id in
                    if let row = state.rows[id] { return UInt32(snapshot.sealedCount) + row }
                    guard let (part, row) = state.sealedRow(of: id) else { return nil }
                    return snapshot.sealedParts.first { $0.rows === part }.map { $0.first + UInt32(row) }
                }
            )
        }
    }

    func endReading(_ moment: UInt64) {
        published.withLock { published in
            guard let readers = published.readers[moment] else { preconditionFailure("every reader was counted") }
            published.readers[moment] = readers == 1 ? nil : readers - 1
        }
    }

    /// The last step of an adoption: follows what was written since it was prepared, and moves what it does not cover to new memory.
    func replaceRows(by adoption: Adoption, preparedAt snapshot: PointSnapshot) -> Bool {
        state.withLock { state in
            guard state.layout == snapshot.layout else { return false }
            for part in adoption.replaced {
                part.forEachDeath(since: snapshot.exactMoment) { adoption.bury(part.segment.ids[$0], at: state.moment) }
            }
            var next = State()
            next.sealed = adoption.parts
            next.layout = state.layout + 1
            next.moment = state.moment
            // What died since the snapshot is not reused yet: the snapshot could see it.
            for (moment, row) in state.retired[state.firstRetired...] where moment > snapshot.exactMoment {
                adoption.bury(state.chunks[Int(row) / rowsPerChunk].ids[Int(row) % rowsPerChunk], at: state.moment)
            }
            for (id, row) in state.rows {
                let (chunk, offset) = (state.chunks[Int(row) / rowsPerChunk], Int(row) % rowsPerChunk)
                let born = apus_load_moment(chunk.born + offset)
                if adoption.covers(bornAt: born) { continue }
                next.rows[id] = next.append(chunk, offset, born: born, fields: fields, rowsPerChunk: rowsPerChunk)
            }
            next.sealedPoints = adoption.parts.reduce(0) { $0 + $1.living }
            state = next
            publish(state)
            return true
        }
    }

    func exchangeRows(of segment: Segment) {
        state.withLock { state in
            guard let index = state.sealed.firstIndex(where: { $0.segment.key == segment.key }) else { return }
            state.sealed[index] = SealedRows(segment, deathsOf: state.sealed[index])
            state.layout += 1
            publish(state)
        }
    }

    fileprivate func publish(_ state: State) {
        published.withLock { published in
            if published.layout != state.layout || published.sealed.count != state.sealed.count {
                published.layout = state.layout
                published.sealed = state.sealed
                published.chunks = state.chunks
            }
            if published.chunks.count != state.chunks.count { published.chunks = state.chunks }
            published.used = state.used
            published.points = state.rows.count + state.sealedPoints
            published.blobBytes = state.blobBytes
            published.moment = state.moment
        }
    }

    /// Frees the rows that no reader can see any more. A reader that begins meanwhile begins at the published moment, before which all
    /// of them died.
    private func reclaim(_ state: inout State) {
        let oldest = published.withLock { $0.readers.keys.min() ?? $0.moment }
        while state.firstRetired < state.retired.count, state.retired[state.firstRetired].moment <= oldest {
            let row = state.retired[state.firstRetired].row
            state.firstRetired += 1
            let (chunk, offset) = (state.chunks[Int(row) / rowsPerChunk], Int(row) % rowsPerChunk)
            state.blobBytes -= chunk.clear(offset)
            state.free.append(row)
        }
        if state.firstRetired == state.retired.count || state.firstRetired > 65_536 {
            state.retired.removeFirst(state.firstRetired)
            state.firstRetired = 0
        }
    }
}

/// The changes of one operation.
public struct PointWriter: ~Copyable {
    private let table: PointTable
    fileprivate(set) var state: PointTable.State
    private let moment: UInt64

    fileprivate init(table: PointTable, state: PointTable.State, moment: UInt64) {
        self.table = table
        self.state = state
        self.moment = moment
    }

    /// Adds the point or replaces the one with its id. `value` gives the bytes (`VectorValue.bytes`, at any address) of each field, nil for
    /// those in which the point has no vector.
    public mutating func upsert(
        _ id: PointID, payload: UnsafeRawBufferPointer?, value: (_ field: Int) -> UnsafeRawBufferPointer?
    ) {
        let row = newRow()
        let (chunk, offset) = place(of: row)
        state.blobBytes += chunk.write(offset, id: id, payload: payload, value: value)
        chunk.reveal(offset, from: moment)
        if let old = state.rows.updateValue(row, forKey: id) { retire(old) } else { _ = bury(id) }
    }

    /// Kills the point among the segments; false if it does not live there.
    private mutating func bury(_ id: PointID) -> Bool {
        guard let (part, row) = state.sealedRow(of: id) else { return false }
        part.kill(row, at: moment)
        state.sealedPoints -= 1
        return true
    }

    /// False if there is no such point.
    @discardableResult
    public mutating func delete(_ id: PointID) -> Bool {
        guard let row = state.rows.removeValue(forKey: id) else { return bury(id) }
        retire(row)
        return true
    }

    /// Gives the point another payload; false if there is no such point.
    @discardableResult
    public mutating func changePayload(of id: PointID, _ change: (UnsafeRawBufferPointer) throws -> [UInt8]?) rethrows -> Bool {
        guard let old = old(id) else { return false }
        // The vectors stay in place until no reader sees the old row.
        if let payload = try change(old.payload) {
            payload.withUnsafeBytes { payload in upsert(id, payload: payload, value: old.value) }
        } else {
            upsert(id, payload: nil, value: old.value)
        }
        return true
    }

    public enum VectorChange {
        case keep
        case remove
        case set(UnsafeRawBufferPointer)
    }

    /// Changes the point's vectors field by field; false if there is no such point.
    @discardableResult
    public mutating func changeVectors(of id: PointID, _ change: (_ field: Int) -> VectorChange) -> Bool {
        guard let old = old(id) else { return false }
        upsert(id, payload: old.payload.isEmpty ? nil : old.payload) { field in
            switch change(field) {
            case .keep: old.value(field)
            case .remove: nil
            case .set(let bytes): bytes
            }
        }
        return true
    }

    /// What a point is now, wherever it is.
    private func old(_ id: PointID) -> (payload: UnsafeRawBufferPointer, value: (Int) -> UnsafeRawBufferPointer?)? {
        if let row = state.rows[id] {
            let (chunk, offset) = place(of: row)
            return (chunk.payload(offset), { chunk.value(offset, $0) })
        }
        guard let (part, row) = state.sealedRow(of: id) else { return nil }
        return (part.segment.payload(row), { part.segment.value(row, $0) })
    }

    private func place(of row: UInt32) -> (RowChunk, Int) {
        (state.chunks[Int(row) / table.rowsPerChunk], Int(row) % table.rowsPerChunk)
    }

    private mutating func newRow() -> UInt32 {
        if let row = state.free.popLast() { return row }
        if state.used == state.chunks.count * table.rowsPerChunk {
            state.chunks.append(RowChunk(capacity: table.rowsPerChunk, fields: table.fields))
        }
        state.used += 1
        return UInt32(state.used - 1)
    }

    /// A row that was born in this same operation was never seen by anyone; it dies before its birth, so it never will be.
    private mutating func retire(_ row: UInt32) {
        let (chunk, offset) = place(of: row)
        chunk.hide(offset, from: moment)
        state.retired.append((moment, row))
    }
}
