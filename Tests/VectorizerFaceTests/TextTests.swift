import ApusCatalog
import ApusCluster
import ApusEmbedding
import ApusHTTP
import ApusTypes
import ApusVectors
import EmbeddingTestKit
import NodeTestKit
import TestKit
import Testing

/// Texts in, vectors out, through the face that Vectorizer's clients use.
@Suite("texts over HTTP")
struct TextTests {
    static let texts: [JSONValue] = [
        ["id": "swift", "text": "The common swift sleeps on the wing", "metadata": ["kind": "bird"]],
        ["id": "pages", "text": "PostgreSQL keeps rows in pages", "metadata": ["kind": "data"]],
        ["id": "search", "text": "Vector databases find neighbours of vectors", "metadata": ["kind": "data"]],
    ]

    static func ids(_ reply: TestNode.Reply) -> [String] { reply["results"]?.asArray?.compactMap { $0["id"]?.asString } ?? [] }

    static func filled(_ node: TestNode, provider: JSONValue = "bm25", dimension: JSONValue = .null) async throws {
        let made = try await node.post("/collections", ["name": "t", "embedding_provider": provider, "dimension": dimension])
        try #require(made.status == 200, "\(made.json)")
        let reply = try await node.post("/insert_texts", ["collection": "t", "texts": .array(texts)])
        try #require(reply["inserted"] == 3, "\(reply.json)")
    }

    @Test("texts are embedded when they are inserted, by each of the calls", arguments: ["bm25", "tfidf", "bag_of_words", "char_ngram"])
    func inserts(provider: String) async throws {
        try await TestNode.with { node in
            try await Self.filled(node, provider: .string(provider))
            #expect(try await node.get("/collections/t")["embedding_provider"] == .string(provider))
            #expect(try await node.get("/collections/t")["dimension"] == 512)
            let expected = try EmbeddingProvider(named: provider).lexicalVector(of: "The common swift sleeps on the wing", dimension: 512)
            let stored = try await node.get("/collections/t/vectors/swift")
            #expect(stored["payload"] == ["content": "The common swift sleeps on the wing", "kind": "bird"])
            let vector = stored["vector"]?.asArray?.compactMap { $0.asDouble.map(Float.init) } ?? []
            #expect(zip(vector, expected ?? []).allSatisfy { abs($0 - $1) < 1e-6 } && vector.count == 512)

            let one = try await node.post(
                "/insert", ["collection": "t", "id": "one", "text": "A single text", "metadata": ["content": "own"]])
            #expect(one.status == 200 && one["vector_ids"] == ["one"] && one["vectors_created"] == 1 && one["chunked"] == false)
            #expect(try await node.get("/collections/t/vectors/one")["payload"] == ["content": "own"])
            let batch = try await node.post(
                "/batch_insert", ["collection": "t", "texts": ["plain text", ["text": " "], ["id": 7, "data": "by data"]]])
            #expect(batch["inserted"] == 2 && batch["failed"] == 1)
            #expect(batch["results"]?.asArray?[1]["field"] == "texts[1].text")
            #expect(try await node.get("/collections/t/vectors/7")["payload"] == ["content": "by data"])
            // Texts and vectors may stand beside each other.
            let numbers = JSONValue.array([JSONValue](repeating: 0.5, count: 512))
            let mixed = try await node.post(
                "/collections/t/vectors", ["vectors": [["id": "v", "vector": numbers], ["id": "w", "text": "words"]]])
            #expect(mixed["inserted"] == 2)
            let count = try await node.post("/collections/t/count", [:])
            #expect(count["count"] == 8)
        }
    }

    @Test("texts are searched for, with limit, filter and threshold, by each of the calls")
    func searches() async throws {
        try await TestNode.with { node in
            try await Self.filled(node)
            let requests: [(String, JSONValue)] = [
                ("/collections/t/search/text", ["query": "sleeping swift"]),
                ("/collections/t/search", ["collection": "t", "query": "swift"]),
                ("/search", ["collection": "t", "text": "swift"]), ("/semantic_search", ["collection": "t", "query": "swift"]),
            ]
            for (path, body) in requests {
                let reply = try await node.post(path, body)
                #expect(Self.ids(reply).first == "swift" && reply["complete"] == true, "\(path) \(reply.json)")
            }
            let filtered = try await node.post(
                "/collections/t/search/text", ["query": "swift rows", "filter": ["kind": "data"], "limit": 1])
            #expect(Self.ids(filtered) == ["pages"])
            #expect(Self.ids(try await node.post("/collections/t/search/text", ["query": "swift", "threshold": 0.99])).isEmpty)
            let batch = try await node.post("/batch_search", ["collection": "t", "queries": [["query": "pages"], ["query": ""]]])
            #expect(batch["results"]?.asArray?[0]["results"]?.asArray?.first?["id"] == "pages")
            #expect(batch["results"]?.asArray?[1]["code"] == "request.invalid")
        }
    }

    @Test("hybrid search finds by words what is far by vector, and by vector what shares no word")
    func hybrid() async throws {
        try await TestNode.with { node in
            _ = try await node.post("/collections", ["name": "h", "dimension": 2])
            let points: [JSONValue] = [
                ["id": "near", "vector": [1, 0], "payload": ["content": "nothing of the kind"]],
                ["id": "both", "vector": [0.8, 0.6], "payload": ["content": "a swift, \"Apus\" apus"]],
                ["id": "words", "vector": [-1, 0], "payload": ["content": "apus apus apus über"]],
                ["id": "other", "vector": [-1, -0.1], "payload": ["content": "unrelated", "text": "apus"]],
                ["id": "bare", "vector": [0, -1]],
            ]
            #expect(try await node.post("/insert_vectors", ["collection": "h", "vectors": .array(points)])["inserted"] == 5)
            func search(_ more: JSONObject) async throws -> TestNode.Reply {
                var body: JSONObject = ["query": "Apus", "vector": [1, 0], "dense_k": 2, "sparse_k": 2]
                for (key, value) in more { body[key] = value }
                return try await node.post("/collections/h/hybrid_search", .object(body))
            }
            let fused = try await search([:])
            #expect(Self.ids(fused) == ["both", "near", "words"])
            // Second by vector, second by words ("words" holds it more often).
            let scores = fused["results"]?.asArray?.compactMap { $0["score"]?.asDouble } ?? []
            #expect(abs(scores[0] - (1.0 / 62 + 1.0 / 62)) < 1e-6 && abs(scores[1] - 1.0 / 61) < 1e-6)
            #expect(fused["algorithm"] == "rrf" && fused["alpha"] == 0.7 && fused["limit"] == 10 && fused["query"] == "Apus")
            #expect(fused["results"]?.asArray?.first?["payload"]?["content"] == "a swift, \"Apus\" apus")
            #expect(Self.ids(try await search(["algorithm": "weighted", "alpha": 1.0])).first == "near")
            #expect(Self.ids(try await search(["algorithm": "weighted", "alpha": 0.0])).first == "words")
            #expect(Self.ids(try await search(["algorithm": "alpha", "alpha": 0.5])).first == "both")
            #expect(Self.ids(try await search(["final_k": 1])) == ["both"])
            #expect(Self.ids(try await search(["dense_k": 0])) == ["words", "both"])
            #expect(Self.ids(try await search(["sparse_k": 0])) == ["near", "both"])
            #expect(Self.ids(try await search(["dense_k": 0, "text_field": "text"])) == ["other"])
            #expect(Self.ids(try await search(["dense_k": 0, "query": "ÜBER"])) == ["words"])
            #expect(Self.ids(try await search(["filter": ["must": [["has_id": ["words", "near"]]]]])) == ["words", "near"])
            #expect(try await search(["with_vector": true])["results"]?.asArray?.first?["vector"] == [0.8, 0.6])
            for (bad, field): (JSONObject, String) in [
                (["alpha": 2], "alpha"), (["algorithm": "best"], "algorithm"), (["vector": [1]], "vector"), (["dense_k": -1], "dense_k"),
                (["query_sparse": ["indices": [1], "values": [1]]], "query_sparse"), (["query": nil], "query"),
            ] {
                let reply = try await search(bad)
                #expect(reply.status == 400 && reply["details"]?["field"]?.asString == field, "\(bad.keys): \(reply.json)")
            }
            let noProvider = try await node.post("/collections/h/hybrid_search", ["query": "apus"])
            #expect(noProvider.status == 501 && noProvider["code"] == "embedding.unavailable")
        }
    }

    @Test("texts are embedded for whoever asks")
    func embed() async throws {
        try await TestNode.with { node in
            let one = try await node.post("/embed", ["text": "a swift"])
            #expect(
                one["embedding"]?.asArray?.count == 512 && one["model"] == "bm25" && one["dimension"] == 512 && one["text"] == "a swift")
            let many = try await node.post("/embed", ["texts": ["a swift", "a bird"], "model": "char_ngram", "dimension": 64])
            #expect(many["embeddings"]?.asArray?.map { $0.asArray?.count } == [64, 64] && many["model"] == "char_ngram")
            try await Self.filled(node, provider: ["provider": "char_ngram", "min": 2, "max": 3], dimension: 100)
            let own = try await node.post("/embed", ["collection": "t", "text": "a swift"])
            #expect(own["dimension"] == 100 && own["model"] == "char_ngram")
            let detail = try await node.get("/collections/t?detail=true")
            #expect(detail["embedding"] == ["provider": "char_ngram", "min": 2, "max": 3])
            for body: JSONValue in [["text": "x", "model": "svd"], ["text": ""], [:], ["text": "x", "dimension": 0], ["texts": [1]]] {
                #expect(try await node.post("/embed", body).status == 400, "\(body)")
            }
            let missing = try await node.post("/embed", ["text": "x", "model": "minilm"])
            #expect(missing["code"] == "model.unknown" && missing["hint"]?.asString?.contains("apus model add") == true)
            let stats = try await node.get("/stats")
            #expect(stats["default_provider"] == "bm25")
            #expect(stats["providers"]?.asArray?.first == ["name": "bm25", "dimension": 512, "default": true])
        }
    }

    @Test("which provider a new collection has")
    func creation() async throws {
        try await TestNode.with { node in
            func made(_ body: JSONObject) async throws -> TestNode.Reply {
                _ = try await node.delete("/collections/c")
                return try await node.post("/collections", .object(JSONObject([("name", "c")] + body.map { ($0.key, $0.value) })))
            }
            // Vectorizer's default for its own dimension, nothing for vectors that are made elsewhere.
            #expect(try await made(["dimension": 512])["embedding_provider"] == "bm25")
            #expect(try await made(["dimension": 768])["embedding_provider"] == nil)
            #expect(try await made(["dimension": 512, "embedding_provider": "none"])["embedding_provider"] == nil)
            #expect(try await made(["dimension": 512, "embedding_provider": nil])["embedding_provider"] == nil)
            #expect(try await made(["embedding_provider": "tfidf"])["dimension"] == 512)
            #expect(try await made([:]).status == 400)
            let bad = try await made(["dimension": 4, "embedding_provider": ["provider": "bm25", "b": 2]])
            #expect(bad.status == 400 && bad["details"]?["field"] == "embedding_provider.b")
            #expect(try await made(["dimension": 384, "embedding_provider": "minilm"])["code"] == "model.unknown")
        }
    }

    @Test("what a collection is embedded with is there after a restart, and makes the same vectors")
    func restart() async throws {
        let (directory, before) = try await TestNode.with { node in
            try await Self.filled(node, provider: ["provider": "bm25", "k1": 0.5, "weights": ["swift": 3]])
            return (node.directory, try await node.post("/embed", ["collection": "t", "text": "the swift flies"])["embedding"])
        }
        try await TestNode.with(in: directory) { node in
            #expect(try await node.post("/embed", ["collection": "t", "text": "the swift flies"])["embedding"] == before)
            try await eventually("the points are back") { try await node.get("/collections/t")["vector_count"] == 3 }
            #expect(Self.ids(try await node.post("/collections/t/search/text", ["query": "swift"])).first == "swift")
        }
    }

    @Test("a model is uploaded, used, kept over a restart, protected while it is used, and removed")
    func models() async throws {
        let package = try TinyModel.package()
        let directory = try await TestNode.with { node in
            #expect(try await node.get("/api/models")["models"] == [])
            let added = try await node.send("PUT", "/api/models/tiny", package)
            #expect(
                added.status == 201 && added["dimension"] == 32 && added["size_bytes"] == .integer(Int64(package.count)), "\(added.json)")
            #expect(try await node.send("PUT", "/api/models/tiny", package)["error"]?["code"] == "model.exists")
            try await Self.filled(node, provider: "model:tiny")
            let stored =
                try await node.get("/collections/t/vectors/swift")["vector"]?.asArray?.compactMap { $0.asDouble.map(Float.init) } ?? []
            let expected = try TinyModel.model().vectors(of: ["The common swift sleeps on the wing"])[0]
            #expect(zip(stored, expected).allSatisfy { abs($0 - $1) < 1e-5 } && stored.count == 32)
            let wrong = try await node.post("/collections", ["name": "w", "embedding_provider": "model:tiny", "dimension": 31])
            #expect(wrong.status == 400 && wrong["code"] == "embedding.wrong_dimension" && wrong["details"]?["expected"] == "32")
            #expect(try await node.delete("/api/models/tiny")["error"]?["code"] == "model.in_use")
            #expect(try await node.delete("/api/models/none")["error"]?["code"] == "model.unknown")
            #expect(try await node.get("/stats")["providers"]?.asArray?.last == ["name": "model:tiny", "dimension": 32, "default": false])
            return node.directory
        }
        try await TestNode.with(in: directory) { node in
            #expect(try await node.get("/api/models")["models"]?.asArray?.map { $0["name"] } == ["tiny"])
            try await eventually("the points are back") { try await node.get("/collections/t")["vector_count"] == 3 }
            let text = "The common swift sleeps on the wing"
            #expect(Self.ids(try await node.post("/collections/t/search/text", ["query": .string(text), "limit": 1])) == ["swift"])
            #expect(try await node.delete("/collections/t").status == 200)
            #expect(try await node.delete("/api/models/tiny").status == 200)
            try await eventually("it cannot be used any more") {
                try await node.post("/embed", ["text": "x", "model": "model:tiny"])["code"] == "model.unknown"
            }
        }
    }

    @Test("an upload that is no model, or not all of one, leaves nothing behind")
    func badUploads() async throws {
        var options = TestNode.Options()
        options.storeLimit = .mebibytes(1)
        try await TestNode.with(options) { node in
            let package = try TinyModel.package()
            var infinite = package
            // A word's first number becomes infinite.
            let length = try Safetensors.headerLength(package)
            infinite.replaceSubrange(8 + length..<8 + length + 12 * 32 * 4, with: [UInt8](repeating: 0xFF, count: 12 * 32 * 4))
            let bodies: [(String, [UInt8])] = [
                ("nothing", []), ("short", [1, 2]), ("text", Array("hello, world".utf8)), ("cut", Array(package.dropLast(100))),
                ("half a header", Array(package.prefix(500))), ("longer", package + [0]), ("no numbers", infinite),
            ]
            for (what, body) in bodies {
                let reply = try await node.send("PUT", "/api/models/bad", body)
                #expect(reply.status == 400 && reply["error"]?["code"] == "model.invalid", "\(what): \(reply.json)")
            }
            for name in ["UPPER", ".hidden", "a%20b", String(repeating: "x", count: 65)] {
                #expect(try await node.send("PUT", "/api/models/\(name)", package).status == 400, "\(name)")
            }
            #expect(try await node.get("/api/models")["models"] == [])
        }
        options.storeLimit = .kibibytes(16)
        try await TestNode.with(options) { node in
            let reply = try await node.send("PUT", "/api/models/tiny", try TinyModel.package())
            #expect(reply.status == 507 && reply["error"]?["code"] == "store.full")
            #expect(reply["error"]?["hint"]?.asString?.contains("store.catalog.max_bytes") == true)
        }
    }

    @Test("only administrators change models; readers see them")
    func trust() async throws {
        var options = TestNode.Options()
        options.isLoopbackTrusted = false
        try await TestNode.with(options) { node in
            let package = try TinyModel.package()
            for (role, status): (APIKeyRole, Int) in [(.reader, 403), (.writer, 403), (.administrator, 201)] {
                let (_, secret) = try await node.access.create(name: "k", role: role, deadline: node.deadline)
                let headers = [("Host", "localhost"), ("X-API-Key", secret.reveal())]
                #expect(try await node.send("PUT", "/api/models/tiny", package, headers: headers).status == status, "\(role)")
                #expect(try await node.send("GET", "/api/models", headers: headers).status == 200)
                #expect(try await node.send("DELETE", "/api/models/tiny", headers: headers).status == (role == .administrator ? 200 : 403))
            }
            #expect(try await node.get("/api/models").status == 401)
        }
    }
}
