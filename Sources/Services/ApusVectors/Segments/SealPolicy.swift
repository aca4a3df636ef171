public import ApusTypes
internal import ApusVectorIndex

/// When a shard is sealed, and which segments a new one takes the place of: a pure decision.
///
/// Segments stand in tiers, each four times the one below. A new segment takes in a tier that would get full, and then stands in the next
/// one, so that a point is written about once for each tier, and a search has few segments to ask.
public struct SealPolicy: Sendable, Hashable {
    /// Points in memory that are sealed at once: all of them are looked at by each search.
    public var points = 4096
    /// Bytes of operations that are sealed at once.
    public var bytes = ByteCount.mebibytes(64)
    /// Fewer are sealed when nothing was written for so long; fewer than `leastPoints` never are for that.
    public var quiet: Duration = .seconds(5)
    public var leastPoints = 1000
    /// Segments of a tier.
    public var width = 4
    /// A segment with more rows is merged no more.
    public var mostRows = 4_000_000
    /// A segment of which a larger share is dead is written anew.
    public var mostDead = 0.2

    public init() {}

    struct Standing {
        var unsealed: Int
        var unsealedBytes: ByteCount
        /// Since the last operation.
        var quiet: Duration
        var segments: [SegmentDescription]
    }

    /// Nil: nothing is to be done. Else a new segment of the points in memory and of the named segments.
    func replaced(_ standing: Standing) -> Set<ObjectKey>? {
        let isQuiet = standing.quiet >= quiet
        let isDue =
            standing.unsealed >= points || standing.unsealedBytes.bytes >= bytes.bytes || (isQuiet && standing.unsealed >= leastPoints)
        var replaced = Set(standing.segments.filter { isRotten($0) }.map(\.key))
        guard isDue || !replaced.isEmpty || (isQuiet && isScattered(standing.segments)) else { return nil }
        if isQuiet, isScattered(standing.segments) {
            // Nobody waits: one segment is the quickest to search.
            replaced.formUnion(standing.segments.filter { $0.living < mostRows / 2 }.map(\.key))
            return replaced
        }
        var rows = standing.unsealed + standing.segments.reduce(0) { $0 + (replaced.contains($1.key) ? $1.living : 0) }
        while true {
            let tier = tier(rows)
            let alike = standing.segments.filter { !replaced.contains($0.key) && self.tier($0.living) <= tier }
            let merged = rows + alike.reduce(0) { $0 + $1.living }
            guard alike.count >= width - 1, merged <= mostRows else { return replaced }
            replaced.formUnion(alike.map(\.key))
            rows = merged
        }
    }

    private func isRotten(_ segment: SegmentDescription) -> Bool {
        segment.rows > 0 && Double(segment.rows - segment.living) > mostDead * Double(segment.rows)
    }

    private func isScattered(_ segments: [SegmentDescription]) -> Bool { segments.count { $0.living < mostRows / 2 } > 1 }

    private func tier(_ rows: Int) -> Int {
        var tier = 0
        var bound = points
        while rows > bound {
            bound *= width
            tier += 1
        }
        return tier
    }
}
