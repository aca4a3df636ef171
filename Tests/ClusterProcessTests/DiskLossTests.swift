import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import NodeProcessKit
import TestKit
import Testing

@Suite("a node loses its disk")
struct DiskLossTests {
    @Test("it starts with an empty directory, objects are in the catalog: every search is answered as before, with nothing done by hand")
    func disk() async throws {
        let cluster = try await ProcessCluster()
        let settings = ["APUS_VECTORS_SEAL_POINTS": "32"]  // so that most points are in segments
        var nodes: [NodeProcess] = []
        for number in 0..<3 { nodes.append(try await cluster.start(number, more: settings)) }
        try await cluster.settle(nodes)
        try await nodes[0].create("c", shards: 6, replicas: 1)
        for first in stride(from: 0, to: 600, by: 50) {
            #expect(try await nodes[first / 50 % 3].insert(first..<first + 50, into: "c") == 200)
        }
        let before = try await answers(nodes[0])
        #expect(before.allSatisfy { $0.count == 25 })
        try await eventually(within: 60, "points are sealed") { nodes.contains { $0.log.contains("sealed a shard") } }

        await nodes[2].kill()
        try FileManager.default.removeItem(atPath: nodes[2].directory)
        nodes[2] = try await cluster.start(2, more: settings)
        try await cluster.settle(nodes)
        for node in nodes { #expect(try await answers(node) == before) }
        #expect(try await nodes[2].count("c") == 600)
        #expect(try await nodes[2].insert(600..<610, into: "c") == 200)
        #expect(try await nodes[0].completeSearch(605, in: "c").nearest == "p605")
    }

    /// What some searches find. Points lie in pairs at equal distances, so their order says nothing.
    private func answers(_ node: NodeProcess) async throws -> [[String]] {
        var answers: [[String]] = []
        for number in stride(from: 0, to: 600, by: 60) {
            let found = try await node.completeSearch(number, in: "c", limit: 25)
            answers.append((found.reply["results"]?.asArray ?? []).compactMap { $0["id"]?.asString }.sorted())
        }
        return answers
    }
}
