import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import TestKit
import Testing

extension GuideSuites {
    @Suite("cluster")
    struct ClusterSuite {
        @Test(
            "every node lists the three with the same addresses; a node keeps its identity over a restart; nobody is removed who is needed")
        func membership() async throws {
            let cluster = try await GuideCluster.shared.value
            var lists: Set<String> = []
            for node in cluster.nodes {
                let nodes = try await node.send(.get, "/api/v1/cluster/nodes").body["nodes"]?.asArray ?? []
                lists.insert("\(nodes.map { [$0["id"], $0["status"], $0["address"], $0["grpc_port"]] })")
                #expect(try await node.send(.get, "/api/v1/cluster/nodes/n2").body["id"] == "n2")
                #expect(try await node.send(.get, "/api/v1/cluster/nodes/n9").status == 404)
            }
            #expect(lists.count == 1)
            let identity = try await cluster[2].send(.get, "/api/status").body["node"]
            try await cluster[2].stopCleanly()
            try await cluster.start(2)
            let again = try await cluster[2].send(.get, "/api/status").body["node"]
            #expect(again?["id"] == identity?["id"] && again?["name"] == "n3")
        }

        @Test("a plan of moves is empty where there is nothing, and where all is even; one that makes no sense is refused with the field")
        func plans() async throws {
            let cluster = try await GuideCluster.shared.value
            try await cluster.deleteCollections()
            try await cluster[0].create("cluster", shards: 6, replicas: 1)
            try await eventually(within: 60, "nothing is to be moved") {
                let plan = try await cluster[1].send(.post, "/api/rebalance?dry_run=true").body
                return plan["planned"] == [] && plan["moving"] == []
            }
            #expect(try await cluster[2].send(.post, "/api/v1/cluster/rebalance").body["message"] == "Cluster is already balanced")
            for (query, status) in [("", 400), ("?to=n9", 404), ("?to=n1&from=n1&dry_run=true", 409), ("?to=n2&dry_run=maybe", 400)] {
                let number = try await cluster[0].replicas(of: "cluster", 0) == ["n1"] ? 0 : 1
                let reply = try await cluster[0].send(.post, "/api/collections/cluster/shards/\(number)/move" + query)
                #expect((400...409).contains(reply.status), "\(query): \(reply)")
                if query.isEmpty || status == 404 { #expect(reply.status == status, "\(query): \(reply)") }
            }
        }

        @Test("hundreds of requests share one connection between two nodes")
        func connections() async throws {
            let cluster = try await GuideCluster.shared.value
            for number in 0..<30 { #expect(try await cluster[number % 3].insert(number, into: "cluster") == 200) }
            for number in 0..<300 { _ = try await cluster[number % 3].search(number % 30, in: "cluster") }
            for node in cluster.nodes {
                let port = try #require(node.peerPort)
                // Each of the other two has one.
                #expect(Self.connections(to: port) <= 2, "\(port)")
            }
        }

        /// Those that are established, counted at the end that opened them.
        private static func connections(to port: Int) -> Int {
            let hexadecimal = String(port, radix: 16, uppercase: true)
            let padded = String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
            return NodeProcess.text(of: "/proc/net/tcp").split(separator: "\n").count { line in
                let fields = line.split(separator: " ")
                return fields.count > 3 && fields[2].hasSuffix(":" + padded) && fields[3] == "01"
            }
        }
    }

    @Suite("distributed_sharding")
    struct DistributedShardingSuite {
        @Test(
            "the guide's six shards lie two on each node, and every node says the same; an id is in the same shard for all, also after a restart"
        )
        func ring() async throws {
            let cluster = try await GuideCluster.shared.value
            // Shards are placed by all that a node has, on nodes that answer.
            try await cluster.deleteCollections()
            try await cluster.settle()
            let made = try await cluster[0].send(
                .post, "/collections",
                #"{"name":"distributed-collection","dimension":2,"metric":"euclidean","sharding":{"shard_count":6,"virtual_nodes_per_shard":100}}"#
            )
            #expect(made.status == 200)
            for start in stride(from: 0, to: 1500, by: 100) {
                #expect(try await cluster[start / 100 % 3].insert(start..<start + 100, into: "distributed-collection") == 200)
            }
            let shards = try await cluster[0].points(perShardOf: "distributed-collection")
            #expect(shards.reduce(0, +) == 1500 && shards.count == 6 && Double(shards.max() ?? 0) / 250 < 1.25, "\(shards)")
            try await eventually(within: 60, "two lie on each node") { try await cluster.loads() == ["n1": 2, "n2": 2, "n3": 2] }
            var maps: Set<String> = []
            for node in cluster.nodes {
                #expect(try await node.points(perShardOf: "distributed-collection") == shards)
                maps.insert("\(try await node.send(.get, "/api/v1/cluster/shard-distribution").body)")
                let shard = try await node.send(.get, "/api/shards?collection=distributed-collection&node=n2").body["shards"]?.asArray
                #expect(shard?.count == 2)
            }
            #expect(maps.count == 1)
            try await cluster[1].stopCleanly()
            try await cluster.start(1)
            try await cluster.settleReplicas(of: "distributed-collection", at: 1)
            for (number, node) in cluster.nodes.enumerated() {
                for point in stride(from: number, to: 1500, by: 211) {
                    #expect(try await node.send(.get, "/collections/distributed-collection/vectors/p\(point)").status == 200)
                }
                try await eventually(within: 30, "it sees all") { try await node.points(perShardOf: "distributed-collection") == shards }
            }
        }

        @Test("where every node drains, nothing can be placed, in the guide's words")
        func empty() async throws {
            let cluster = try await GuideCluster.shared.value
            try await cluster.deleteCollections()
            for name in ["n1", "n2", "n3"] { #expect(try await cluster[0].send(.post, "/api/nodes/\(name)/drain").status == 200) }
            let refused = try await cluster[1].send(.post, "/collections", #"{"name":"nowhere","dimension":2}"#)
            #expect(refused.status == 503 && refused.body["error"] == "No active cluster nodes available", "\(refused)")
            for name in ["n1", "n2", "n3"] { #expect(try await cluster[0].send(.post, "/api/nodes/\(name)/undrain").status == 200) }
            try await cluster.settle()
        }
    }
}
