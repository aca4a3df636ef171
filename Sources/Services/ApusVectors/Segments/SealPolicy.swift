public import ApusTypes
internal import ApusVectorIndex

/// When the points of a shard that are in memory are sealed, and which segments become one: pure decisions.
///
/// Segments stand in tiers, each some times as large as the one below. When a tier is full its segments become one of the next, and a
/// search has few segments to ask. The largest of them takes part only if the others are a share of it, so a point is written about as many
/// times as that share goes into one.
public struct SealPolicy: Sendable, Hashable {
    /// Points in memory that are sealed at once: all of them are looked at by each search.
    public var points = 8192
    /// Bytes of operations that are sealed at once.
    public var bytes = ByteCount.mebibytes(64)
    /// Fewer are sealed when nothing was written for so long; fewer than `leastPoints` never are for that.
    public var quiet: Duration = .seconds(5)
    public var leastPoints = 1000
    /// Segments of a tier.
    public var width = 4
    /// A segment with more rows than a part of these is merged no more: a tier's, or half where nothing was written for a while.
    public var mostRows = 4_000_000
    /// A segment of which a larger share is dead is written anew.
    public var mostDead = 0.2
    /// How many times larger than all others together a segment may be that they are merged into; and where nothing was written for a while.
    public var leverage = 8
    public var quietLeverage = 32

    public init() {}

    struct Standing {
        var unsealed: Int
        var unsealedBytes: ByteCount
        /// Since the last operation.
        var quiet: Duration
        var segments: [SegmentDescription]
    }

    /// Whether the points in memory are to be sealed.
    func isDue(_ standing: Standing) -> Bool {
        standing.unsealed >= points || standing.unsealedBytes.bytes >= bytes.bytes
            || (standing.quiet >= quiet && standing.unsealed >= leastPoints)
    }

    /// The segments that are to become one; none where all is well.
    func merged(_ standing: Standing) -> Set<ObjectKey> {
        let segments = standing.segments.filter { $0.rows > 0 }
        let rotten = segments.filter { isRotten(rows: $0.rows, living: $0.living) }
        // Nobody waits: one segment is the quickest to search.
        let small = movable(segments.filter { $0.living < mostRows / 2 }, quietLeverage)
        if standing.quiet >= quiet, standing.unsealed < max(leastPoints, 1), small.count > 1 { return Set((small + rotten).map(\.key)) }
        for tier in 0..<16 {
            let alike = movable(segments.filter { self.tier($0.living) <= tier && $0.living < mostRows / width }, leverage)
            if alike.count >= width { return Set(alike.map(\.key)) }
        }
        return Set(rotten.prefix(1).map(\.key))
    }

    func isRotten(rows: Int, living: Int) -> Bool { Double(rows - living) > mostDead * Double(rows) }

    /// Without the largest ones that are too large for the others to be merged into.
    private func movable(_ segments: [SegmentDescription], _ leverage: Int) -> ArraySlice<SegmentDescription> {
        var movable = segments.sorted { $0.living < $1.living }[...]
        while let largest = movable.last, largest.living > leverage * movable.dropLast().reduce(0, { $0 + $1.living }) {
            movable.removeLast()
        }
        return movable
    }

    private func tier(_ rows: Int) -> Int {
        var tier = 0
        var bound = 2 * points
        while rows > bound {
            bound *= width
            tier += 1
        }
        return tier
    }
}
