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
        let parts = segments.map { segment in
            snapshot.sealed.first { $0.segment.key == segment.key } ?? SealedRows(segment, alive: false)
        }
        let adoption = Adoption(
            parts: parts, fresh: parts.filter { part in !snapshot.sealed.contains { $0 === part } },
            replaced: snapshot.sealed.filter { old in !parts.contains { $0 === old } }, moment: UInt64(moment))
        adoption.revive(livingIn: snapshot)
        return replaceRows(by: adoption, preparedAt: snapshot)
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

    /// Has those rows of the new segments live whose points live where they were before.
    fileprivate func revive(livingIn snapshot: PointSnapshot) {
        for part in replaced {
            part.forEachRow(at: snapshot.exactMoment) { row in revive(part.segment.ids[Int(row)]) }
        }
        snapshot.forEachRun(inBlocks: 0..<snapshot.blocks) { chunk, _, offsets in
            for offset in offsets where covers(bornAt: apus_load_moment(chunk.born + offset)) { revive(chunk.ids[offset]) }
        }
    }

    private func revive(_ id: PointID) {
        for part in fresh.reversed() {
            if let row = part.segment.ids.row(of: id) {
                if !part.lives(Int(row)) { part.revive(Int(row)) }
                return
            }
        }
    }

    /// The point died after the new segments were prepared.
    func bury(_ id: PointID) {
        for part in fresh { if let row = part.livingRow(of: id) { part.kill(row, at: 0) } }
    }
}
