internal import CVectorKernels

extension PointTable {
    /// In the order in which they were sealed.
    public var segments: [Segment] { snapshot().sealed.map(\.segment) }

    /// Reads a segment's rows from other bytes from now on: the same, but whole. Does nothing if it is not among the segments any more.
    public func exchange(_ segment: Segment) { exchangeRows(of: segment) }

    /// Puts segments in the place of the ones before and of the rows in memory that are in them: they hold the points as they were after
    /// operation `moment`, in the order in which they were sealed. Searches go on meanwhile; writers wait for the last, short step.
    ///
    /// False if this table has not come to that operation yet. One caller at a time.
    public func adopt(_ segments: [Segment], sealedAt moment: Int64) -> Bool {
        let snapshot = snapshot()
        guard snapshot.moment >= moment else { return false }
        let parts = SealedRows.parts(of: segments, keeping: snapshot.sealed)
        let adoption = Adoption(
            parts: parts, fresh: parts.filter { part in !snapshot.sealed.contains { $0 === part } },
            replaced: snapshot.sealed.filter { old in !parts.contains { $0 === old } }, moment: UInt64(moment))
        adoption.follow(snapshot)
        return replaceRows(by: adoption, preparedAt: snapshot)
    }
}

extension SealedRows {
    /// The rows of a manifest's segments: those live that no tombstone of them names. Parts that are known stay as they are, and know more.
    static func parts(of segments: [Segment], keeping known: [SealedRows] = []) -> [SealedRows] {
        let parts = segments.map { segment in known.first { $0.segment.key == segment.key } ?? SealedRows(segment) }
        for segment in segments {
            for (key, rows) in segment.tombstones {
                guard let part = parts.first(where: { $0.segment.key == key }), !known.contains(where: { $0 === part }) else { continue }
                for row in rows where row < part.count && part.lives(Int(row)) { part.kill(Int(row), at: 0) }
            }
        }
        return parts
    }
}

/// A set of segments on its way into a table.
struct Adoption {
    /// All, in their order.
    let parts: [SealedRows]
    /// Those that the table did not have.
    let fresh: [SealedRows]
    /// Those that it had and will not.
    let replaced: [SealedRows]
    let moment: UInt64

    /// Whether a row in memory is in a segment now.
    func covers(bornAt born: UInt64) -> Bool { born <= moment }

    /// Kills those rows of the new segments whose points have died, or were written again, since the segments were the state. They die at the
    /// snapshot's moment: before it nobody sees them here, and they did live when the segments were the state.
    fileprivate func follow(_ snapshot: PointSnapshot) {
        var living = fresh.map { RowSet(rows: $0.count) }
        func mark(_ id: PointID) {
            for (number, part) in fresh.enumerated() {
                if let row = part.livingRow(of: id) { return living[number].insert(row) }
            }
        }
        for part in replaced { part.forEachRow(at: snapshot.exactMoment) { mark(part.segment.ids[Int($0)]) } }
        snapshot.forEachRun(inBlocks: 0..<snapshot.blocks) { chunk, _, offsets in
            for offset in offsets where covers(bornAt: apus_load_moment(chunk.born + offset)) { mark(chunk.ids[offset]) }
        }
        for (part, living) in zip(fresh, living) where living.count < part.living {
            for row in 0..<part.count where part.lives(row) && !living.contains(row) { part.kill(row, at: snapshot.exactMoment) }
        }
    }

    /// The point died after the new segments were prepared, at `moment` or before.
    func bury(_ id: PointID, at moment: UInt64) {
        for part in fresh { if let row = part.livingRow(of: id) { part.kill(row, at: moment) } }
    }
}
