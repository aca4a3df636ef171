import ApusCatalog
import ApusCluster
import ApusTypes
import HTTPTestKit
import NodeTestKit
import TestKit
import Testing

/// The deployment guide's curl lines, word for word but for the address.
@Suite("the guide's curl lines")
struct GuideTests {
    func curl(_ line: String, _ node: TestNode) async throws -> JSONValue {
        let here = line.replacing("192.168.1.10:15002", with: "127.0.0.1:\(node.port)").replacing(
            "localhost:15002", with: "localhost:\(node.port)")
        let (status, output) = try await shell(here.replacing("curl ", with: "curl -sS "), in: node.directory)
        #expect(status == 0, "\(output)")
        return try JSONValue(parsing: Array(output.utf8))
    }

    @Test("create with sharding, look at the cluster, rebalance, sync, remove a node")
    func lines() async throws {
        try await TestNode.with { node in
            let created = try await curl(
                """
                curl -X POST "http://192.168.1.10:15002/collections" \\
                  -H "Content-Type: application/json" \\
                  -d '{
                    "name": "distributed-collection",
                    "dimension": 512,
                    "metric": "cosine",
                    "sharding": {
                      "shard_count": 6,
                      "virtual_nodes_per_shard": 100
                    }
                  }'
                """, node)
            #expect(created["name"] == "distributed-collection" && created["dimension"] == 512 && created["vector_count"] == 0)

            let nodes = try await curl(#"curl "http://192.168.1.10:15002/api/v1/cluster/nodes""#, node)
            #expect(nodes["nodes"]?.asArray?.map { $0["id"] } == ["node-1"])
            let first = try #require(nodes["nodes"]?.asArray?.first)
            #expect(first["status"] == "active" && first["address"] == "192.168.1.10" && first["shard_count"] == 6)
            #expect(first["metadata"]?["version"] == "0.1-test" && first["metadata"]?["vector_count"] == 0)

            let distribution = try await curl(#"curl "http://192.168.1.10:15002/api/v1/cluster/shard-distribution""#, node)
            #expect(distribution["shard_to_node"]?.asArray?.count == 6)
            #expect(distribution["shard_to_node"]?.asArray?.allSatisfy { $0["node_id"] == "node-1" } == true)
            #expect(distribution["node_shard_counts"] == [["node_id": "node-1", "shard_count": 6]])
            #expect(
                distribution["total_shards"] == 6 && distribution["shards_per_node"] == ["node-1": 6]
                    && distribution["unassigned_shards"] == [])

            let balanced = try await curl(#"curl -X POST "http://192.168.1.10:15002/api/v1/cluster/rebalance""#, node)
            #expect(balanced["success"] == true && balanced["message"] == "Cluster is already balanced")
            #expect(balanced["shards_moved"] == 0 && balanced["shards_to_move"] == 0 && balanced["status"] == "idle")
            let synced = try await curl("curl -X POST http://localhost:15002/api/v1/cluster/sync", node)
            #expect(synced["success"] == true && synced["shards"]?.asArray?.count == 6, "\(synced)")
            let own = try #require(synced["nodes"]?.asArray?.first)
            #expect(own["is_synchronized"] == true && own["feed_digest"] == synced["feed_digest"] && own["shards"] == 6)

            // Another process's row appears, and goes by the guide's line.
            _ = try await node.catalog.nodes.register(
                .init(name: "node-3", url: "http://192.168.1.12:15002", rpcAddress: "192.168.1.12:15003"), deadline: node.deadline)
            let both = try await curl("curl http://localhost:15002/api/v1/cluster/nodes", node)
            #expect(both["nodes"]?.asArray?.map { $0["id"] } == ["node-1", "node-3"])
            #expect(both["nodes"]?.asArray?.last?["grpc_port"] == 15003)
            let removed = try await curl(#"curl -X DELETE "http://192.168.1.10:15002/api/v1/cluster/nodes/node-3""#, node)
            #expect(removed["success"] == true && removed["message"] == "Node node-3 removed from cluster")

            let health = try await shell("NODE=localhost; curl -sSf \"http://${NODE}:\(node.port)/health\" || exit 1", in: node.directory)
            #expect(health.status == 0)
            #expect(try JSONValue(parsing: Array(health.output.utf8))["status"] == "healthy")
        }
    }

    @Test("a node with the last copy of a shard is not removed, an unknown one is not found")
    func removal() async throws {
        try await TestNode.with { node in
            _ = try await node.post("/collections", ["name": "c", "dimension": 2])
            let refused = try await node.delete("/api/v1/cluster/nodes/node-1")
            #expect(refused.status == 409 && refused["code"] == "node.last_copy")
            let unknown = try await node.delete("/api/v1/cluster/nodes/node-9")
            #expect(unknown.status == 404 && unknown["error"] == "Node node-9 not found")
            #expect(try await node.get("/api/v1/cluster/nodes/node-9").status == 404)
            #expect(try await node.get("/api/v1/cluster/nodes/node-1")["id"] == "node-1")
            try await eventually("it leads") { try await node.get("/api/v1/cluster/role")["role"] == "leader" }
            let leader = try await node.get("/api/v1/cluster/leader")
            #expect(leader["leader"] == "node-1" && leader["is_leader"] == true)
        }
    }

    @Test("a rebalance has shards that nobody serves loaded; paused it is refused, and nothing is held up that somebody misses")
    func rebalance() async throws {
        try await TestNode.with { node in
            try await eventually("it leads") { node.cluster.leadership.epoch != nil }
            #expect(try await node.post("/api/v1/cluster/rebalance", [:])["message"] == "No shards to rebalance")
            _ = try await node.catalog.collections.create(
                "orphan", configuration: #"{"dimension":2,"metric":"cosine","virtual_nodes":100,"rebalance_threshold":0.2,"shards":3}"#,
                shardCount: 3, deadline: node.deadline)
            #expect(try await node.get("/api/v1/cluster/shard-distribution")["unassigned_shards"]?.asArray?.count == 3)
            #expect(try await node.post("/api/rebalance/pause", [:])["has_changed"] == true)
            #expect(try await node.post("/api/rebalance/pause", [:])["has_changed"] == false)
            let refused = try await node.send("POST", "/api/v1/cluster/rebalance")
            #expect(refused.status == 409 && refused["code"] == "rebalance.paused")
            let trial = try await node.send("POST", "/api/rebalance?dry_run=true")
            #expect(trial["is_paused"] == true && trial["planned"]?.asArray?.count == 3 && trial["shards"] == 3)
            #expect(try await node.send("POST", "/api/rebalance/resume")["is_paused"] == false)
            let moved = try await node.send("POST", "/api/v1/cluster/rebalance")
            #expect(moved["status"] == "running" && moved["shards_to_move"] == 3 && moved["shards_moved"] == 0)
            try await eventually("they are served") {
                _ = try await node.send("POST", "/api/v1/cluster/rebalance")  // this node does no duty by itself
                return try await node.get("/api/v1/cluster/shard-distribution")["unassigned_shards"] == []
            }
            let after = try await node.get("/api/v1/cluster/rebalance/status")
            #expect(after["status"] == "idle" && after["message"] == "Cluster is already balanced")
            let why = try await node.get("/api/records?subject=shard%201")["records"]?.asArray ?? []
            #expect(why.contains { $0["summary"]?.asString?.hasPrefix("node-1: loading, because") == true }, "\(why)")
        }
    }

    @Test("the metrics that apply have the contract's names and labels")
    func metrics() async throws {
        try await TestNode.with { node in
            _ = try await node.post("/collections", ["name": "m", "dimension": 2])
            _ = try await node.post(
                "/insert_vectors", ["collection": "m", "vectors": [["id": "a", "vector": [1, 0]], ["id": "b", "vector": [0, 1]]]])
            _ = try await node.post("/collections/m/search", ["vector": [1, 0], "limit": 2])
            _ = try await node.get("/collections/none")
            let text = try await node.get("/prometheus/metrics").raw.text
            for line in [
                #"vectorizer_search_requests_total{collection="m",search_type="vector",status="success"} 1"#,
                #"vectorizer_search_latency_seconds_count{collection="m",search_type="vector"} 1"#,
                #"vectorizer_search_latency_seconds_bucket{collection="m",search_type="vector",le="0.003"}"#,
                #"vectorizer_search_results_count_sum{collection="m"} 2"#,
                #"vectorizer_insert_requests_total{collection="m",status="success"} 1"#, "vectorizer_insert_latency_seconds_count 1",
                "vectorizer_vectors_total 2", "vectorizer_collections_total 1", "vectorizer_memory_usage_bytes ",
                #"vectorizer_api_errors_total{endpoint="/collections/{name}",error_type="collection_not_found",status_code="404"} 1"#,
            ] { #expect(text.contains("\n\(line)"), "\(line)") }
            let stats = try await node.get("/stats")
            #expect(stats["collections"] == 1 && stats["total_vectors"] == 2 && stats["providers"]?.asArray?.first?["name"] == "bm25")
            #expect(try await node.get("/status")["collections_count"] == 1)
        }
    }
}
