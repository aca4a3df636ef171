import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import TestKit
import Testing

@Suite("three nodes, as processes")
struct ClusterProcessTests {
    @Test("what one node acknowledges the next one finds; a killed node's shards are served elsewhere, and it comes back by itself")
    func killed() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        try await nodes[0].create("c", shards: 6, replicas: 1)
        for number in 0..<120 {
            #expect(try await nodes[number % 3].insert(number, into: "c") == 200)
            let found = try await nodes[(number + 1) % 3].completeSearch(number, in: "c")
            #expect(found.nearest == "p\(number)", "\(number): \(found)")
        }
        await nodes[1].kill()
        let partial = try await nodes[0].search(3, in: "c", limit: 100)
        #expect(partial.status == 200 && !partial.isComplete && partial.count < 100)
        try await eventually(within: 30, "the shards are served elsewhere") {
            try await nodes[2].search(3, in: "c", limit: 100).isComplete
        }
        #expect(try await nodes[0].send(.get, "/collections/c").body["vector_count"] == 120)
        #expect(try await nodes[0].statuses()["n2"] == "unavailable")
        #expect(try await nodes[2].insert(500, into: "c") == 200)

        let back = try await cluster.start(1)
        #expect(try await back.completeSearch(500, in: "c").nearest == "p500")
        try await eventually(within: 40, "the node has shards again") {
            let distribution = try await back.send(.get, "/api/v1/cluster/shard-distribution").body
            return distribution["shards_per_node"] == ["n1": 2, "n2": 2, "n3": 2]
        }
        #expect(try await back.send(.get, "/collections/c").body["vector_count"] == 121)
        for node in [nodes[0], back, nodes[2]] { _ = await node.terminate() }
    }

    @Test("a collection that is created while the nodes start has its shards on all of them at once")
    func starting() async throws {
        let cluster = try await ProcessCluster()
        var nodes: [NodeProcess] = []
        for number in 0..<3 { nodes.append(try await cluster.start(number)) }
        try await nodes[0].create("c", shards: 6, replicas: 1)
        let shards = try await nodes[0].send(.get, "/api/v1/cluster/shard-distribution").body["shards_per_node"]
        #expect(shards == ["n1": 2, "n2": 2, "n3": 2], "\(shards ?? .null)")
        for node in nodes { _ = await node.terminate() }
    }

    @Test("with two replicas no search fails or is incomplete while a node is killed, and none takes long while one is frozen")
    func replicated() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        try await nodes[0].create("c", shards: 4, replicas: 2)
        for number in 0..<60 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }
        for (victim, signal) in [(2, SIGSTOP), (1, SIGKILL)] {
            nodes[victim].send(signal: signal)
            let until = BootClock.now.advanced(by: .seconds(8))
            var (searches, incomplete) = (0, 0)
            while BootClock.now < until {
                let number = searches % 60
                let asked = BootClock.now
                let found = try await nodes[0].search(number, in: "c", limit: 60)
                searches += 1
                #expect(found.status == 200 && asked.duration(to: BootClock.now) < .seconds(6), "\(found)")
                if found.isComplete { #expect(found.nearest == "p\(number)" && found.count == 60, "\(found)") } else { incomplete += 1 }
            }
            #expect(searches > 20 && incomplete == 0, "\(incomplete) of \(searches)")
            #expect(try await nodes[0].insert(100 + victim, into: "c") == 200)
            #expect(try await nodes[0].completeSearch(100 + victim, in: "c").nearest == "p\(100 + victim)")
            if signal == SIGSTOP {
                nodes[victim].send(signal: SIGCONT)
                try await eventually(within: 40, "it is active again") { try await nodes[0].statuses()["n3"] == "active" }
                // What was written while it stood still.
                #expect(try await nodes[victim].completeSearch(100 + victim, in: "c").nearest == "p\(100 + victim)")
                let gone = try await nodes[0].send(.delete, "/collections/c/vectors/p\(100 + victim)")
                #expect(gone.status == 200)
            }
        }
        for node in [nodes[0], nodes[2]] { _ = await node.terminate() }
    }

    @Test("a node without the cluster's secret, or with another one, is refused by name, and the cluster does not see it")
    func strangers() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 1)
        for (secret, code) in [(nil, "join.secret_missing"), ("quite another secret", "join.secret_mismatch")] {
            let refused = await #expect(throws: NodeFailure.self) { try await cluster.start(1, secret: secret) }
            #expect(refused.map { "\($0)".contains(code) } == true, "\(String(describing: refused))")
        }
        #expect(try await nodes[0].statuses() == ["n1": "active"])
        _ = await nodes[0].terminate()
    }

    @Test("a node is drained and takes work again; one is removed after others serve its shards; what nobody could serve forbids it")
    func drained() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        try await nodes[0].create("c", shards: 6, replicas: 2)
        for number in 0..<30 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }
        func shards() async throws -> JSONValue? {
            try await nodes[0].send(.get, "/api/v1/cluster/shard-distribution").body["shards_per_node"]
        }
        let trial = try await nodes[0].send(.post, "/api/nodes/n3/drain?dry_run=true")
        #expect(trial.status == 200 && trial.body["moves"]?.asArray?.count == 4 && trial.body["short"] == [])
        #expect(try await nodes[0].statuses()["n3"] == "active")
        #expect(try await nodes[0].send(.post, "/api/nodes/n3/drain").status == 200)
        try await eventually(within: 40, "it serves nothing") { try await shards() == ["n1": 6, "n2": 6, "n3": 0] }
        let second = try await nodes[0].send(.post, "/api/nodes/n2/drain")
        #expect(second.status == 409 && second.body["error"]?["code"] == "node.needed")
        for number in 0..<30 {
            #expect(try await nodes[2].completeSearch(number, in: "c").nearest == "p\(number)")
        }
        #expect(try await nodes[0].send(.post, "/api/nodes/n3/undrain").status == 200)
        try await eventually(within: 40, "it serves its share again") { try await shards() == ["n1": 4, "n2": 4, "n3": 4] }

        #expect(try await nodes[0].send(.delete, "/api/v1/cluster/nodes/n3").body["status"] == "leaving")
        try await eventually(within: 40, "it is forgotten") { try await nodes[0].statuses().keys.sorted() == ["n1", "n2"] }
        #expect(try await nodes[1].completeSearch(7, in: "c", limit: 30).count == 30)
        try await eventually(within: 40, "why is recorded") {
            let why = try await nodes[0].send(.get, "/api/records?subject=node%20n3").body["records"]?.asArray ?? []
            return why.first?["summary"]?.asString?.hasPrefix("removed") == true
        }
        _ = await nodes[1].terminate()
        let last = try await nodes[0].send(.delete, "/api/v1/cluster/nodes/n1")
        #expect(last.status == 409)
        for node in [nodes[0], nodes[2]] { _ = await node.terminate() }
    }
}
