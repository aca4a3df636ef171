import ApusTypes
import NodeTestKit
import TestKit
import Testing

/// The REST calls of the Python client, with the bodies it sends and the keys its models insist on.
@Suite("REST calls")
struct RestTests {
    /// What `CollectionInfo(**body)` takes; any other key raises.
    static let collectionKeys: Set = [
        "name", "dimension", "vector_count", "similarity_metric", "metric", "status", "document_count", "error_message", "last_updated",
        "created_at", "updated_at", "embedding_provider", "indexing_status", "normalization", "quantization", "size",
        "vector_count_history",
    ]

    func isCollection(_ value: JSONValue) -> Bool {
        guard let object = value.asObject else { return false }
        return Set(object.keys).isSubset(of: Self.collectionKeys) && ["name", "dimension", "vector_count"].allSatisfy { object[$0] != nil }
    }

    @Test("collections are created, listed, shown and deleted with keys that the client's model accepts")
    func collections() async throws {
        try await TestNode.with { node in
            let created = try await node.post(
                "/collections", ["name": "c", "dimension": 3, "similarity_metric": "euclidean", "description": "mine"])
            #expect(created.status == 200 && isCollection(created.json))
            #expect(created["similarity_metric"] == "euclidean" && created["metric"] == "euclidean" && created["status"] == "ready")
            let list = try await node.get("/collections")
            #expect(list["collections"]?.asArray?.count == 1 && list["collections"]?.asArray?.allSatisfy(isCollection) == true)
            let shown = try await node.get("/collections/c")
            #expect(shown.json == list["collections"]?.asArray?.first)
            let detail = try await node.get("/collections/c?detail=true")
            #expect(detail["description"] == "mine" && detail["sharding"]?["shard_count"] == 1 && detail["shards"]?.asArray?.count == 1)
            #expect(try await node.delete("/collections/c").status == 200)
            #expect(try await node.get("/collections")["collections"] == [])
        }
    }

    @Test("vectors are inserted, read, listed, updated and deleted")
    func vectors() async throws {
        try await TestNode.with { node in
            _ = try await node.post("/collections", ["name": "c", "dimension": 2])
            let one = try await node.post("/insert", ["collection": "c", "id": "a", "vector": [1, 0], "metadata": ["n": 1]])
            #expect(one["vectors_created"] == 1 && one["vector_ids"] == ["a"] && one["collection"] == "c" && one["chunked"] == false)
            let many = try await node.post(
                "/insert_vectors",
                [
                    "collection": "c",
                    "vectors": [
                        ["id": "b", "embedding": [0, 1], "payload": ["n": 2]], ["embedding": [1, 1], "metadata": ["n": 3]],
                        ["id": 7, "vector": [0.5, 0.25]],
                    ],
                ])
            #expect(many["collection"] == "c" && many["inserted"] == 3 && many["failed"] == 0 && many["count"] == 3)
            let results = try #require(many["results"]?.asArray)
            #expect(
                results[0] == [
                    "index": 0, "id": "b", "client_id": "b", "status": "ok", "vector_ids": ["b"], "vectors_created": 1, "chunked": false,
                ])
            let generated = try #require(results[1]["id"]?.asString)
            #expect(generated.utf8.count == 36 && results[1]["client_id"] == .null)

            #expect(try await node.get("/collections/c/vectors/a").json == ["id": "a", "vector": [1.0, 0.0], "payload": ["n": 1]])
            #expect(try await node.get("/collections/c/vectors/\(generated)")["payload"] == ["n": 3])
            #expect(try await node.get("/collections/c/vectors/7")["payload"] == .null)
            let page = try await node.get("/collections/c/vectors?limit=2&offset=1")
            #expect(page["total"] == 4 && page["limit"] == 2 && page["offset"] == 1 && page["vectors"]?.asArray?.count == 2)
            #expect(try await node.get("/collections/c")["vector_count"] == 4)

            #expect(try await node.post("/update", ["collection": "c", "id": "a", "metadata": ["n": 10]]).status == 200)
            #expect(try await node.get("/collections/c/vectors/a").json == ["id": "a", "vector": [1.0, 0.0], "payload": ["n": 10]])
            let updated = try await node.post(
                "/batch_update", ["collection": "c", "updates": [["id": "b", "vector": [3, 4]], ["id": "none", "metadata": [:]]]])
            #expect(updated["count"] == 2 && updated["updated"] == 1 && updated["failed"] == 1)
            #expect(updated["results"]?.asArray?[1]["error"] == "Vector not found: none")
            #expect(try await node.get("/collections/c/vectors/b")["vector"] == [3.0, 4.0])

            #expect(try await node.delete("/collections/c/vectors/a").status == 200)
            #expect(try await node.delete("/collections/c/vectors/a").status == 404)
            let deleted = try await node.post("/batch_delete", ["collection": "c", "ids": ["b", "gone", 7]])
            #expect(deleted["collection"] == "c" && deleted["count"] == 3 && deleted["deleted"] == 2 && deleted["failed"] == 1)
            #expect(deleted["results"]?.asArray?.map { $0["status"] } == ["ok", "error", "ok"])
            // An id that comes twice is deleted once.
            _ = try await node.post("/insert", ["collection": "c", "id": "b", "vector": [1, 0]])
            let twice = try await node.post("/batch_delete", ["collection": "c", "ids": ["b", "b"]])
            #expect(twice["count"] == 2 && twice["deleted"] == 1 && twice["failed"] == 0)
            #expect(try await node.post("/collections/c/count", [:])["count"] == 1)
        }
    }

    func filled(_ node: TestNode) async throws {
        _ = try await node.post("/collections", ["name": "c", "dimension": 2, "metric": "euclidean", "sharding": ["shard_count": 3]])
        let points: [JSONValue] = (0..<10).map { index in
            [
                "id": .integer(index), "vector": [.integer(index), 0],
                "payload": ["n": .integer(index), "even": .bool(index % 2 == 0), "tag": index < 5 ? "low" : "high"],
            ]
        }
        let inserted = try await node.post("/insert_vectors", ["collection": "c", "vectors": .array(points)])
        try #require(inserted["inserted"] == 10)
    }

    @Test("searches by vector, with limit, threshold, filter, payload and vector")
    func search() async throws {
        try await TestNode.with { node in
            try await filled(node)
            func ids(_ reply: TestNode.Reply) -> [String]? { reply["results"]?.asArray?.compactMap { $0["id"]?.asString } }
            let plain = try await node.post("/collections/c/search", ["collection": "c", "query": [2.2, 0], "limit": 3])
            #expect(ids(plain) == ["2", "3", "1"] && plain["complete"] == true)
            // Its model knows id, score, content and metadata.
            #expect(plain["results"]?.asArray?.allSatisfy { Set($0.asObject?.keys ?? []) == ["id", "score", "metadata"] } == true)
            #expect(plain["results"]?.asArray?.first?["metadata"]?["n"] == 2)
            let score = try #require(plain["results"]?.asArray?.first?["score"]?.asDouble)
            #expect(abs(score - 0.2) < 1e-6)
            #expect(ids(try await node.post("/search", ["collection": "c", "vector": [2.2, 0], "threshold": 1])) == ["2", "3"])
            #expect(
                ids(try await node.post("/collections/c/search", ["vector": [9, 0], "limit": 2, "filter": ["even": true]])) == ["8", "6"])
            let exact = try await node.post(
                "/collections/c/search", ["vector": [0, 0], "limit": 1, "exact": true, "with_payload": true, "with_vector": true])
            #expect(
                exact["results"]?.asArray?.first == [
                    "id": "0", "score": 0.0, "payload": ["n": 0, "even": true, "tag": "low"], "vector": [0.0, 0.0],
                ])
            let bare = try await node.post("/collections/c/search", ["vector": [0, 0], "limit": 1, "with_payload": false])
            #expect(bare["results"] == [["id": "0", "score": 0.0]])
            #expect(ids(try await node.post("/collections/c/search", ["vector": [0, 0], "limit": 0])) == [])
            #expect(ids(try await node.post("/collections/c/search", ["vector": [0, 0], "limit": 99]))?.count == 10)
            let clamped = try await node.post("/collections/c/search", ["vector": [0, 0], "limit": .unsigned(.max)])
            #expect(clamped["limit"] == 100 && ids(clamped)?.count == 10)

            let batch = try await node.post(
                "/batch_search",
                [
                    "collection": "c",
                    "queries": [
                        ["vector": [0, 0], "limit": 1], ["vector": [1], "limit": 1], ["collection": "none", "vector": [1, 1]],
                        ["query": "hello"],
                    ],
                ])
            #expect(batch["results"]?.asArray?.map { $0["status"] } == ["ok", "error", "error", "error"])
            #expect(batch["results"]?.asArray?[3]["code"] == "embedding.unavailable")
            #expect(batch["results"]?.asArray?[1]["error"] == "embedding length 1 does not match collection dimension 2")
            #expect(batch["results"]?.asArray?[2]["error"] == "Collection not found: none")
        }
    }

    @Test("deletes and updates by filter, copies and moves, scrolls")
    func bulk() async throws {
        try await TestNode.with { node in
            try await filled(node)
            let updated = try await node.post(
                "/bulk_update_metadata", ["collection": "c", "filter": ["tag": "low"], "patch": ["tag": nil, "seen": true]])
            #expect(updated["matched"] == 5 && updated["updated"] == 5 && updated["scanned"] == 10)
            #expect(try await node.get("/collections/c/vectors/1")["payload"] == ["n": 1, "even": false, "seen": true])
            let deleted = try await node.post("/collections/c/vectors/delete_by_filter", ["filter": ["n": ["gte": 8]]])
            #expect(deleted["matched"] == 2 && deleted["deleted"] == 2)
            for filter in [
                "{}", #"{"must":[]}"#, #"{"must":[{},{}]}"#, #"{"must_not":[{"has_id":[]}]}"#, #"{"n":{"gte":null}}"#,
                #"{"must":[{"key":"n","values_count":{"gte":1}}]}"#, #"{"must_not":[{"key":"n","match":{"any":[]}}]}"#,
            ] {
                for path in ["delete_by_filter", "bulk_update_metadata"] {
                    let reply = try await node.post("/\(path)", text: #"{"collection":"c","filter":\#(filter),"patch":{"x":1}}"#)
                    #expect(reply.status == 400 && reply["details"]?["field"]?.asString?.isEmpty == false, "\(path) \(filter)")
                }
            }
            #expect(try await node.post("/collections/c/count", [:])["count"] == 8)

            _ = try await node.post("/collections", ["name": "d", "dimension": 2])
            let copied = try await node.post("/collections/c/vectors/copy", ["destination": "d", "ids": [0, 1, 99]])
            #expect(copied["src"] == "c" && copied["dst"] == "d" && copied["copied"] == 2 && copied["failed"] == 1)
            let moved = try await node.post("/collections/c/vectors/move", ["destination": "d", "ids": [2]])
            #expect(moved["moved"] == 1)
            #expect(try await node.post("/collections/c/count", [:])["count"] == 7)
            #expect(try await node.post("/collections/d/count", [:])["count"] == 3)

            var ids: [String] = []
            var next: JSONValue = .null
            repeat {
                let page = try await node.post("/collections/c/scroll", ["limit": 3, "offset": next, "with_vector": true])
                #expect(page["points"]?.asArray?.allSatisfy { $0["vector"] != nil && $0["payload"] != nil } == true)
                ids += page["points"]?.asArray?.compactMap { $0["id"]?.asString } ?? []
                next = page["next_offset"] ?? .null
            } while next != .null
            #expect(ids == ["0", "1", "3", "4", "5", "6", "7"])
        }
    }

    @Test("a write that comes again with its key has one effect and the first reply")
    func idempotency() async throws {
        try await TestNode.with { node in
            _ = try await node.post("/collections", ["name": "c", "dimension": 2])
            let body: JSONValue = ["collection": "c", "vectors": [["vector": [1, 0]], ["vector": [0, 1]], ["vector": [1]]]]
            let key = [("Idempotency-Key", "k-1")]
            let first = try await node.post("/insert_vectors", body, headers: key)
            let again = try await node.post("/insert_vectors", body, headers: key)
            #expect(first.status == 200 && first["inserted"] == 2 && first.json == again.json)
            #expect(try await node.post("/collections/c/count", [:])["count"] == 2)
            let other = try await node.post("/insert_vectors", ["collection": "c", "vectors": [["vector": [1, 1]]]], headers: key)
            #expect(other.status == 409 && other["code"] == "write.idempotency_conflict")
            // Another key is another write.
            #expect(try await node.post("/insert_vectors", body, headers: [("Idempotency-Key", "k-2")]).status == 200)
            #expect(try await node.post("/collections/c/count", [:])["count"] == 4)
            #expect(try await node.post("/insert_vectors", body, headers: [("Idempotency-Key", "a b")]).status == 400)
            let update: JSONValue = ["collection": "c", "filter": ["new": nil], "patch": ["seen": true]]
            _ = try await node.post("/insert", ["collection": "c", "id": "u", "vector": [1, 0], "metadata": ["new": nil]])
            let updated = try await node.post("/bulk_update_metadata", update, headers: [("Idempotency-Key", "u-1")])
            _ = try await node.post("/insert", ["collection": "c", "id": "u", "vector": [1, 0], "metadata": ["new": nil]])
            let repeated = try await node.post("/bulk_update_metadata", update, headers: [("Idempotency-Key", "u-1")])
            #expect(updated["updated"] == 1 && updated.json == repeated.json)
            #expect(try await node.get("/collections/c/vectors/u")["payload"] == ["new": nil])
            let deletion = [("Host", "localhost"), ("Idempotency-Key", "d-1")]
            _ = try await node.post("/insert", ["collection": "c", "id": "x", "vector": [1, 0]])
            #expect(try await node.send("DELETE", "/collections/c/vectors/x", headers: deletion).status == 200)
            #expect(try await node.send("DELETE", "/collections/c/vectors/x", headers: deletion).status == 200)
            #expect(try await node.delete("/collections/c/vectors/x").status == 404)
        }
    }

    @Test("a collection without a provider takes no texts, and says so")
    func text() async throws {
        try await TestNode.with { node in
            _ = try await node.post("/collections", ["name": "c", "dimension": 2])
            let requests: [(String, JSONValue)] = [
                ("/insert", ["collection": "c", "id": "a", "text": "hello", "metadata": [:]]),
                ("/insert_texts", ["collection": "c", "texts": [["id": "a", "text": "hello"]]]),
                ("/collections/c/vectors", ["collection": "c", "vectors": [["id": "a", "data": "hello", "metadata": [:]]]]),
                ("/collections/c/search", ["query": "hello", "limit": 1]), ("/collections/c/search/text", ["query": "hello"]),
                ("/embed", ["text": "hello", "collection": "c"]), ("/collections/c/hybrid_search", ["query": "hello"]),
            ]
            for (path, body) in requests {
                let reply = try await node.post(path, body)
                #expect(reply.status == 501 && reply["code"] == "embedding.unavailable", "\(path)")
            }
        }
    }

    @Test("everything is there after a restart")
    func restart() async throws {
        let (directory, updatedAt) = try await TestNode.with { node in
            try await filled(node)
            return (node.directory, try await node.get("/collections/c")["updated_at"])
        }
        try await TestNode.with(in: directory) { node in
            try await eventually("the points are back") { try await node.get("/collections/c")["vector_count"] == 10 }
            // When it was written, not when it was read again.
            #expect(try await node.get("/collections/c")["updated_at"] == updatedAt)
            #expect(try await node.post("/collections/c/search", ["vector": [9, 0], "limit": 1])["results"]?.asArray?.first?["id"] == "9")
        }
    }
}
