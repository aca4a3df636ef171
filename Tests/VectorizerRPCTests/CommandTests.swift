import ApusThunder
import ApusTypes
import DatabaseTestKit
import HTTPTestKit
import NodeTestKit
import TestKit
import Testing
import VectorizerFace

/// What the commands do, over a real connection to a node in this process.
@Suite("rpc commands")
struct CommandTests {
    @Test("collections: made, listed, told about, emptied, cleaned up, deleted")
    func collections() async throws {
        try await TestNode.with { node in
            let client = try RPCClient(node)
            let made = try await client.value("collections.create", .string("a"), .dimension(3, "euclidean"))
            #expect(made["name"] == .string("a") && made["dimension"] == .int(3))
            #expect(made["metric"] == .string("euclidean") && made["success"] == .bool(true))
            _ = try await client.value("collections.create", .string("b"), .dimension(2))
            #expect(try await client.value("collections.list") == .array([.string("a"), .string("b")]))
            _ = try await client.value("vectors.insert", .string("b"), .string("x"), .vector(1, 2))
            #expect(try await client.value("collections.list_empty") == .array([.string("a")]))
            let info = try await client.value("collections.get_info", .string("b"))
            #expect(info["vector_count"] == .int(1) && info["document_count"] == .int(1) && info["metric"] == .string("cosine"))
            #expect(info["created_at"]?.asString != nil && info["updated_at"]?.asString != nil)
            #expect(try await client.value("collections.force_save", .string("b"))["success"] == .bool(true))

            let trial = try await client.value("collections.cleanup_empty", .map(["dry_run": .bool(true)]))
            #expect(trial["removed"] == .int(1) && trial["dry_run"] == .bool(true))
            #expect(try await client.value("collections.list") == .array([.string("a"), .string("b")]))
            let cleaned = try await client.value("collections.cleanup_empty", .map(["dry_run": .bool(false)]))
            #expect(cleaned["removed"] == .int(1) && cleaned["collections"] == .array([.string("a")]))
            #expect(try await client.value("collections.list") == .array([.string("b")]))
            #expect(try await client.value("collections.delete", .string("b"))["success"] == .bool(true))
            #expect(
                try await client.failure("collections.delete", .string("b")).hasPrefix(
                    "[collection_not_found] collections.delete: Collection not found: b"))
        }
    }

    @Test("a collection that is written to while the empty ones are cleaned up stays")
    func cleanupIsConditional() async throws {
        try await TestNode.with { node in
            let client = try RPCClient(node)
            let writer = try RPCClient(node)
            for round in 0..<20 {
                let name = "c\(round)"
                _ = try await client.value("collections.create", .string(name), .dimension(2))
                try await writer.send(1, "vectors.insert", .string(name), .string("x"), .vector(1, 2))
                _ = try await client.value("collections.cleanup_empty", .bool(false))
                // Either the point was written and is there, or the collection was gone before.
                switch try #require(try await writer.next()).result {
                case .ok: #expect(try await client.value("vectors.get", .string(name), .string("x"))["id"] == .string("x"))
                case .failure(let text):
                    #expect(text.contains("not found") || text.contains("deleted"), "\(text)")
                    #expect(try await client.failure("vectors.get", .string(name), .string("x")).hasPrefix("[collection_not_found]"))
                }
            }
        }
    }

    @Test("points: written, read back exactly, updated, listed, deleted")
    func points() async throws {
        try await TestNode.with { node in
            let client = try RPCClient(node)
            _ = try await client.value("collections.create", .string("c"), .dimension(3, "dot"))
            let payload = #"{"a":1,"b":"ü"}"#
            let written = try await client.value(
                "vectors.insert", .string("c"), .string("x"), .vector(0.1, -2, 3e38), .string(" " + payload))
            #expect(written["id"] == .string("x") && written["success"] == .bool(true))
            let read = try await client.value("vectors.get", .string("c"), .string("x"))
            #expect(read["data"] == .array([Float(0.1), -2, 3e38].map { .float(Double($0)) }))
            #expect(read["payload"] == .string(payload) && read["document_id"] == .null)
            // A map is a payload too; without an id one is made; integers are numbers.
            let other = try await client.value(
                "vectors.insert", .string("c"), .null, .array([.int(1), .int(2), .int(3)]), .map(["k": .array([.null, .float(1.5)])]))
            let id = try #require(other["id"]?.asString)
            #expect(try await client.value("vectors.get", .string("c"), .string(id))["payload"] == .string(#"{"k":[null,1.5]}"#))

            _ = try await client.value("vectors.update", .string("c"), .string("x"), .vector(1, 1, 1))
            var updated = try await client.value("vectors.get", .string("c"), .string("x"))
            #expect(updated["data"] == .vector(1, 1, 1) && updated["payload"] == .string(payload))
            _ = try await client.value("vectors.update", .string("c"), .string("x"), .array([]), .string("{}"))
            updated = try await client.value("vectors.get", .string("c"), .string("x"))
            #expect(updated["data"] == .vector(1, 1, 1) && updated["payload"] == .string("{}"))
            #expect(
                try await client.failure("vectors.update", .string("c"), .string("no"), .vector(1, 1, 1))
                    == "[vector_not_found] vectors.update: Vector not found: no")

            let page = try await client.value("vectors.list", .string("c"), .int(0), .int(1000))
            #expect(page["total"] == .int(2) && page["page"] == .int(0) && page["limit"] == .int(50))
            #expect(page["items"]?.asArray?.count == 2)
            let second = try await client.value("vectors.list", .string("c"), .int(1), .int(1))
            #expect(second["items"]?.asArray?.first?["id"] == .string("x"))
            #expect(try await client.value("vectors.delete", .string("c"), .string("x"))["success"] == .bool(true))
            #expect(
                try await client.failure("vectors.get", .string("c"), .string("x")) == "[vector_not_found] vectors.get: Vector not found: x"
            )
        }
    }

    @Test("batches: each item has a result, in its place")
    func batches() async throws {
        try await TestNode.with { node in
            let client = try RPCClient(node)
            for name in ["c", "d"] { _ = try await client.value("collections.create", .string(name), .dimension(2)) }
            func item(_ id: String, _ vector: ThunderValue, _ payload: String = "{}") -> ThunderValue {
                .map(["id": .string(id), "data": vector, "payload": .string(payload)])
            }
            let inserted = try await client.value(
                "vectors.batch_insert", .string("c"),
                .array([
                    item("a", .vector(1, 0), #"{"n":1}"#), item("b", .vector(1)), item("#", .vector(1, 2)), .int(5),
                    item("c", .vector(0, 1), #"{"n":2}"#),
                    item("d", .vector(1, .infinity)), item("e", .vector(1, 1e39)), item("f", .vector(1, 1), "[]"),
                ]))
            #expect(inserted["inserted"] == .int(2) && inserted["failed"] == .int(6))
            let results = try #require(inserted["results"]?.asArray)
            #expect(results.map { $0["status"]?.asString } == ["ok", "error", "error", "error", "ok", "error", "error", "error"])
            #expect(results.map { $0["index"] } == (0..<8).map { .int($0) })
            #expect(results[1]["error"] == .string("embedding length 1 does not match collection dimension 2"))
            #expect(results[5]["error"] == .string("items[5].data[1] is not a finite number"))
            #expect(results[6]["error"] == .string("items[6].data[1] is too large for a float of 32 bits"))

            let updated = try await client.value(
                "vectors.batch_update", .string("c"),
                .array([
                    .map(["id": .string("a"), "payload": .string(#"{"n":5}"#)]), .map(["id": .string("zz"), "payload": .string("{}")]),
                ]))
            #expect(updated["updated"] == .int(1) && updated["failed"] == .int(1))
            #expect(updated["results"]?.asArray?[1]["error"] == .string("Vector not found: zz"))

            let searched = try await client.value(
                "vectors.batch_search",
                .array([
                    .map(["collection": .string("c"), "query": .vector(1, 0), "limit": .int(1)]),
                    .map(["collection": .string("c"), "query": .string("text"), "limit": .int(1)]),
                    .map(["collection": .string("nope"), "query": .vector(1), "limit": .int(1)]),
                ]))
            let answers = try #require(searched.asArray)
            #expect(answers.map { $0["status"]?.asString } == ["ok", "error", "error"])
            #expect(answers[0]["results"]?.asArray?.first?["id"] == .string("a"))
            #expect(answers[0]["results"]?.asArray?.first?["payload"] == .string(#"{"n":5}"#))

            let copied = try await client.value("vectors.copy", .string("c"), .string("d"), .array([.string("a"), .string("zz")]))
            #expect(
                copied["src"] == .string("c") && copied["dst"] == .string("d") && copied["copied"] == .int(1) && copied["failed"] == .int(1)
            )
            let moved = try await client.value("vectors.move", .string("c"), .string("d"), .array([.string("c")]))
            #expect(moved["moved"] == .int(1))
            #expect(try await client.failure("vectors.get", .string("c"), .string("c")).hasPrefix("[vector_not_found]"))
            #expect(try await client.value("vectors.get", .string("d"), .string("c"))["payload"] == .string(#"{"n":2}"#))

            let changed = try await client.value(
                "vectors.bulk_update_metadata", .string("d"), .map(["n": .map(["gte": .int(3)])]), .map(["seen": .bool(true), "n": .null]))
            #expect(changed["matched"] == .int(1) && changed["updated"] == .int(1) && changed["scanned"] == .int(2))
            #expect(try await client.value("vectors.get", .string("d"), .string("a"))["payload"] == .string(#"{"seen":true}"#))
            #expect(try await client.failure("vectors.delete_by_filter", .string("d"), .map([])).contains("would match every point"))
            let swept = try await client.value("vectors.delete_by_filter", .string("d"), .map(["n": .int(2)]))
            #expect(swept["deleted"] == .int(1) && swept["matched"] == .int(1))
            let deleted = try await client.value("vectors.batch_delete", .string("d"), .array([.string("a"), .string("a"), .string("zz")]))
            #expect(deleted["deleted"] == .int(1) && deleted["failed"] == .int(1))
            #expect(try await client.value("admin.stats")["total_vectors"] == .int(1))
        }
    }

    @Test("explain tells the truth: the nearest, and how many points were compared")
    func explain() async throws {
        try await TestNode.with { node in
            let client = try RPCClient(node)
            _ = try await client.value(
                "collections.create", .string("c"), .map(["dimension": .int(2), "sharding": .map(["shard_count": .int(3)])]))
            let items = (0..<40).map { number -> ThunderValue in
                .map(["id": .int(number), "data": .vector(1, Double(number)), "payload": .map(["even": .bool(number % 2 == 0)])])
            }
            _ = try await client.value("vectors.batch_insert", .string("c"), .array(items))
            let explained = try await client.value(
                "search.explain", .string("c"),
                .map(["vector": .vector(1, 0), "k": .int(3), "filter": .map(["even": .bool(true)])]))
            #expect(explained["hits"]?.asArray?.map { $0["id"]?.asString } == ["0", "2", "4"])
            #expect(explained["hits"]?.asArray?.first?["score"] == .float(1))
            #expect(explained["collection"] == .string("c") && explained["k"] == .int(3))
            let trace = try #require(explained["trace"])
            #expect(trace["visited_nodes"] == .int(40) && trace["index"] == .string("exact"))
            let total = try #require(trace["total_ms"]?.asDouble)
            let index = try #require(trace["hnsw_search_ms"]?.asDouble)
            #expect(index >= 0 && total >= index)
            #expect(
                try await client.value("search.explain", .string("c"), .map(["vector": .vector(1, 0), "k": .int(0)]))["hits"] == .array([]))
        }
    }

    @Test("texts: embedded alike when they are written and when they are searched for; the collection is made where it is missing")
    func texts() async throws {
        try await TestNode.with { node in
            let client = try RPCClient(node)
            _ = try await client.value(
                "vectors.insert_text", .string("t"), .string("fox"), .string("the quick brown fox"), .string(#"{"n":1}"#))
            let inserted = try await client.value(
                "vectors.batch_insert_texts", .string("t"),
                .array([
                    .map(["id": .string("dog"), "text": .string("a lazy dog sleeps")]),
                    .map(["id": .string("none"), "text": .string("  ")]),
                    .map(["id": .string("sea"), "text": .string("ships cross the sea")]),
                ]))
            #expect(inserted["inserted"] == .int(2) && inserted["failed"] == .int(1))
            let info = try await client.value("collections.get_info", .string("t"))
            #expect(info["dimension"] == .int(512) && info["vector_count"] == .int(3) && info["embedding_provider"] == .string("bm25"))
            let hits = try await client.value("search.basic", .string("t"), .string("brown fox"), .int(2))
            #expect(hits.asArray?.count == 2 && hits.asArray?.first?["id"] == .string("fox"))
            #expect(hits.asArray?.first?["payload"] == .string(#"{"content":"the quick brown fox","n":1}"#))
            let hybrid = try await client.value("search.hybrid", .string("t"), .map(["query": .string("lazy dog"), "final_k": .int(1)]))
            #expect(hybrid["results"]?.asArray?.map { $0["id"]?.asString } == ["dog"])
            let byText = try await client.value("search.by_text", .string("t"), .string("a sleeping dog"), .int(1))
            #expect(byText["results"]?.asArray?.first?["id"] == .string("dog"))
            let embedded = try await client.value("vectors.embed", .string("the quick brown fox"))
            let fox = try await client.value("vectors.get", .string("t"), .string("fox"))
            #expect(embedded["embedding"] == fox["data"])
            #expect(embedded["model"] == .string("bm25") && embedded["dimension"] == .int(512))
            // A collection of vectors takes no texts.
            _ = try await client.value("collections.create", .string("v"), .dimension(2))
            #expect(try await client.failure("vectors.insert_text", .string("v"), .null, .string("x")).contains("no embedding provider"))
            #expect(try await client.failure("vectors.embed", .string("x"), .string("nope")).contains("no embedding provider 'nope'"))
        }
    }

    @Test(
        "bad input is refused by name",
        arguments: [
            ("vectors.insert", [.string("c")], "Invalid data: argument 3 is missing"),
            ("vectors.insert", [.string("c"), .string("x"), .string("no")], "'data' is not an array of numbers"),
            ("vectors.insert", [.string("c"), .string("x"), .vector(1)], "embedding length 1 does not match collection dimension 2"),
            ("vectors.insert", [.string("c"), .string("x"), .array([.float(1), .string("2")])], "data[1] is not a number"),
            ("vectors.insert", [.string("c"), .string("x"), .vector(.nan, 1)], "data[0] is not a finite number"),
            ("vectors.insert", [.string("c"), .string("x"), .vector(1, -1e300)], "data[1] is too large for a float of 32 bits"),
            ("vectors.insert", [.string("c"), .string(""), .vector(1, 1)], "Invalid id: the point id is empty"),
            ("vectors.insert", [.string("c"), .string("a#b"), .vector(1, 1)], "contains '#'"),
            ("vectors.insert", [.string("c"), .int(-1), .vector(1, 1)], "neither a string nor an unsigned integer"),
            ("vectors.insert", [.string("c"), .string("x"), .vector(1, 1), .string("[1]")], "Invalid payload"),
            ("vectors.insert", [.string("c"), .string("x"), .vector(1, 1), .string("{")], "Invalid payload"),
            ("vectors.insert", [.string("c"), .string("x"), .vector(1, 1), .map(["a": .bytes([1])])], "bytes have no place in JSON"),
            (
                "vectors.insert", [.string("c"), .string("x"), .vector(1, 1), .map(["a": .float(.nan)])],
                "payload.a: it is not a finite number"
            ),
            ("vectors.insert", [.string(""), .string("x"), .vector(1, 1)], "collection name cannot be empty"),
            ("vectors.get", [.int(1), .string("x")], "Invalid collection: it is not a string"),
            ("vectors.list", [.string("c"), .int(-1), .int(1)], "Invalid page: it is negative"),
            ("collections.create", [.string("c"), .dimension(2)], "Collection already exists: c"),
            ("collections.create", [.string(".."), .dimension(2)], "cannot be '..'"),
            ("collections.create", [.string("n"), .dimension(0)], "0 is not between 1 and 65536"),
            ("collections.create", [.string("n"), .dimension(65_537)], "65537 is not between 1 and 65536"),
            ("collections.create", [.string("n"), .dimension(2, "hamming")], "none of cosine, dot, euclidean and manhattan"),
            ("collections.create", [.string("n"), .int(2)], "Invalid config: it is not a map"),
            ("search.explain", [.string("c"), .map(["k": .int(2)])], "Invalid request.vector: it is missing"),
            ("search.explain", [.string("c"), .map(["vector": .vector(1, 1), "k": .int(-1)])], "Invalid limit: it is negative"),
            (
                "search.explain", [.string("c"), .map(["vector": .vector(1, 1), "filter": .map(["key": .string("a")])])],
                "this condition is not known"
            ),
            ("search.basic", [.string("c"), .string("text"), .int(1)], "no embedding provider"),
            ("vectors.batch_delete", [.string("c"), .string("x")], "Invalid ids: it is not an array"),
            ("vectors.copy", [.string("c"), .string("c"), .array([])], "it is the source itself"),
            ("vectors.set_expiry", [.string("c"), .string("x"), .string("2030-01-01")], "[unsupported]"),
            ("graph.list_nodes", [.string("c")], "[unsupported] graph.list_nodes: this server does not have it: "),
            ("nope", [], "[unsupported] nope: there is no such command"),
        ] as [(String, [ThunderValue], String)])
    func badInput(command: String, arguments: [ThunderValue], text: String) async throws {
        try await TestNode.with { node in
            let client = try RPCClient(node)
            _ = try await client.value("collections.create", .string("c"), .dimension(2))
            try await client.raw.send(RPCClient.frame(7, command, arguments))
            guard case .failure(let failure)? = try await client.next()?.result else {
                Issue.record("\(command) did not fail")
                return
            }
            #expect(failure.contains(text), "\(failure)")
            #expect(failure.hasPrefix("["))
            // And it is a refusal, not the end.
            #expect(try await client.value("collections.list") == .array([.string("c")]))
            #expect(try await client.value("admin.stats")["total_vectors"] == .int(0))
        }
    }

    @Test("the node and its cluster: what is true today, also while the catalog is away")
    func status() async throws {
        var options = TestNode.Options()
        options.rpc.callTime = .seconds(5)
        try await TestNode.with(options) { node in
            let client = try RPCClient(node)
            let status = try await client.value("admin.status")
            #expect(status["ready"] == .bool(true) && status["collections_count"] == .int(0) && status["version"] == .string("0.1-test"))
            #expect(try await client.value("replication.status")["role"] == .string("standalone"))
            #expect(try await client.value("cluster.rebalance_status")["status"] == .string("idle"))
            #expect(try await client.value("cluster.rebalance")["message"] == .string("No shards to rebalance"))
            #expect(try await client.value("admin.indexing_progress")["total_collections"] == .int(0))
            node.database.isAway = true
            try await eventually("the node knows that the catalog is away") {
                try await client.value("admin.status")["ready"] == .bool(false)
            }
            #expect(try await client.failure("collections.create", .string("c"), .dimension(2)).hasPrefix("[service_unavailable]"))
            node.database.isAway = false
        }
    }
}
