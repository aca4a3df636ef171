import ApusCatalog
import ApusTypes
import Foundation
import TestKit
import Testing

@testable import ApusVectorIndex
@testable import ApusVectors

/// A collection in memory beside the same collection built anew.
@Suite("verifying")
struct VerifyingTests {
    /// Runs `body` with a node on a collection of two shards, whose points are in segments and in memory, with deaths in both.
    static func with(_ body: (TestNode, _ copies: String) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let copies = directory.path + "/copies"
        try await TestNode.onSQLite("\(directory.path)/catalog.db", options: SealingTests.eager, copies: copies) { node in
            var random = SeededGenerator(seed: 7)
            _ = try await node.service.createCollection(
                "c", .init(dimension: 8, metric: .dot, sharding: .init(shards: 2)), deadline: node.deadline)
            var model: [PointID: Point] = [:]
            for _ in 0..<30 { try await SealingTests.write(node, &model, &random) }
            try await eventually("all is sealed") {
                try node.service.collections()[0].shards.allSatisfy { $0.unsealed < 5 && $0.segments.count == 1 }
            }
            // Too few to be sealed: one new in each shard, one changed, one deleted.
            for number in 0..<4 {
                let point = Point(id: .integer(UInt64(5000 + number)), vector: random.vector(8), payload: Array(#"{"n":1}"#.utf8))
                _ = try await node.service.upsert([point], into: "c", deadline: node.deadline)
            }
            _ = try await node.service.delete([.integer(5000)], from: "c", deadline: node.deadline)
            let sealed = try #require(model.keys.min())
            _ = try await node.service.delete([sealed], from: "c", deadline: node.deadline)
            try await body(node, copies)
            withExtendedLifetime(directory) {}
        }
    }

    static func shards(_ node: TestNode) throws -> [Shard] {
        try node.service.loaded().values.flatMap(\.shards).sorted { $0.number < $1.number }
    }

    @Test("segments, the log after them and deaths in both give what is in memory")
    func whole() async throws {
        try await Self.with { node, _ in
            let found = try await node.service.verify("c", deadline: node.deadline)
            #expect(found.map(\.number) == [0, 1])
            for shard in found {
                #expect(shard.isWhole && shard.memory == shard.log, "\(shard)")
                #expect(shard.segments >= 1 && shard.operations >= 1 && shard.memory.count > 50)
            }
            let count = try await node.service.count("c", deadline: node.deadline)
            #expect(found.reduce(0) { $0 + $1.memory.count } == count)
            let one = try await node.service.verify("c", shard: 1, deadline: node.deadline)
            #expect(one.map(\.number) == [1] && one[0].memory == found[1].memory)
            let error = try await #require(throws: ApusError.self) {
                _ = try await node.service.verify("c", shard: 2, deadline: node.deadline)
            }
            #expect(error.code == .requestInvalid && error.context["field"] == "shard")
            let unknown = try await #require(throws: ApusError.self) { _ = try await node.service.verify("d", deadline: node.deadline) }
            #expect(unknown.code == .collectionUnknown)
        }
    }

    @Test("the same points in another order, and in segments or not, have the same digest; one bit makes another")
    func digests() throws {
        let fields = [VectorField(dimension: 3, metric: .dot)]
        func table(_ numbers: [Int], _ spoiled: Float = 0) -> PointTable {
            let table = PointTable(fields)
            for (moment, number) in numbers.enumerated() {
                let vector: [Float] = [Float(number), 1, number == 3 ? spoiled : 0]
                vector.withUnsafeBytes { bytes in
                    table.apply(at: Int64(moment + 1)) { $0.upsert(.integer(UInt64(number)), payload: nil) { _ in bytes } }
                }
            }
            return table
        }
        let points = table([1, 2, 3]).snapshot()
        let ids = Digest(of: "x")
        var (forth, back) = (PointsDigest(), PointsDigest())
        for digest in [ids, Digest(of: "y")] { forth.add(digest) }
        for digest in [Digest(of: "y"), ids] { back.add(digest) }
        #expect(forth == back && forth.count == 2 && forth.description.count == 64)
        #expect(points.digest == table([1, 2, 3]).snapshot().digest)
        // Written by other operations they are other versions.
        #expect(points.digest != table([3, 2, 1]).snapshot().digest)
        #expect(points.digest != table([1, 2, 3], -0.0).snapshot().digest)
        let differences = table([1, 2, 3], 5).snapshot().differences(from: table([1, 2, 4]).snapshot())
        #expect(differences.missing == 1 && differences.extra == 1 && differences.changed == 0)
        #expect(Set(differences.examples) == [.integer(3), .integer(4)])
        #expect(table([1, 2, 3], 5).snapshot().differences(from: points).changed == 1)
    }

    @Test("a bit that flipped in a vector in memory is found, in that shard, with the point's id")
    func spoiledVector() async throws {
        try await Self.with { node, _ in
            let shard = try Self.shards(node)[1]
            let snapshot = try shard.table().snapshot()
            var row: UInt32?
            snapshot.forEachMemoryRow { row = $0 }
            let spoiled = try #require(row)
            let bytes = try #require(snapshot.valueBytes(spoiled, field: 0))
            UnsafeMutableRawPointer(mutating: try #require(bytes.baseAddress)).storeBytes(of: 0x3F80_0001, as: UInt32.self)
            let found = try await node.service.verify("c", deadline: node.deadline)
            #expect(found[0].isWhole && !found[1].isWhole)
            #expect(found[1].memory.count == found[1].log.count && found[1].memory != found[1].log)
            let differences = try #require(found[1].differences)
            #expect(differences.changed == 1 && differences.missing == 0 && differences.extra == 0)
            #expect(differences.examples == [snapshot.id(spoiled)])
        }
    }

    @Test("a point that died in memory alone is missing; one that lives there alone is too many")
    func spoiledLives() async throws {
        try await Self.with { node, _ in
            let shard = try Self.shards(node)[0]
            let part = try #require(try shard.table().snapshot().sealed.first)
            let living = try #require((0..<part.count).first { part.lives($0) })
            part.kill(living, at: 1)
            var found = try await node.service.verify("c", shard: 0, deadline: node.deadline)
            var differences = try #require(found[0].differences)
            #expect(differences.missing == 1 && differences.extra == 0 && differences.examples == [part.segment.ids[living]])
            let dead = try #require((0..<part.count).first { !part.lives($0) && $0 != living })
            part.kill(dead, at: SealedRows.never)
            found = try await node.service.verify("c", shard: 0, deadline: node.deadline)
            differences = try #require(found[0].differences)
            #expect(differences.missing == 1 && differences.extra == 1)
        }
    }

    @Test("a node's copy of a segment that has rotted is found, said, and whole the next time")
    func rottenSegment() async throws {
        try await Self.with { node, copies in
            let key = try #require(try Self.shards(node)[0].table().segments.first?.key)
            let path = try #require(
                FileManager.default.enumerator(atPath: copies)?.compactMap { $0 as? String }.first { $0.hasSuffix(key.description) })
            let file = try #require(FileHandle(forUpdatingAtPath: copies + "/" + path))
            try file.seek(toOffset: 4096 + 3)
            let byte = try #require(try file.read(upToCount: 1)?.first)
            try file.seek(toOffset: 4096 + 3)
            try file.write(contentsOf: [byte ^ 0x10])
            try file.close()
            let found = try await node.service.verify("c", shard: 0, deadline: node.deadline)
            #expect(!found[0].isWhole && found[0].problems.map(\.code) == [.segmentCorrupt], "\(found)")
            let again = try await node.service.verify("c", deadline: node.deadline)
            #expect(again.filter { !$0.isWhole }.isEmpty, "\(again)")
        }
    }

    @Test("while points are written and shards sealed, a verification finds nothing but what is so")
    func besideWrites() async throws {
        try await Self.with { node, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var random = SeededGenerator(seed: 9)
                    var model: [PointID: Point] = [:]
                    for _ in 0..<60 { try await SealingTests.write(node, &model, &random) }
                }
                for _ in 0..<4 {
                    let found = try await node.service.verify("c", deadline: node.deadline)
                    #expect(found.filter { !$0.isWhole }.isEmpty, "\(found)")
                }
                try await group.waitForAll()
            }
        }
    }
}
