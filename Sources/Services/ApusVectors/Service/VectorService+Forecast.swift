internal import ApusRuntime
public import ApusTypes
public import ApusVectorIndex

/// What a collection of so many points will take on one node that serves all its shards.
public struct CollectionForecast: Sendable, Hashable {
    public static let mostPoints = 10_000_000_000

    public var points: Int
    public var shards: Int
    /// Points that wait in memory to be sealed, at most at a time.
    public var unsealedPoints: Int
    /// Must be in memory for searches to be quick: codes and links of all segments, and the points that are not sealed.
    public var searched: ByteCount
    /// Everything, with the vectors as written, payloads and ids, which are mapped and may stay on disk.
    public var whole: ByteCount
    /// Of the searched, heap for the points that are not sealed.
    public var unsealed: ByteCount
    /// Besides, for the time that the largest segment takes to be made.
    public var building: ByteCount
    /// Segments in the store. As much again where the node keeps copies: with any store but a local directory.
    public var disk: ByteCount
}

extension VectorService {
    /// Throws `request.invalid`.
    public func forecast(_ kind: MemoryForecast, points: Int, shards: Int) throws(ApusError) -> CollectionForecast {
        try CollectionConfiguration(dimension: kind.dimension, metric: kind.metric, sharding: Sharding(shards: shards)).validate()
        // Whatever is allowed has a sum that an Int holds.
        for (value, most, field) in [
            (points, CollectionForecast.mostPoints, "points"), (kind.payloadBytes, 64 << 20, "payload_bytes"),
            (kind.idBytes, 1024, "id_bytes"),
        ] where !(0...most).contains(value) {
            throw ApusError(.requestInvalid, "'\(field)' is \(value); it must be from 0 to \(most)", context: ["field": field])
        }
        let policy = options.sealPolicy
        let perShard = (points + shards - 1) / shards
        let operation = kind.dimension * 4 + kind.payloadBytes + kind.idBytes + 16
        let tail = min(perShard, policy.points, max(1, policy.bytes.bytes / operation))
        // One segment where nobody writes; beyond its largest size, some.
        let rows = min(perShard, policy.mostRows)
        let (full, rest) = rows > 0 ? (perShard / rows, perShard % rows) : (0, 0)
        func sum(_ bytes: (Int) -> Int) -> Int { shards * (full * bytes(rows) + (rest > 0 ? bytes(rest) : 0)) }
        let sealed = sum { kind.sealedBytes(points: $0) }
        let heap = points * MemoryForecast.sealedHeapBytes
        let unsealed = shards * kind.unsealedBytes(points: tail)
        return CollectionForecast(
            points: points, shards: shards, unsealedPoints: shards * tail,
            searched: ByteCount(sum { kind.searchedBytes(points: $0) } + unsealed), whole: ByteCount(sealed + heap + unsealed),
            unsealed: ByteCount(unsealed), building: ByteCount(kind.buildingBytes(points: rows)), disk: ByteCount(sealed))
    }
}
