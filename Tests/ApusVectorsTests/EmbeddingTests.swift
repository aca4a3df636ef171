import ApusCatalog
import ApusDatabase
import ApusEmbedding
import ApusRuntime
import ApusStore
import ApusTypes
import ApusVectorIndex
import DatabaseTestKit
import EmbeddingTestKit
import Synchronization
import TestKit
import Testing

@testable import ApusVectors

@Suite("embedding in the vectors service")
struct EmbeddingTests {
    @Test("a collection's provider makes its vectors, in the order of the texts, however many there are")
    func order() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite(directory + "/c.sqlite") { node in
                var configuration = CollectionConfiguration(dimension: 64)
                configuration.embedding = try EmbeddingProvider(named: "char_ngram")
                _ = try await node.service.createCollection("c", configuration, deadline: node.deadline)
                for count in [0, 1, 2, 3, 100, 5000] {
                    let texts = (0..<count).map { "text number \($0)" }
                    let vectors = try await node.service.embed(texts, for: "c", deadline: node.deadline)
                    #expect(vectors.count == count)
                    for index in stride(from: 0, to: count, by: 97) {
                        #expect(vectors[index] == configuration.embedding?.lexicalVector(of: texts[index], dimension: 64))
                    }
                }
            }
        }
    }

    @Test("errors name the text, the collection and what to do")
    func errors() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite(directory + "/c.sqlite") { node in
                let bm25 = try EmbeddingProvider(named: "bm25")
                _ = try await node.service.createCollection("plain", CollectionConfiguration(dimension: 2), deadline: node.deadline)
                func error(_ body: () async throws -> Void) async -> ApusError? {
                    do { try await body() } catch { return error as? ApusError }
                    return nil
                }
                let none = await error { _ = try await node.service.embed(["x"], for: "plain", deadline: node.deadline) }
                #expect(none?.code == .embeddingUnavailable && none?.hint != nil)
                let unknown = await error { _ = try await node.service.embed(["x"], for: "gone", deadline: node.deadline) }
                #expect(unknown?.code == .collectionUnknown)
                let empty = await error {
                    _ = try await node.service.embed(["x", " \n"], with: bm25, dimension: 4, deadline: node.deadline)
                }
                #expect(empty?.code == .requestInvalid && empty?.context["field"] == "texts[1]" && empty?.context["index"] == "1")
                let long = String(repeating: "x", count: VectorService.longestText.bytes + 1)
                let tooLong = await error { _ = try await node.service.embed([long], with: bm25, dimension: 4, deadline: node.deadline) }
                #expect(tooLong?.code == .requestTooLarge)
                let wide = await error { _ = try await node.service.embed(["x"], with: bm25, dimension: 65_537, deadline: node.deadline) }
                #expect(wide?.code == .embeddingWrongDimension)
                let model = await error { _ = try await node.service.embed(["x"], with: .miniLM, dimension: 384, deadline: node.deadline) }
                #expect(model?.code == .modelUnknown)
            }
        }
    }

    @Test("a search by words reads every shard, counts the whole collection, and ties go by id")
    func words() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite(directory + "/c.sqlite") { node in
                for (name, sharding) in [("one", Sharding.single), ("many", Sharding(shards: 5))] as [(CollectionName, Sharding)] {
                    _ = try await node.service.createCollection(
                        name, CollectionConfiguration(dimension: 1, sharding: sharding), deadline: node.deadline)
                    let points = try (0..<600).map { index in
                        try Point(
                            "p\(index)", [1],
                            #"{"content":"filler \#(index % 2 == 0 ? "swift" : "stone") \#(index % 50 == 0 ? "rare" : "")"}"#)
                    }
                    _ = try await node.service.upsert(points, into: name, deadline: node.deadline)
                }
                var answers: [[PointID]] = []
                for name in ["one", "many"] as [CollectionName] {
                    let found = try await node.service.search(
                        words: "a RARE swift", limit: 20, projection: .payload, in: name, deadline: node.deadline)
                    #expect(found.isComplete && found.hits.count == 20)
                    // Twelve hold both words; then those with one, in the order of their ids.
                    #expect(found.hits.prefix(12).allSatisfy { String(decoding: $0.point.payload ?? [], as: UTF8.self).contains("rare") })
                    #expect(found.hits.map(\.score) == found.hits.map(\.score).sorted(by: >))
                    answers.append(found.hits.map(\.point.id))
                }
                #expect(answers[0] == answers[1])
                #expect(
                    Array(answers[0].prefix(12)) == answers[0].prefix(12).sorted()
                        && Array(answers[0].dropFirst(12)) == answers[0].dropFirst(12).sorted())
                #expect(try await node.service.search(words: "nothing", limit: 5, in: "one", deadline: node.deadline).hits.isEmpty)
                #expect(try await node.service.search(words: "swift", limit: 0, in: "one", deadline: node.deadline).hits.isEmpty)
            }
        }
    }

    /// A node whose models are in the catalog, with copies in a directory of its own.
    private static func onNode<Value: Sendable>(
        _ url: Redacted<String>, _ directory: String, _ body: (TestNode) async throws -> Value
    ) async throws -> Value {
        let database = try await PostgreSQLDatabase.open(
            url: url, loops: TestLoops.shared, deadline: BootClock.now.advanced(by: .seconds(20)))
        return try await TestNode.with(database, copies: directory, body)
    }

    @Test("a model that one node was given is every node's, and so is its removal")
    func models() async throws {
        try await withTemporaryDirectory { directory in
            let url = try await PostgreSQLServer.shared().newDatabase()
            try await Self.onNode(url, directory + "/a") { a in
                try await Self.onNode(url, directory + "/b") { b in
                    let package = try TinyModel.package()
                    let pieces = Mutex(
                        stride(from: 0, to: package.count, by: 1000).map { Array(package[$0..<min($0 + 1000, package.count)]) }[...])
                    _ = try await #require(a.service.models).add(
                        "tiny", { pieces.withLock { $0.popFirst() } }, deadline: a.deadline)
                    let expected = try TinyModel.model().vectors(of: ["a swift"])
                    for node in [a, b] {
                        let vectors = try await node.service.embed(
                            ["a swift"], with: .model("tiny"), dimension: 32, deadline: node.deadline)
                        #expect(vectors == expected)
                    }
                    try await #require(b.service.models).remove("tiny", deadline: b.deadline)
                    try await eventually("the other node has forgotten it") {
                        do {
                            _ = try await a.service.embed(["a swift"], with: .model("tiny"), dimension: 32, deadline: a.deadline)
                            return false
                        } catch let error as ApusError { return error.code == .modelUnknown }
                    }
                    // Another model of the name is another one everywhere.
                    let second = Mutex([try TinyModel.package(seed: 2)][...])
                    _ = try await #require(b.service.models).add("tiny", { second.withLock { $0.popFirst() } }, deadline: b.deadline)
                    let other = try await a.service.embed(["a swift"], with: .model("tiny"), dimension: 32, deadline: a.deadline)
                    #expect(other != expected)
                }
            }
        }
    }
}
