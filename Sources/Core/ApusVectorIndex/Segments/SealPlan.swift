public import ApusTypes

/// What a new segment is made of: all points in memory, and those of the segments that it replaces.
public struct SealPlan: Sendable {
    public let snapshot: PointSnapshot
    /// Of the snapshot.
    public let rows: [UInt32]
    /// Dead rows of the segments that stay.
    public let tombstones: [(segment: ObjectKey, rows: [UInt32])]

    /// Segments that are not replaced stay as they are.
    public init(_ snapshot: PointSnapshot, replacing replaced: Set<ObjectKey>) {
        var rows: [UInt32] = []
        var tombstones: [(segment: ObjectKey, rows: [UInt32])] = []
        for (first, part) in snapshot.sealedParts {
            if replaced.contains(part.segment.key) {
                part.forEachRow(at: snapshot.exactMoment) { rows.append(first + $0) }
            } else if part.hasDeaths {
                let dead = (0..<part.count).filter { !part.lives($0, at: snapshot.exactMoment) }
                if !dead.isEmpty { tombstones.append((part.segment.key, dead.map { UInt32($0) })) }
            }
        }
        snapshot.forEachMemoryRow { rows.append($0) }
        self.snapshot = snapshot
        self.rows = rows
        self.tombstones = tombstones
    }

    /// The operation after which the segment is the state.
    public var moment: Int64 { snapshot.moment }

    public func builder(_ parameters: SegmentBuilder.Parameters = .init(), threads: Int) -> SegmentBuilder {
        SegmentBuilder(snapshot, rows: rows, sealedAt: moment, tombstones: tombstones, parameters: parameters, threads: threads)
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
