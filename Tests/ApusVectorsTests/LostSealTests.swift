import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusTypes
import ApusVectorIndex
import TestKit
import Testing

@testable import ApusVectors

/// The catalog has lost a manifest, and nothing else: what a failover to a standby does that had everything but the last commit.
@Suite("seals that the catalog has lost")
struct LostSealTests {
    private static func loseSeals(_ database: any Database, deadline: Instant) async throws {
        try await database.transaction(.write, on: .write, deadline: deadline) { transaction in
            _ = try await transaction.commit(after: [
                Statement("UPDATE apus.shard_head SET bytes = bytes + (SELECT SUM(bytes) FROM apus.shard_manifest)"),
                Statement(
                    "UPDATE apus.shard_manifest SET version = 0, seq = 0, bytes = 0, digest = $1, sealer = NULL",
                    [.blob(Digest.origin.bytes)]),
                Statement("DELETE FROM apus.segment"),
            ])
        }
    }

    @Test("a node whose segments the catalog does not know loads the log, loses nothing, and seals again")
    func sealedAgain() async throws {
        var random = SeededGenerator(seed: 11)
        let directory = try TemporaryDirectory()
        let database = try await SQLiteDatabase.open(path: directory.path + "/catalog.db")
        try await TestNode.with(database, options: SealingTests.eager) { node in
            var model: [PointID: Point] = [:]
            try await SealingTests.sealed(node, &model, &random)
            let before = Set(try SealingTests.seals(node).map(\.key))
            try await Self.loseSeals(database, deadline: node.deadline)
            try await eventually("all is sealed anew") {
                let seals = try SealingTests.seals(node).map(\.key)
                return try !seals.isEmpty && before.isDisjoint(with: seals) && node.service.collections()[0].shards[0].unsealed < 5
            }
            try await SealingTests.check(node, model, &random)
            for _ in 0..<10 { try await SealingTests.write(node, &model, &random) }
            try await eventually("what comes after is sealed too") { try node.service.collections()[0].shards[0].unsealed < 5 }
            try await SealingTests.check(node, model, &random)
            let whole = try await node.service.verify("c", shard: nil, deadline: node.deadline)
            #expect(whole.count == 1 && whole[0].isWhole)
        }
    }

    @Test("a manifest that others have made since under the same number is not taken for the memory's own")
    func sameVersion() throws {
        let fields = [VectorField(dimension: 1, metric: .dot)]
        func manifest(_ version: Int64, _ sequence: Int64, _ objects: [ObjectKey] = []) -> Manifest {
            let history = Incarnation(system: 1, timeline: 1, restores: 0)
            return Manifest(
                version: version, position: LogPosition(incarnation: history, sequence: sequence, digest: .origin), bytes: 9,
                segments: objects.map { SegmentRow(object: $0, points: 0, size: ByteCount(1)) })
        }
        let clock = BootClock()
        let shard = Shard(
            id: ShardID(1), number: 0, fields: fields, beginning: manifest(0, 0).position, isNew: true, clock: clock)
        shard.begin(with: [], manifest(3, 20))
        #expect(!shard.contradicts(manifest(3, 20)) && !shard.contradicts(manifest(4, 25)) && !shard.contradicts(manifest(4, 20)))
        #expect(shard.contradicts(manifest(3, 20, [ObjectKey(high: 0, low: 1)])))
        #expect(shard.contradicts(manifest(2, 20)) && shard.contradicts(manifest(4, 19)))
    }
}
