import ApusCatalog
import ApusTypes
import ApusVectorIndex
import TestKit
import Testing

@testable import ApusVectors

/// One collection made to hold what another holds.
@Suite("copying")
struct CopyingTests {
    static let fields = [VectorField("text", .dense(dimension: 4, .cosine)), VectorField("words", .sparse(idf: true))]

    static func point(_ number: Int, _ word: String = "a") throws -> Point {
        let sparse = PointVectors.Entry("words", .sparse(SparseVector(indices: [UInt32(number)], values: [0.5])))
        let dense = PointVectors.Entry("text", .dense([Float(number), 1, 0, 0.25]))
        return Point(
            id: number % 3 == 0 ? try PointID("name-\(number)") : .integer(UInt64(number)),
            vectors: PointVectors(number % 2 == 0 ? [dense, sparse] : [sparse]), payload: Array(#"{"w":"\#(word)"}"#.utf8))
    }

    static func all(_ node: TestNode, _ name: CollectionName) async throws -> [Point] {
        try await node.service.scroll(name, limit: 10_000, with: [.vector, .payload], deadline: node.deadline).points
    }

    /// A round over all ids; gives what it wrote and deleted, and whether nothing was written meanwhile.
    static func round(_ node: TestNode) async throws -> (written: Int, deleted: Int, isStill: Bool) {
        var (written, deleted, first): (Int, Int, [Int64]?) = (0, 0, nil)
        var place: PointID?
        while true {
            let step = try await node.service.copy(from: "old", to: "new", startingAt: place, limit: 37, deadline: node.deadline)
            if first == nil { first = step.before }
            written += step.written
            deleted += step.deleted
            place = step.next
            if place == nil { return (written, deleted, step.after == first) }
        }
    }

    @Test("named and sparse vectors, ids of all kinds, payloads, settings and indexes go along; a second round does what was missed")
    func rounds() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite(directory + "/catalog.db") { node in
                let deadline = node.deadline
                _ = try await node.service.createCollection(
                    "old", .init(Self.fields, description: "d"), settings: #"{"a":1}"#, deadline: deadline)
                try await node.service.setPayloadIndex(on: "w", of: "old", to: #"{"type":"keyword"}"#, deadline: deadline)
                _ = try await node.service.upsert(try (0..<200).map { try Self.point($0) }, into: "old", deadline: deadline)
                let made = try await node.service.createCollection("new", like: "old", shards: 3, deadline: deadline)
                #expect(made.shards.count == 3 && made.configuration.fields == Self.fields && made.configuration.description == "d")
                #expect(try await node.service.settings(of: "new", deadline: deadline) == #"{"a":1}"#)
                #expect(try await node.service.payloadIndexes(of: "new", deadline: deadline) == ["w": #"{"type":"keyword"}"#])
                #expect(try await Self.round(node) == (200, 0, true))
                #expect(try await Self.all(node, "new") == Self.all(node, "old"))
                #expect(try await Self.round(node) == (0, 0, true))
                // Written to either side meanwhile.
                _ = try await node.service.upsert([try Self.point(5, "b"), try Self.point(900)], into: "old", deadline: deadline)
                _ = try await node.service.delete([.integer(7), try PointID("name-9")], from: "old", deadline: deadline)
                _ = try await node.service.upsert([try Self.point(901)], into: "new", deadline: deadline)
                #expect(try await Self.round(node) == (2, 3, true))
                #expect(try await Self.all(node, "new") == Self.all(node, "old"))

                // Made again it is the same; with other shards it is another.
                _ = try await node.service.createCollection("new", like: "old", shards: 3, deadline: deadline)
                for (name, shards) in [("new", 4), ("old", 1)] {
                    let error = try await #require(throws: ApusError.self) {
                        _ = try await node.service.createCollection(
                            CollectionName(name), like: "old", shards: shards, deadline: deadline)
                    }
                    #expect(error.code == .requestInvalid && error.context["field"] == "to")
                }
                let error = try await #require(throws: ApusError.self) {
                    _ = try await node.service.copy(from: "old", to: "old", startingAt: nil, limit: 10, deadline: deadline)
                }
                #expect(error.code == .requestInvalid)
            }
        }
    }

    @Test("a write during a round is noticed, wherever its id lies")
    func notices() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite(directory + "/catalog.db") { node in
                let deadline = node.deadline
                _ = try await node.service.createCollection("old", .init(Self.fields), deadline: deadline)
                _ = try await node.service.upsert(try (0..<100).map { try Self.point($0) }, into: "old", deadline: deadline)
                _ = try await node.service.createCollection("new", like: "old", shards: nil, deadline: deadline)
                let first = try await node.service.copy(from: "old", to: "new", startingAt: nil, limit: 50, deadline: deadline)
                _ = try await node.service.upsert([try Self.point(1, "late")], into: "old", deadline: deadline)
                let last = try await node.service.copy(from: "old", to: "new", startingAt: first.next, limit: 50, deadline: deadline)
                #expect(last.next == nil && last.after != first.before)
                #expect(try await Self.round(node) == (1, 0, true))
            }
        }
    }
}
