import ApusCatalog
import ApusCluster
import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import HTTPTestKit
import NodeTestKit
import TestKit
import Testing
import VectorizerFace

@testable import ApusVectors

/// What clients see when the node may not, cannot, or can only partly do what they ask.
@Suite("availability")
struct AvailabilityTests {
    func withCollection(_ options: TestNode.Options = .init(), _ body: @Sendable (TestNode) async throws -> Void) async throws {
        try await TestNode.with(options) { node in
            try #require(try await node.post("/collections", ["name": "c", "dimension": 2, "metric": "dot"]).status == 200)
            try await body(node)
        }
    }

    @Test("without a key, and with one that may not: 401 and 403 in this API's words")
    func access() async throws {
        try await withCollection { node in
            let headers = [("Host", "localhost"), ("X-API-Key", "wrong")]
            for (method, path) in [("GET", "/collections"), ("POST", "/insert"), ("POST", "/collections/c/search"), ("GET", "/nowhere")] {
                let refused = try await node.send(method, path, method == "POST" ? Array("{}".utf8) : nil, headers: headers)
                #expect(refused.status == 401 && refused["error_type"] == "unauthorized" && refused["status_code"] == 401, "\(path)")
                #expect(
                    refused["message"]?.asString?.hasPrefix("Authentication required. Provide a valid JWT token or API key.") == true,
                    "\(path)")
                #expect(refused["code"] == "auth.required" && refused.raw["WWW-Authenticate"] == "Bearer", "\(path)")
            }
            let (_, reader) = try await node.access.create(name: "r", role: .reader, deadline: node.deadline)
            let (_, writer) = try await node.access.create(name: "w", role: .writer, deadline: node.deadline)
            let denied: [(Redacted<String>, String, String)] = [
                (reader, "POST", "/collections"), (reader, "DELETE", "/collections/c"), (reader, "POST", "/insert"),
                (reader, "POST", "/insert_vectors"), (reader, "POST", "/batch_update"), (reader, "POST", "/batch_delete"),
                (reader, "POST", "/delete_by_filter"), (reader, "POST", "/bulk_update_metadata"), (reader, "POST", "/update"),
                (reader, "DELETE", "/collections/c/vectors/1"), (writer, "DELETE", "/api/v1/cluster/nodes/node-1"),
                (writer, "POST", "/api/v1/cluster/rebalance"),
            ]
            for (key, method, path) in denied {
                let refused = try await node.send(
                    method, path, Array("{}".utf8), headers: [("Host", "localhost"), ("Authorization", "Bearer \(key.reveal())")])
                #expect(refused.status == 403 && refused["error_type"] == "forbidden" && refused["status_code"] == 403, "\(method) \(path)")
                #expect(refused["code"] == "auth.forbidden" && refused["message"]?.asString?.contains("role") == true, "\(method) \(path)")
            }
            #expect(try await node.get("/collections")["total_collections"] == 1)
        }
    }

    @Test("a shard that has too much that is not sealed refuses writes with 429 and Retry-After, and goes on answering")
    func fullShard() async throws {
        var options = TestNode.Options()
        options.log.unsealedBytes = ByteCount(300)
        try await withCollection(options) { node in
            var replies: [TestNode.Reply] = []
            for id in 0..<20 as Range<Int64> {
                replies.append(try await node.post("/insert", ["collection": "c", "id": .integer(id), "vector": [1, 0]]))
            }
            let written = replies.count { $0.status == 200 }
            #expect((1..<20).contains(written))
            let batch = try await node.post("/insert_vectors", ["collection": "c", "vectors": [["vector": [1, 0]]]])
            for refused in replies.dropFirst(written) + [batch] {
                #expect(refused.status == 429 && refused["error_type"] == "queue_full" && refused["code"] == "shard.busy")
                #expect(refused.raw["Retry-After"] == "2" && refused["status_code"] == 429)
            }
            #expect(try await node.post("/collections/c/count", [:])["count"] == .integer(Int64(written)))
        }
    }

    @Test("a queue that is full refuses writes with 429 and Retry-After")
    func fullQueue() async throws {
        var options = TestNode.Options()
        options.log.queueRequests = 0
        try await withCollection(options) { node in
            let refused = try await node.post("/insert", ["collection": "c", "id": "a", "vector": [1, 0]])
            #expect(refused.status == 429 && refused["error_type"] == "queue_full" && refused.raw["Retry-After"] == "1")
        }
    }

    @Test("while the catalog is away writes are 503 at once with Retry-After, and what is read says how old it is")
    func catalogAway() async throws {
        try await withCollection { node in
            _ = try await node.post("/insert", ["collection": "c", "id": "a", "vector": [1, 0]])
            let search: JSONValue = ["collection": "c", "vector": [1, 0]]
            let fresh = try await node.post("/search", search)
            #expect(fresh["stale"] == nil && fresh["as_of"] != nil && fresh.raw["Age"] == nil && fresh.raw["Warning"] == nil)
            node.database.isAway = true
            // Two clocks are converted into each other: a millisecond may be rounded up.
            let left = WallTime(millisecondsSinceEpoch: node.clock.wallTime.millisecondsSinceEpoch + 1).description
            try await eventually("it is known") { node.vectors.isCatalogAway }
            let writes = node.database.writes
            let attempts: [(String, String, JSONValue)] = [
                ("POST", "/insert", ["collection": "c", "id": "b", "vector": [1, 0]]),
                ("POST", "/batch_delete", ["collection": "c", "ids": ["a"]]),
                ("POST", "/delete_by_filter", ["collection": "c", "filter": ["n": 1]]), ("DELETE", "/collections/c", [:]),
                ("DELETE", "/collections/c/vectors/a", [:]),
                // Not known here, and perhaps somewhere else.
                ("GET", "/collections/c/vectors/b", [:]), ("GET", "/collections/d", [:]),
            ]
            for (method, path, body) in attempts {
                let refused = try await node.send(method, path, body.serialized())
                #expect(refused.status == 503 && refused["error_type"] == "service_unavailable", "\(path) \(refused.raw.text)")
                #expect(refused["code"] == "catalog.unavailable" && refused.raw["Retry-After"] == "1", "\(path)")
            }
            // Not even tried. (Sessions and leases go over a lane of their own.)
            #expect(node.database.writes == writes)
            let old = try await node.post("/search", search)
            #expect(old.status == 200 && old["results"]?.asArray?.count == 1 && old["complete"] == true && old["stale"] == true)
            let asOf = try #require(old["as_of"]?.asString)
            #expect(asOf <= left && asOf.count == left.count)
            let batch = try await node.post("/batch_search", ["queries": [search]])
            let item = try #require(batch["results"]?.asArray?.first)
            #expect(item["stale"] == true && item["as_of"]?.asString.map { $0 <= left } == true)
            for path in ["/collections/c/vectors/a", "/collections/c/vectors", "/collections"] {
                let read = try await node.get(path)
                #expect(read.status == 200 && Int(read.raw["Age"] ?? "").map { $0 >= 1 } == true, "\(path)")
                #expect(read.raw["Warning"]?.hasPrefix("110 ") == true, "\(path)")
            }
            node.database.isAway = false
            try await eventually("it is back") { !node.vectors.isCatalogAway && node.vectors.staleness == nil }
            #expect(try await node.post("/insert", ["collection": "c", "id": "b", "vector": [1, 0]]).status == 200)
            #expect(try await node.post("/search", search)["stale"] == nil)
        }
    }

    @Test("where no node is active nothing is placed")
    func noActiveNodes() async throws {
        try await TestNode.with { node in
            try await node.catalog.nodes.set(.draining, of: "node-1", deadline: node.deadline)
            for (path, body) in [("/collections", ["name": "c", "dimension": 2]), ("/api/v1/cluster/rebalance", [:])]
                as [(String, JSONValue)]
            {
                let refused = try await node.post(path, body)
                #expect(refused.status == 503 && refused["message"] == "No active cluster nodes available", "\(path)")
                #expect(refused["error"] == "No active cluster nodes available" && refused["status_code"] == 503, "\(path)")
                #expect(refused.raw["Retry-After"] == "1", "\(path)")
            }
            try await node.catalog.nodes.set(.active, of: "node-1", deadline: node.deadline)
            #expect(try await node.post("/collections", ["name": "c", "dimension": 2]).status == 200)
        }
    }

    @Test("an answer without all shards names those that are missing and why; where it has to be whole there is none")
    func strict() async throws {
        try await TestNode.with { node in
            _ = try await node.catalog.collections.create(
                "half", configuration: #"{"dimension":2,"metric":"cosine","virtual_nodes":100,"rebalance_threshold":0.2,"shards":2}"#,
                shardCount: 2, nodes: [["node-1"], []],
                deadline: node.deadline)
            var partial = try await node.post("/collections/half/search", ["vector": [1, 0]])
            try await eventually("the other shard answers") {
                partial = try await node.post("/collections/half/search", ["vector": [1, 0]])
                return partial.status == 200
            }
            #expect(
                partial["complete"] == false && partial["missing"]?.asArray?.map { $0["code"] } == ["shard.unserved"], "\(partial.json)")
            let bodies: [(String, JSONValue)] = [
                ("/collections/half/search", ["vector": [1, 0], "strict": true]),
                ("/batch_search", ["collection": "half", "strict": true, "queries": [["vector": [1, 0]]]]),
                ("/collections/half/hybrid_search", ["query": "a", "vector": [1, 0], "strict": true]),
            ]
            for (path, body) in bodies {
                let refused = try await node.post(path, body)
                #expect(refused.status == 503 && refused["code"] == "search.incomplete", "\(path): \(refused.json)")
                #expect(refused.raw["Retry-After"] == "1")
            }
            // What can not be whole is not given: the other API has no place to say that a shard is missing.
            let qdrant = try await node.post("/qdrant/collections/half/points/query", ["query": [1, 0]])
            #expect(qdrant.status == 503, "\(qdrant.json)")
        }
    }
}
