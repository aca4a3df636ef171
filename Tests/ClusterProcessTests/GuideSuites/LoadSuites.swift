import ApusHTTP
import ApusRuntime
import ApusTypes
import NodeProcessKit
import TestKit
import Testing

extension GuideSuites {
    @Suite("cluster_scale")
    struct ClusterScaleSuite {
        @Test("a fourth node comes and goes under load: loads stay even, few shards move, no search is incomplete, no write is lost")
        func scale() async throws {
            let cluster = try await GuideCluster.shared.value
            try await cluster.deleteCollections()
            try await cluster[0].create("scale", shards: 24, replicas: 1)
            #expect(try await cluster[0].insert(0..<200, into: "scale") == 200)
            // Later than at once on a machine so busy that a node is suspected, which is given nothing while it is.
            try await eventually(within: 60, "loads are even") { try await cluster.loads() == ["n1": 8, "n2": 8, "n3": 8] }
            let before = try await Self.places(cluster)
            let members = cluster.nodes
            var acknowledged: [Int] = []
            let joining = try await Meanwhile.during(members, "scale", first: 1000, known: 200) {
                try await cluster.start(3)
                #expect(try await cluster[0].send(.post, "/api/v1/cluster/rebalance").status == 200)
                try await eventually(within: 90, "the new node has its share") {
                    try await cluster.loads() == ["n1": 6, "n2": 6, "n3": 6, "n4": 6]
                }
            }
            let after = try await Self.places(cluster)
            let moved = before.count { after[$0.key] != $0.value }
            // A node that is suspected on a busy machine is given nothing meanwhile, and its share later.
            #expect(6...12 ~= moved, "moved \(moved) shards; 6 is the least")
            let leaving = try await Meanwhile.during(members, "scale", first: 5000, known: 200) {
                #expect(try await cluster[0].send(.delete, "/api/v1/cluster/nodes/n4").body["status"] == "leaving")
                try await eventually(within: 90, "it is gone") { cluster[3].ended != nil }
            }
            #expect(cluster[3].ended == .status(0))
            cluster.forget(3)
            try await cluster.settle()
            for meanwhile in [joining, leaving] {
                #expect(meanwhile.problems.isEmpty && meanwhile.refused == 0 && meanwhile.searches > 3, "\(meanwhile)")
                #expect(meanwhile.incomplete == 0, "\(meanwhile)")
                acknowledged += meanwhile.acknowledged
            }
            #expect(try await cluster.loads() == ["n1": 8, "n2": 8, "n3": 8])
            #expect(try await cluster[1].count("scale").map { $0 >= Int64(200 + acknowledged.count) } == true)
            for number in acknowledged {
                #expect(try await cluster[number % 3].completeSearch(number, in: "scale").nearest == "p\(number)")
            }
        }

        private static func places(_ cluster: GuideCluster) async throws -> [Int64: [String]] {
            let shards = try await cluster[0].send(.get, "/api/shards?collection=scale").body["shards"]?.asArray ?? []
            return Dictionary(
                shards.map { ($0["shard"]?.asInteger ?? 0, ($0["replicas"]?.asArray ?? []).compactMap { $0["node"]?.asString }) },
                uniquingKeysWith: { first, _ in first })
        }
    }

    @Suite("cluster_performance")
    struct ClusterPerformanceSuite {
        @Test(
            "clients insert and search at the same time, through one node and through three: every answer is right; the numbers are printed"
        )
        func concurrency() async throws {
            let cluster = try await GuideCluster.shared.value
            for (name, nodes) in [("one", [cluster[0]]), ("three", cluster.nodes)] {
                try await cluster[0].create(name, shards: 6, replicas: 1)
                let inserts = try await Self.load(clients: 6, rounds: 20) { client, round in
                    let first = (client * 20 + round) * 10
                    return try await nodes[(client + round) % nodes.count].insert(first..<first + 10, into: name) == 200
                }
                #expect(inserts.wrong == 0)
                #expect(try await cluster[2].count(name) == 1200)
                let searches = try await Self.load(clients: 6, rounds: 40) { client, round in
                    let number = (client * 131 + round * 17) % 1200
                    let found = try await nodes[(client + round) % nodes.count].search(number, in: name)
                    return found.status == 200 && (!found.isComplete || found.nearest == "p\(number)")
                }
                #expect(searches.wrong == 0)
                print("cluster_performance through \(name): inserts of 10 points \(inserts), searches \(searches)")
            }
            for node in cluster.nodes {
                let pages = NodeProcess.text(of: "/proc/\(node.identifier)/statm").split(separator: " ").dropFirst().first.flatMap {
                    Int($0)
                }
                let bytes = ByteCount((pages ?? 0) * 4096)
                print("cluster_performance memory of a node: \(bytes)")
                #expect(bytes < .gibibytes(2))
            }
        }

        struct Load: CustomStringConvertible {
            var wrong = 0
            var perSecond = 0.0
            var milliseconds: [Double] = []
            var description: String {
                let sorted = milliseconds.sorted()
                func text(_ value: Double) -> String { String(Int(value * 10) / 10) }
                return
                    "\(text(perSecond)) each second, p50 \(text(sorted[sorted.count / 2])) ms, p99 \(text(sorted[sorted.count * 99 / 100])) ms"
            }
        }

        private static func load(
            clients: Int, rounds: Int, _ body: @escaping @Sendable (Int, Int) async throws -> Bool
        ) async throws -> Load {
            let started = BootClock.now
            var load = try await withThrowingTaskGroup(of: Load.self) { group in
                for client in 0..<clients {
                    group.addTask {
                        var own = Load()
                        for round in 0..<rounds {
                            let asked = BootClock.now
                            if try await !body(client, round) { own.wrong += 1 }
                            own.milliseconds.append(asked.duration(to: BootClock.now).seconds * 1000)
                        }
                        return own
                    }
                }
                return try await group.reduce(into: Load()) {
                    $0.wrong += $1.wrong; $0.milliseconds += $1.milliseconds
                }
            }
            load.perSecond = Double(load.milliseconds.count) / started.duration(to: BootClock.now).seconds
            return load
        }
    }
}
