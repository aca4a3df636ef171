public import ApusTypes

/// What a new segment is made of.
public struct SealPlan: Sendable {
    public let snapshot: PointSnapshot
    /// Of the snapshot.
    public let rows: [UInt32]

    /// All points that are in memory.
    public init(sealing snapshot: PointSnapshot) {
        var rows: [UInt32] = []
        snapshot.forEachMemoryRow { rows.append($0) }
        self.snapshot = snapshot
        self.rows = rows
    }

    /// The points of some segments, in whose place the new one is to be: those that lived after operation `moment`, which the segments are
    /// the state of. What has died since is in them, because the log that tells of it is read on top of them.
    public init(merging merged: Set<ObjectKey>, of snapshot: PointSnapshot, asOf moment: Int64) {
        var rows: [UInt32] = []
        for (first, part) in snapshot.sealedParts where merged.contains(part.segment.key) {
            part.forEachRow(at: UInt64(moment)) { rows.append(first + $0) }
        }
        self.snapshot = snapshot
        self.rows = rows
    }

    /// No points: what carries tombstones alone.
    public init(burying snapshot: PointSnapshot) {
        self.snapshot = snapshot
        rows = []
    }

    public func builder(_ parameters: SegmentBuilder.Parameters = .init(), threads: Int) -> SegmentBuilder {
        SegmentBuilder(snapshot, rows: rows, parameters: parameters, threads: threads)
    }
}

/// Dead rows of segments, by their objects.
public typealias Tombstones = [(segment: ObjectKey, rows: [UInt32])]

extension PointSnapshot {
    /// Rows of the segments, without those in `leaving`, that were dead after operation `moment`, which the snapshot is not before. Of a
    /// segment that was merged from `leaving` as of operation `base`, those whose points have died since then.
    public func tombstones(
        asOf moment: Int64, leaving: Set<ObjectKey> = [], merged: (segment: Segment, base: Int64)? = nil
    ) -> Tombstones {
        var found: Tombstones = []
        for part in sealed where !leaving.contains(part.segment.key) && part.hasDeaths {
            let dead = (0..<part.count).filter { !part.lives($0, at: UInt64(moment)) }
            if !dead.isEmpty { found.append((part.segment.key, dead.map { UInt32($0) })) }
        }
        guard let merged else { return found }
        var dead: [UInt32] = []
        for part in sealed where leaving.contains(part.segment.key) {
            part.forEachDeath(since: UInt64(merged.base)) { row in
                guard !part.lives(row, at: UInt64(moment)), let row = merged.segment.ids.row(of: part.segment.ids[row]) else { return }
                dead.append(row)
            }
        }
        if !dead.isEmpty { found.append((merged.segment.key, dead)) }
        return found
    }
}

/// A segment as it stands in a snapshot.
public struct SegmentDescription: Sendable, Hashable {
    public var key: ObjectKey
    public var rows: Int
    public var living: Int
    public var bytes: ByteCount
    public var sealedAt: Int64
}

extension PointSnapshot {
    /// In the order in which they were sealed.
    public var segments: [SegmentDescription] {
        sealed.map {
            SegmentDescription(
                key: $0.segment.key, rows: $0.count, living: $0.living, bytes: ByteCount($0.segment.byteCount),
                sealedAt: $0.segment.sealedAt)
        }
    }

    /// Points that are in memory.
    public var unsealed: Int { count - sealed.reduce(0) { $0 + $1.living } }
}
