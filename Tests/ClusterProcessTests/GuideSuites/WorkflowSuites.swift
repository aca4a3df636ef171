import ApusHTTP
import ApusTypes
import NodeProcessKit
import TestKit
import Testing

extension GuideSuites {
    @Suite("cluster_e2e")
    struct ClusterEndToEndSuite {
        @Test(
            "several collections are created, loaded, searched, changed, kept in a snapshot, spread wider, and deleted, each step through another node"
        )
        func workflow() async throws {
            let cluster = try await GuideCluster.shared.value
            let nodes = cluster.nodes
            for (number, name) in ["first", "second"].enumerated() {
                try await nodes[number].create(name, shards: 3 + number, replicas: 1 + number)
            }
            for name in ["first", "second"] { #expect(try await nodes[2].insert(0..<100, into: name) == 200) }
            for number in stride(from: 0, to: 100, by: 9) {
                #expect(try await nodes[number % 3].completeSearch(number, in: "first").nearest == "p\(number)")
            }
            let changed = try await nodes[0].send(.post, "/update", #"{"collection":"first","id":"p7","metadata":{"seen":true}}"#)
            #expect(changed.status == 200)
            #expect(try await nodes[1].send(.get, "/collections/first/vectors/p7").body["payload"]?["seen"] == true)
            let filtered = try await nodes[2].send(.post, "/collections/first/count", #"{"filter":{"seen":true}}"#)
            #expect(filtered.body["count"] == 1, "\(filtered)")

            let snapshot = try await nodes[1].send(.post, "/qdrant/collections/first/snapshots")
            let file = try #require(snapshot.body["result"]?["name"]?.asString)
            #expect(try await nodes[2].send(.post, "/delete_by_filter", #"{"collection":"first","filter":{"seen":true}}"#).status == 200)
            #expect(try await nodes[0].count("first") == 99)
            let recovered = try await nodes[0].send(
                .put, "/qdrant/collections/first/snapshots/recover", #"{"location":"file:///snapshots/first/\#(file)"}"#)
            #expect(recovered.status == 200, "\(recovered)")
            #expect(try await nodes[1].count("first") == 100)
            #expect(try await nodes[2].send(.get, "/collections/first/vectors/p7").body["payload"]?["seen"] == true)

            let copied = try await nodes[2].apus("collection", "reindex", "second", "wider", "--shards", "8", "--alias", "current")
            #expect(copied.status == 0, "\(copied)")
            try await eventually(within: 20, "the alias leads to it") { try await nodes[0].count("current") == 100 }
            let verified = try await nodes[1].apus("collection", "verify", "wider")
            #expect(verified.status == 0, "\(verified)")
            for name in ["first", "second", "wider"] { #expect(try await nodes[0].send(.delete, "/collections/\(name)").status == 200) }
            for node in nodes { #expect(try await node.send(.get, "/collections/first").status == 404) }
        }
    }

    @Suite("cluster_integration")
    struct ClusterIntegrationSuite {
        @Test("shards over nodes with quantised, sparse and several vectors, payloads and their indexes, filters and compressed bodies")
        func features() async throws {
            let cluster = try await GuideCluster.shared.value
            let nodes = cluster.nodes
            let made = try await nodes[0].send(
                .put, "/qdrant/collections/features",
                """
                {"vectors":{"dense":{"size":4,"distance":"Cosine"}},"sparse_vectors":{"words":{"modifier":"idf"}},"shard_number":5,
                 "replication_factor":2,"quantization_config":{"scalar":{"type":"int8"}}}
                """)
            #expect(made.status == 200, "\(made)")
            #expect(
                try await nodes[1].send(
                    .put, "/qdrant/collections/features/index", #"{"field_name":"color","field_schema":"keyword"}"#
                ).status == 200)
            let points = (1...90).map { number in
                """
                {"id":\(number),"vector":{"dense":[\(number % 7),\(number % 5),1,\(number % 3)],"words":{"indices":[\(number % 10),50],"values":[1,0.5]}},
                 "payload":{"color":"\(["red", "green", "blue"][number % 3])","n":\(number)}}
                """
            }
            let put = try await nodes[2].send(
                .put, "/qdrant/collections/features/points?wait=true", #"{"points":[\#(points.joined(separator: ","))]}"#)
            #expect(put.status == 200, "\(put)")
            let queries = [
                #"{"query":[1,2,1,0],"using":"dense","limit":5,"with_payload":true,"filter":{"must":[{"key":"color","match":{"value":"red"}}]}}"#,
                #"{"query":{"indices":[3],"values":[1.0]},"using":"words","limit":9}"#,
                #"{"prefetch":[{"query":[1,2,1,0],"using":"dense","limit":20},{"query":{"indices":[3],"values":[1]},"using":"words","limit":20}],"query":{"fusion":"rrf"},"limit":5}"#,
            ]
            for query in queries {
                var answers: Set<String> = []
                for node in nodes {
                    let reply = try await node.send(.post, "/qdrant/collections/features/points/query", query)
                    #expect(reply.status == 200 && reply.body["result"]?["points"]?.asArray?.isEmpty == false, "\(reply)")
                    answers.insert("\(reply.body["result"] ?? .null)")
                }
                #expect(answers.count == 1, "every node gives the same answer to \(query)")
            }
            let facets = try await nodes[0].send(.post, "/qdrant/collections/features/facet", #"{"key":"color"}"#)
            #expect(facets.body["result"]?["hits"]?.asArray?.map { $0["count"] } == [30, 30, 30], "\(facets)")
            let page = try await nodes[1].send(
                .get, "/collections/features/vectors?limit=50", headers: ["Accept-Encoding": "identity"])
            #expect(page.body["total"] == 90 && page.body["vectors"]?.asArray?.count == 50)
            #expect(try await nodes[2].send(.delete, "/qdrant/collections/features").status == 200)
        }
    }
}
