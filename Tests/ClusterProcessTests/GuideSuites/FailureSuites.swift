import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Glibc
import NodeProcessKit
import TestKit
import Testing

extension GuideSuites {
    @Suite("cluster_failures")
    struct ClusterFailuresSuite {
        @Test("a node dies while points are inserted and searched, and stands still; what was acknowledged is there, and it comes back")
        func failures() async throws {
            let cluster = try await GuideCluster.shared.value
            try await cluster[0].create("failures", shards: 4, replicas: 2)
            #expect(try await cluster[0].insert(0..<50, into: "failures") == 200)
            var all = Array(0..<50)
            for (round, signal) in [SIGKILL, SIGSTOP].enumerated() {
                let victim = cluster[2]
                let meanwhile = try await Meanwhile.during([cluster[0], cluster[1]], "failures", first: 1000 * (round + 1), known: 50) {
                    victim.send(signal: signal)
                    try await eventually(within: 60, "it is missed") { try await cluster[0].statuses()["n3"] == "unavailable" }
                }
                #expect(meanwhile.problems.isEmpty && !meanwhile.acknowledged.isEmpty, "\(meanwhile)")
                #expect(meanwhile.incomplete == 0, "\(meanwhile)")
                all += meanwhile.acknowledged
                if signal == SIGKILL { try await cluster.start(2) } else { victim.send(signal: SIGCONT) }
                try await cluster.settle()
                try await cluster.settleReplicas(of: "failures", at: 2)
                for number in meanwhile.acknowledged {
                    #expect(try await cluster[2].completeSearch(number, in: "failures").nearest == "p\(number)")
                }
            }
            let counted = try await cluster[1].count("failures") ?? 0
            #expect(counted >= Int64(all.count))
        }

        @Test(
            "with one replica the shards of a dead node are missing, and said to be, until others have them: strict searches are refused meanwhile"
        )
        func reassignment() async throws {
            let cluster = try await GuideCluster.shared.value
            try await cluster[0].create("single", shards: 6, replicas: 1)
            #expect(try await cluster[0].insert(0..<60, into: "single") == 200)
            await cluster[2].kill()
            let body = #"{"vector":[10,1],"limit":100,"strict":true}"#
            let partial = try await cluster[0].search(1, in: "single", limit: 100)
            let strict = try await cluster[1].send(.post, "/collections/single/search", body)
            if !partial.isComplete { #expect(partial.reply["missing"]?.asArray?.first?["reason"]?.asString?.isEmpty == false) }
            #expect(strict.status == 200 ? strict.body["complete"] == true : strict.body["code"] == "search.incomplete", "\(strict)")
            try await eventually(within: 60, "others serve its shards") {
                try await cluster[0].send(.post, "/collections/single/search", body).body["results"]?.asArray?.count == 60
            }
            try await cluster.start(2)
            try await eventually(within: 60, "it has its share again") { try await cluster.loads()["n3"] ?? 0 >= 4 }
            #expect(try await cluster[2].count("single") == 60)
        }
    }

    @Suite("cluster_fault_tolerance")
    struct ClusterFaultToleranceSuite {
        @Test("without its catalog no node acknowledges a write, and reads go on; when it is back nothing has to be done")
        func catalog() async throws {
            let cluster = try await GuideCluster.shared.value
            try await cluster[0].create("tolerance", shards: 3, replicas: 2)
            #expect(try await cluster[0].insert(0..<30, into: "tolerance") == 200)
            try await cluster.server.freeze()
            for (number, node) in cluster.nodes.enumerated() {
                let status = try await node.insert(100 + number, into: "tolerance")
                #expect(status == 503)
            }
            for node in cluster.nodes {
                #expect(try await node.search(7, in: "tolerance", limit: 100).status == 200)
            }
            cluster.server.thaw()
            try await eventually(within: 60, "writes succeed again") { try await cluster[1].insert(200, into: "tolerance") == 200 }
            try await cluster.settle()
            for node in cluster.nodes { #expect(try await node.completeSearch(200, in: "tolerance").nearest == "p200") }
        }

        @Test("the leader stands still: another one leads, and what the first one thinks it does when it goes on changes nothing")
        func leader() async throws {
            let cluster = try await GuideCluster.shared.value
            func leader(_ node: NodeProcess) async throws -> String? {
                try await node.send(.get, "/api/v1/cluster/leader").body["leader"]?.asString
            }
            let first = try #require(try await leader(cluster[0]))
            let frozen = try #require((0..<3).first { ProcessCluster.name($0) == first })
            let witness = cluster[(frozen + 1) % 3]
            cluster[frozen].send(signal: SIGSTOP)
            try await eventually(within: 40, "another one leads") { try await leader(witness).map { $0 != first } ?? false }
            let second = try await leader(witness)
            cluster[frozen].send(signal: SIGCONT)
            try await cluster.settle()
            for node in cluster.nodes { #expect(try await leader(node) == second) }
            #expect(try await cluster[frozen].send(.get, "/api/v1/cluster/role").body["role"] == "follower")
        }

        @Test("all nodes are killed at once: everything that was acknowledged is there when they are started again")
        func killed() async throws {
            let cluster = try await GuideCluster.shared.value
            let before = try await cluster[0].count("tolerance")
            for number in 300..<330 { #expect(try await cluster[number % 3].insert(number, into: "tolerance") == 200) }
            for node in cluster.nodes { node.send(signal: SIGKILL) }
            for node in cluster.nodes { await node.kill() }
            try await cluster.start(0, 1, 2)
            try await cluster.settleReplicas(of: "tolerance", at: 2)
            for node in cluster.nodes { #expect(try await node.count("tolerance") == (before ?? 0) + 30) }
            for number in 300..<330 {
                #expect(try await cluster[number % 3].completeSearch(number, in: "tolerance").nearest == "p\(number)")
            }
        }
    }
}
