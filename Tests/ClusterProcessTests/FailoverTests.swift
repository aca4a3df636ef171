import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import NodeProcessKit
import TestKit
import Testing

/// The catalog goes back in time under nodes that have taken in what it lost.
@Suite("three nodes whose catalog fails over to a standby")
struct FailoverTests {
    /// What each node holds of a collection, shard by shard, against the segments and the log.
    private struct Contents: Equatable {
        var isWhole: Bool
        /// Place in the log and digest of the points.
        var shards: [String]

        init(of collection: String, on node: NodeProcess) async throws {
            let reply = try await node.send(.post, "/api/collections/\(collection)/verify")
            guard reply.status == 200 else { throw ApusError(.internalError, "not verified: \(reply)") }
            isWhole = reply.body["is_whole"] == true
            shards = (reply.body["shards"]?.asArray ?? []).map { "\($0["sequence"] ?? .null) \($0["memory"]?["digest"] ?? .null)" }
        }
    }

    @Test("50 acknowledged appends are lost with the primary: every node forgets them, and all hold the same as the log")
    func lossy() async throws {
        let primary = try await PostgreSQLServer.start()
        let standby = try await primary.standby(name: "s1")
        let cluster = try await ProcessCluster(on: primary, standby)
        // Every few points are sealed: manifests are lost too.
        var nodes: [NodeProcess] = []
        for number in 0..<3 { nodes.append(try await cluster.start(number, more: ["APUS_VECTORS_SEAL_POINTS": "16"])) }
        try await eventually(within: 40, "all are active") { try await nodes[0].statuses().values.allSatisfy { $0 == "active" } }
        try await nodes[0].create("c", shards: 3, replicas: 3)
        for number in 0..<30 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }
        try await primary.untilApplied(by: standby)
        try await standby.stopReceiving()

        for number in 30..<80 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }
        try await nodes[1].create("lost", shards: 1, replicas: 3)
        #expect(try await nodes[1].insert(1, into: "lost") == 200)
        for node in nodes {
            #expect(try await node.completeSearch(79, in: "c", limit: 100).count == 80)
            #expect(try await node.completeSearch(1, in: "lost").nearest == "p1")
        }
        try await eventually(within: 60, "something is sealed that the standby does not hear of") {
            try await primary.query("SELECT sum(version) FROM apus.shard_manifest")
                != standby.query("SELECT coalesce(sum(version), 0) FROM apus.shard_manifest")
        }

        await primary.kill()
        try await standby.promote()
        // What is acknowledged from now on is in the new history, and the next search finds it through any node.
        var acknowledged: [Int] = []
        var number = 1000
        try await eventually(within: 60, "writes go on") {
            number += 1
            if try await nodes[number % 3].insert(number, into: "c") == 200 { acknowledged.append(number) }
            return acknowledged.count == 20
        }
        for node in nodes {
            for number in acknowledged { #expect(try await node.completeSearch(number, in: "c").nearest == "p\(number)") }
            #expect(try await node.completeSearch(79, in: "c", limit: 100).nearest == "p29", "what was lost is not found")
            try await eventually(within: 30, "the collection is forgotten") {
                try await node.send(.get, "/collections/lost").status == 404
            }
        }
        let counted = try await nodes[0].send(.get, "/collections/c")
        #expect(counted.body["vector_count"] == .integer(Int64(30 + acknowledged.count)), "\(counted)")
        for node in nodes {
            let log = NodeProcess.text(of: node.directory + ".log")
            #expect(log.contains("the catalog has another incarnation") && log.contains("the catalog has another history"), "\(log)")
        }

        // The numbers that the lost operations had are taken by others, and are sealed again.
        for number in 2000..<2120 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }
        // Fewer than 16 points stay in memory for as long as nothing else is written.
        try await eventually(within: 60, "what was written since is sealed") {
            try await standby.query("SELECT bool_and(h.seq - m.seq < 16) FROM apus.shard_head h JOIN apus.shard_manifest m USING (shard)")
                == "t"
        }
        let contents = try await Contents(of: "c", on: nodes[0])
        #expect(contents.isWhole && contents.shards.count == 3, "\(contents)")
        for node in nodes.dropFirst() { #expect(try await Contents(of: "c", on: node) == contents) }
        for node in nodes { _ = await node.terminate() }
        await standby.stop()
    }

    @Test("of two synchronous standbys one freezes: writes go on; the primary dies, the other is promoted: no acknowledged write is lost")
    func synchronous() async throws {
        let primary = try await PostgreSQLServer.start()
        let standbys = [try await primary.standby(name: "s1"), try await primary.standby(name: "s2")]
        try await primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (s1, s2)'")
        try await primary.execute("SELECT pg_reload_conf()")
        let cluster = try await ProcessCluster(on: primary, standbys[0], standbys[1])
        var nodes: [NodeProcess] = []
        for number in 0..<3 { nodes.append(try await cluster.start(number)) }
        try await cluster.settle(nodes)
        try await nodes[0].create("c", shards: 3, replicas: 2)
        for number in 0..<20 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }

        try await standbys[0].freeze()
        for number in 20..<60 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }
        await primary.kill()
        try await standbys[1].promote()
        standbys[0].thaw()
        var acknowledged = Array(0..<60)
        try await eventually(within: 60, "writes go on") {
            let number = 100 + acknowledged.count
            if try await nodes[number % 3].insert(number, into: "c") == 200 { acknowledged.append(number) }
            return acknowledged.count == 80
        }
        for node in nodes {
            for number in acknowledged { #expect(try await node.completeSearch(number, in: "c").nearest == "p\(number)") }
            #expect(try await Contents(of: "c", on: node).isWhole)
            _ = await node.terminate()
        }
        for server in standbys { await server.stop(.immediate) }
    }
}
