import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import Synchronization
import TestKit
import Testing

@Suite("A node that is stopped on purpose", .serialized)
struct StoppingTests {
    @Test("has others serve first what only it serves: every search meanwhile is complete, and what is written is found")
    func handingOver() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        try await nodes[0].create("words", shards: 6, replicas: 1)
        for number in 0..<60 { #expect(try await nodes[number % 3].insert(number, into: "words") == 200) }
        for number in 0..<60 where number % 20 == 0 {
            #expect(try await nodes[0].completeSearch(number, in: "words").nearest == "p\(number)")
        }

        try await eventually(within: 60, "the third has its share") {
            let served = try await nodes[0].send(.get, "/api/shards?node=n3").body["shards"]?.asArray ?? []
            return served.contains { $0["replicas"]?.asArray?.allSatisfy { $0["node"] == "n3" && $0["state"] == "serving" } == true }
        }

        let isOver = Over()
        let searching = Task { () throws -> [String] in
            var faults: [String] = []
            var number = 0
            while !isOver.value.load(ordering: .relaxed) {
                let (wanted, asked) = (number % 60, nodes[number % 2])
                let found = try await asked.search(wanted, in: "words")
                if found.status != 200 || !found.isComplete || found.nearest != "p\(wanted)" { faults.append("\(wanted): \(found)") }
                number += 1
            }
            return faults
        }
        try await nodes[2].stopCleanly()
        isOver.value.store(true, ordering: .relaxed)
        let faults = try await searching.value
        #expect(faults.isEmpty, "\(faults.count): \(faults.prefix(5).joined(separator: "\n"))")
        #expect(nodes[2].log.contains("before it stops"), "\(nodes[2].log)")
        #expect(try await nodes[0].insert(60, into: "words") == 200)
        #expect(try await nodes[1].completeSearch(60, in: "words").nearest == "p60")

        let back = try await cluster.start(2)
        try await eventually(within: 60, "it takes part again") {
            try await nodes[0].statuses() == ["n1": "active", "n2": "active", "n3": "active"]
        }
        #expect(try await back.completeSearch(60, in: "words").nearest == "p60")
    }

    @Test("says so also where others serve all that it does, so that nothing is given to it while it waits to be missed")
    func stopping() async throws {
        let cluster = try await ProcessCluster()
        var nodes: [NodeProcess] = []
        for number in 0..<3 {
            nodes.append(try await cluster.start(number, more: ["APUS_HTTP_UNREADY_SECONDS": "5"]))
        }
        try await cluster.settle(nodes)
        try await nodes[0].create("words", shards: 6, replicas: 2)
        nodes[2].send(signal: SIGTERM)
        try await eventually("the others are told") {
            let rows = try await nodes[0].send(.get, "/api/nodes").body["nodes"]?.asArray ?? []
            return rows.first { $0["name"] == "n3" }?["status"] == "stopping"
        }
        try await eventually(within: 60, "it has stopped") { nodes[2].ended == .status(0) }
    }

    private final class Over: Sendable { let value = Atomic(false) }

    @Test("alone it just stops, and serves everything when it is back")
    func alone() async throws {
        let cluster = try await ProcessCluster()
        var node = try await cluster.start(0)
        try await node.create("words", shards: 2, replicas: 1)
        #expect(try await node.insert(1, into: "words") == 200)
        try await node.stopCleanly()
        #expect(!node.log.contains("only this node serves"), "nobody is left who could miss anything")
        node = try await cluster.start(0)
        #expect(try await node.completeSearch(1, in: "words").nearest == "p1")
    }
}
