internal import ApusTypes
internal import ApusVectorIndex
internal import Synchronization

/// Gives the bytes of a snapshot piece by piece: the store takes them as fast as it can write, and no more than one frame is held.
final class SnapshotWriter: Sendable {
    private struct State {
        /// Shards that are not begun.
        var snapshots: ArraySlice<PointSnapshot>
        var current: PointSnapshot?
        /// Of the current one, that are not written.
        var rows: ArraySlice<UInt32> = []
        var points: UInt64 = 0
        var beginning: [UInt8]?
        var isDone = false
    }

    private let state: Mutex<State>
    private let fields: [VectorField]
    private let writtenAt: WallTime

    init(_ header: SnapshotHeader, _ snapshots: [PointSnapshot], writtenAt: WallTime) {
        fields = header.configuration.fields
        self.writtenAt = writtenAt
        state = Mutex(State(snapshots: snapshots[...], beginning: SnapshotFormat.magic + SnapshotFormat.frame(.header, header.encoded())))
    }

    /// Nil after the last piece.
    func next() -> [UInt8]? {
        state.withLock { state in
            if let beginning = state.beginning.take() { return beginning }
            if state.isDone { return nil }
            while state.rows.isEmpty {
                guard let next = state.snapshots.popFirst() else {
                    state.isDone = true
                    state.current = nil
                    return SnapshotFormat.frame(.end, withUnsafeBytes(of: state.points.littleEndian) { Array($0) })
                }
                var rows: [UInt32] = []
                rows.reserveCapacity(next.count)
                next.forEachRow { rows.append($0) }
                state.current = next
                state.rows = rows[...]
            }
            guard let snapshot = state.current else { return nil }
            var points: [Point] = []
            var size = 0
            while points.count < SnapshotFormat.framePoints, size < SnapshotFormat.frameSize, let row = state.rows.popFirst() {
                let point = snapshot.point(row, [.vector, .payload])
                size += (point.payload?.count ?? 0) + point.vectors.entries.reduce(32) { $0 + $1.value.byteCount }
                points.append(point)
            }
            state.points += UInt64(points.count)
            return SnapshotFormat.frame(.points, ShardOperation(changes: [.upsert(points)]).encoded(at: writtenAt, for: fields))
        }
    }
}
