internal import CXXHash

/// Consistent hashing of point ids over the shards of one collection.
///
/// The ring is Vectorizer's, so that a collection moved from there spreads in the same way: shard `s` has an entry at
/// `xxh3_64(s as little-endian u32 ‖ v as little-endian u64)` for each virtual node `v`, and an id belongs to the first entry at or after
/// `xxh3_64(id)`, around the end to the first. It depends on nothing but the two counts, so every node has the same one.
public struct ShardRing: Sendable, Hashable {
    public let shards: Int
    public let virtualNodes: Int
    /// Hashes in ascending order, and whose each is.
    private let hashes: [UInt64]
    private let owners: [UInt32]

    /// Of two entries with one hash the lower shard's counts (Vectorizer keeps whichever it inserted last).
    public init(shards: Int, virtualNodes: Int) {
        precondition(shards > 0 && virtualNodes > 0, "a ring has at least one entry")
        self.shards = shards
        self.virtualNodes = virtualNodes
        var entries: [(hash: UInt64, shard: UInt32)] = []
        entries.reserveCapacity(shards * virtualNodes)
        for shard in 0..<UInt32(shards) {
            for node in 0..<UInt64(virtualNodes) { entries.append((Self.entry(shard: shard, virtualNode: node), shard)) }
        }
        entries.sort { ($0.hash, $0.shard) < ($1.hash, $1.shard) }
        hashes = entries.map(\.hash)
        owners = entries.map(\.shard)
    }

    /// Number (0..<shards) of the shard that the id with these bytes belongs to.
    public func shard(of id: some Sequence<UInt8>) -> Int {
        guard shards > 1 else { return 0 }
        return shard(
            ofHash: id.withContiguousStorageIfAvailable { Self.hash(UnsafeRawBufferPointer($0)) } ?? Array(id).withUnsafeBytes(Self.hash))
    }

    func shard(ofHash hash: UInt64) -> Int {
        let entry = hashes.start { $0 >= hash }
        return Int(owners[entry == hashes.count ? 0 : entry])
    }

    static func entry(shard: UInt32, virtualNode: UInt64) -> UInt64 {
        withUnsafeTemporaryAllocation(byteCount: 12, alignment: 8) { bytes in
            bytes.storeBytes(of: shard.littleEndian, toByteOffset: 0, as: UInt32.self)
            bytes.storeBytes(of: virtualNode.littleEndian, toByteOffset: 4, as: UInt64.self)
            return hash(UnsafeRawBufferPointer(bytes))
        }
    }

    static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 { XXH3_64bits(bytes.baseAddress, bytes.count) }
}
