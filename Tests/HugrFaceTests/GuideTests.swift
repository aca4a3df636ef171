import ApusDatabase
import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import NodeProcessKit
import TestKit
import Testing

/// Hugr's guide to clusters, followed with its own variables: a management node and work nodes on one PostgreSQL, Redis as what they share, nginx
/// in front.
@Suite("Hugr's guide to clusters")
struct GuideTests {
    private static func get(_ url: String) async throws -> (status: Int, text: String) {
        let response = try await HTTPClient(loops: TestLoops.shared).send(
            ClientRequest(.get, url, deadline: BootClock.now.advanced(by: .seconds(30))))
        return (response.status, String(decoding: try await response.collect(limit: .mebibytes(8)), as: UTF8.self))
    }

    @Test("three nodes in any order, a source through the management node, nginx, a shared cache, five workers")
    func followed() async throws {
        let directory = try TemporaryDirectory()
        let redis = try await RedisProcess.start(in: directory.path, password: "redis_password")
        let server = try await PostgreSQLServer.shared()
        let site = GuideSite(
            directory: directory, core: try await server.newDatabase().reveal(), loops: EventLoops(count: 1),
            shared: [
                "CACHE_L1_ENABLED": "true", "CACHE_L1_MAX_SIZE": "64", "CACHE_L2_ENABLED": "true", "CACHE_L2_BACKEND": "redis",
                "CACHE_L2_ADDRESSES": "127.0.0.1:\(redis.port)", "CACHE_L2_PASSWORD": "redis_password", "ADMIN_UI": "false",
            ])
        defer { site.loops.stop() }
        let shop = try await server.newDatabase()
        try await server.execute(
            "CREATE TABLE orders (id integer PRIMARY KEY, total numeric NOT NULL); INSERT INTO orders SELECT i, i * 1.5 FROM generate_series(1, 100) i",
            database: String(shop.reveal().split(separator: "/").last?.split(separator: "?").first ?? ""))

        // Work nodes may be there before the management node.
        var nodes = [try await site.worker(1, ["ADMIN_UI": "true"]), try await site.worker(2)]
        let management = try await site.management()
        for node in nodes + [management] {
            try await eventually(within: 60, "each node knows all three") {
                let rows = try await GuideSite.nodes(node)
                return Set(rows.compactMap { $0["name"]?.asString }) == ["management", "worker-1", "worker-2"]
                    && rows.allSatisfy { $0["ready"] == true }
            }
        }

        // "Adding a data source": a row through the management node, then one call that loads it everywhere.
        _ = try await GuideSite.ask(
            management, "mutation($d: core_data_sources_mut_input_data!) { core { insert_data_sources(data: $d) { name } } }",
            variables: [
                "d": [
                    "name": "shop", "type": "postgres", "prefix": "shop", "as_module": true, "self_defined": true,
                    "path": .string(shop.reveal()), "catalogs": [],
                ]
            ])
        let loaded = try await GuideSite.ask(
            management, #"mutation { function { core { cluster { load_source(name: "shop") { success message } } } } }"#)
        #expect(loaded["function"]?["core"]?["cluster"]?["load_source"]?["success"] == true, "\(loaded)")
        let status = try await GuideSite.ask(
            management, #"{ function { core { cluster { data_source_status(name: "shop") { node status error } } } } }"#)
        let standings = status["function"]?["core"]?["cluster"]?["data_source_status"]?.asArray ?? []
        #expect(standings.count == 3 && standings.allSatisfy { $0["error"]?.isNull == true }, "\(status)")

        // Through nginx, whichever node answers; and what one of them computed the other has from Redis.
        let door = try await FrontDoor(to: nodes + [management], loops: site.loops)
        for id in 1...30 {
            let body: JSONValue = ["query": .string("{ shop { orders_by_pk(id: \(id)) { total } } }")]
            let reply = try await door.send(.post, "/query", body.description)
            #expect(reply.status == 200 && reply.body["data"]?["shop"]?["orders_by_pk"]?["total"]?.asDouble == Double(id) * 1.5)
        }
        var asked = 0
        try await eventually("what one node computed another has from Redis") {
            asked += 1
            let kept = "{ shop { orders_aggregation(filter: {id: {gt: \(asked)}}) @cache(ttl: 600) { _rows_count } } }"
            for node in nodes { _ = try await GuideSite.ask(node, kept) }
            return try await nodes[1].metrics().contains(#"apus_query_cache_requests_total{result="shared_hit"}"#)
        }

        // ADMIN_UI, and the service port's health and metrics: those of the guide's list.
        #expect(try await Self.get(nodes[0].url + "/admin").status == 200)
        #expect(try await Self.get(nodes[1].url + "/admin").status == 404)
        let service = try #require(nodes[0].otherURLs.first { $0.hasPrefix("http://") })
        #expect(try await Self.get(service + "/health").text == "OK")
        let metrics = try await Self.get(service + "/metrics").text
        for name in [
            "apus_query_requests_total", "apus_query_request_seconds", "apus_query_cache_requests_total", "process_resident_memory_bytes",
            "process_cpu_seconds_total", "apus_cluster_nodes", "apus_query_schema_version", "apus_query_schema_propagation_seconds",
            "apus_query_connections", "apus_query_cache_shared_absent", "apus_node_probe_duration_seconds",
        ] { #expect(metrics.contains("\n# TYPE \(name) "), "\(name)") }

        // Scaled out to five workers, whose names nobody gives.
        for number in 3...5 { nodes.append(try await site.worker(number, named: false)) }
        try await eventually(within: 60, "the management node knows all six, and all serve the source") {
            let status = try await GuideSite.ask(
                management, #"{ function { core { cluster { data_source_status(name: "shop") { node error } } } } }"#)
            let standings = status["function"]?["core"]?["cluster"]?["data_source_status"]?.asArray ?? []
            return Set(standings.compactMap { $0["node"]?.asString }).count == 6
                && standings.allSatisfy { $0["error"]?.isNull == true }
        }
        for node in nodes {
            let answer = try await GuideSite.ask(node, "{ shop { orders_by_pk(id: 7) { total } } }")
            #expect(answer["shop"]?["orders_by_pk"]?["total"]?.asDouble == 10.5)
        }
        await door.stop()
        for node in nodes + [management] { try await node.stopCleanly() }
    }
}
