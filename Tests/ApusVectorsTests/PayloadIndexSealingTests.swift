import ApusTypes
import DatabaseTestKit
import TestKit
import Testing

@testable import ApusVectorIndex
@testable import ApusVectors

@Suite("payload indexes of segments")
struct PayloadIndexSealingTests {
    /// Texts are too long to be indexed unless somebody says so.
    static func points(_ numbers: Range<Int>) -> [Point] {
        numbers.map { number in
            let text = "a rather long text, which nobody looks up as a whole: word\(number % 7) of \(number)"
            return Point(
                id: .integer(UInt64(number)), vector: [Float(number), 1],
                payload: Array(#"{"kind":"k\#(number % 3)","text":"\#(text)"}"#.utf8))
        }
    }

    @Test("an index that is declared later is in the segments made from then on; counts, pages and facets are the same before and after")
    func declaredLater() async throws {
        let directory = try TemporaryDirectory()
        try await TestNode.onSQLite("\(directory.path)/catalog.db", options: SealingTests.eager, copies: directory.path + "/copies") {
            node in
            _ = try await node.service.createCollection("c", .init(dimension: 2, metric: .dot), deadline: node.deadline)
            func indexed() throws -> [Set<[UInt8]>] {
                try node.service.loaded().values.flatMap(\.shards).flatMap { $0.standing.memory.segments }.filter { $0.count > 0 }
                    .map { Set($0.payloadIndexes.keys) }
            }
            func check(_ count: Int) async throws {
                let words = Filter.text(PayloadPath("text"), .allWords(["word3"]))
                let wanted = (0..<count).filter { $0 % 7 == 3 }
                #expect(try await node.service.count("c", matching: words, deadline: node.deadline) == wanted.count)
                let both = Filter.all([words, .equals(PayloadPath("kind"), .string("k1"))])
                let page = try await node.service.scroll("c", limit: 1000, filter: both, with: [], deadline: node.deadline)
                #expect(page.points.map(\.id) == wanted.filter { $0 % 3 == 1 }.map { .integer(UInt64($0)) })
                let facet = try await node.service.facet("c", at: PayloadPath("kind"), filter: words, limit: 1, deadline: node.deadline)
                #expect(facet.first?.count == (0..<3).map { kind in wanted.count { $0 % 3 == kind } }.max())
                var request = SearchRequest(vector: [1, 0], limit: 5, filter: both)
                request.isExact = false
                let hits = try await node.service.search(request, in: "c", deadline: node.deadline).hits
                #expect(hits.map(\.point.id) == wanted.filter { $0 % 3 == 1 }.suffix(5).reversed().map { .integer(UInt64($0)) })
            }
            _ = try await node.service.upsert(Self.points(0..<200), into: "c", deadline: node.deadline)
            try await eventually("the points are sealed") {
                try !indexed().isEmpty && node.service.collections()[0].shards[0].unsealed == 0
            }
            let kind = try PayloadPath(jsonPath: "kind").indexKey, text = try PayloadPath(jsonPath: "text").indexKey
            #expect(try indexed().allSatisfy { $0 == [kind] })
            try await check(200)
            try await node.service.setPayloadIndex(on: "text", of: "c", to: #"{"type":"text"}"#, deadline: node.deadline)
            try await check(200)
            var count = 200
            try await eventually("all segments were merged") {
                if count < 1000 {
                    _ = try await node.service.upsert(Self.points(count..<count + 20), into: "c", deadline: node.deadline)
                    count += 20
                }
                return try indexed().allSatisfy { $0 == [kind, text] }
            }
            try await check(count)
        }
    }
}
