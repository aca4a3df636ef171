import Testing

@testable import ApusPlacement

/// Expected values were made with Python's `xxhash` 3 (`xxh3_64_intdigest`) and `bisect_left` over the sorted entries, apart from this code.
@Suite("shard ring")
struct ShardRingTests {
    @Test(
        "entries hash shard and virtual node as little-endian numbers",
        arguments: [
            (0, 0, 0xc499_8f91_69c2_a4f0), (0, 1, 0x0f0a_46aa_3b38_8642), (5, 99, 0x4421_53cc_ab26_2983),
            (UInt32.max, UInt64.max, 0x18d0_81e8_e460_2ab0),
        ] as [(UInt32, UInt64, UInt64)])
    func entries(shard: UInt32, node: UInt64, expected: UInt64) {
        #expect(ShardRing.entry(shard: shard, virtualNode: node) == expected)
    }

    @Test("ids belong to the shards that Vectorizer's rule gives")
    func owners() {
        let ring = ShardRing(shards: 6, virtualNodes: 100)
        let ids = [
            "0", "1", "17", "117658", "doc-1", "a", "550e8400-e29b-41d4-a716-446655440000", "Größe", String(repeating: "x", count: 256),
        ]
        #expect(ids.map { ring.shard(of: $0.utf8) } == [0, 2, 4, 5, 3, 3, 4, 2, 3])
    }

    @Test(
        "200,000 ids spread as they do with the reference",
        arguments: [
            (6, 100, [34571, 31991, 29314, 31610, 38257, 34257]), (6, 10, [32247, 33426, 26213, 30077, 39690, 38347]),
            (6, 1000, [34131, 33914, 32786, 34050, 32113, 33006]),
        ])
    func spread(shards: Int, virtualNodes: Int, expected: [Int]) {
        let ring = ShardRing(shards: shards, virtualNodes: virtualNodes)
        var counts = [Int](repeating: 0, count: shards)
        for id in 0..<200_000 { counts[ring.shard(of: String(id).utf8)] += 1 }
        #expect(counts == expected)
    }

    @Test("a seventh shard takes an eighth of the ids at most, and none moves between the old ones")
    func growth() {
        let (six, seven) = (ShardRing(shards: 6, virtualNodes: 100), ShardRing(shards: 7, virtualNodes: 100))
        var moved = 0
        for id in 0..<20_000 {
            let (before, after) = (six.shard(of: String(id).utf8), seven.shard(of: String(id).utf8))
            if before != after {
                moved += 1
                #expect(after == 6)
            }
        }
        #expect((1..<2500).contains(moved))
    }

    @Test("a hash beyond the last entry goes around to the first, and an entry owns its own hash")
    func wrap() {
        let ring = ShardRing(shards: 3, virtualNodes: 5)
        let entries = (0..<3).flatMap { shard in
            (0..<5).map { (ShardRing.entry(shard: UInt32(shard), virtualNode: $0), shard) }
        }.sorted { $0.0 < $1.0 }
        for (hash, shard) in entries { #expect(ring.shard(ofHash: hash) == shard) }
        for (entry, next) in zip(entries, entries.dropFirst()) { #expect(ring.shard(ofHash: entry.0 + 1) == next.1) }
        #expect(ring.shard(ofHash: entries[14].0 + 1) == entries[0].1)
        #expect(ring.shard(ofHash: 0) == entries[0].1)
    }

    @Test("one shard owns everything")
    func single() { #expect(ShardRing(shards: 1, virtualNodes: 1).shard(of: "any".utf8) == 0) }
}
