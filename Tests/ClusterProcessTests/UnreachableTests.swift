import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// A node that speaks another language than the others, as behind a firewall, lives and is of no use to them.
@Suite("nodes that no other node reaches", .serialized)
struct UnreachableTests {
    /// Whether each node finds all points, and says so.
    private func allFind(_ count: Int, in name: String, through nodes: [NodeProcess]) async throws -> Bool {
        for node in nodes {
            let found = try await node.search(0, in: name, limit: count)
            guard found.isComplete, found.count == count else { return false }
        }
        return true
    }

    private func shards(of name: String, as node: NodeProcess) async throws -> Int64 {
        try await node.send(.get, "/api/v1/cluster/shard-distribution").body["shards_per_node"]?[name]?.asInteger ?? 0
    }

    /// What a command prints.
    private func apus(_ node: NodeProcess, _ arguments: [String]) async throws -> String {
        let folder = try TemporaryDirectory()
        let process = try await ChildProcess.start(
            .init(
                try NodeProcess.program(), arguments, environment: ["PATH": "/usr/bin:/bin", "APUS_URL": node.url, "APUS_KEY": node.key],
                output: .file(folder.path + "/out")), on: TestLoops.shared.first)
        _ = await process.wait(atMost: .seconds(60))
        return NodeProcess.text(of: folder.path + "/out")
    }

    @Test("three nodes with certificates find everything; one without is given nothing and costs no search, and with one its share")
    func certificates() async throws {
        let cluster = try await ProcessCluster()
        let authority = try await TestAuthority.make()
        var nodes: [NodeProcess] = []
        for number in 0..<3 {
            nodes.append(try await cluster.start(number, more: authority.environment(prefix: "\(cluster.directory.path)/tls\(number)")))
        }
        try await cluster.settle(nodes)
        try await nodes[0].create("c", shards: 8, replicas: 1)
        for number in 0..<40 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }
        try await eventually(within: 60, "each node finds all") { try await allFind(40, in: "c", through: nodes) }

        let plain = try await cluster.start(3)
        try await eventually(within: 60, "the others do not reach it") { try await nodes[0].statuses()["n4"] == "unavailable" }
        // Longer than a move would take.
        for _ in 0..<10 {
            let found = try await nodes[0].completeSearch(0, in: "c", limit: 40)
            #expect(found.count == 40)
            #expect(try await shards(of: "n4", as: nodes[0]) == 0)
            try await BootClock().sleep(for: .seconds(1))
        }
        let why = try await nodes[0].send(.get, "/api/records?subject=node%20n4").body
        #expect("\(why)".contains("suspect, because it does not answer"), "\(why)")
        _ = await plain.terminate()
        let certified = try await cluster.start(3, more: authority.environment(prefix: "\(cluster.directory.path)/tls3"))
        try await eventually(within: 60, "it is given its share") { try await shards(of: "n4", as: nodes[0]) == 2 }
        try await eventually(within: 60, "each node finds all") { try await allFind(40, in: "c", through: nodes + [certified]) }
        for node in nodes + [certified] { _ = await node.terminate() }
    }

    @Test("a node that beats but whose port is closed to the others keeps its shards for the grace; then all is found again")
    func closed() async throws {
        let cluster = try await ProcessCluster()
        let authority = try await TestAuthority.make()
        // Silence does not take it down while it starts again.
        let settings = ["APUS_MEMBERSHIP_ABSENCE_GRACE_SECONDS": "6", "APUS_MEMBERSHIP_DOWN_SECONDS": "60"]
        var nodes: [NodeProcess] = []
        for number in 0..<3 { nodes.append(try await cluster.start(number, more: settings)) }
        try await cluster.settle(nodes)
        try await nodes[0].create("c", shards: 6, replicas: 1)
        for number in 0..<40 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }
        try await eventually(within: 60, "it has its share") { try await shards(of: "n3", as: nodes[0]) == 2 }

        await nodes[2].kill()
        let tls = try await authority.environment(prefix: "\(cluster.directory.path)/tls")
        nodes[2] = try await cluster.start(2, more: settings.merging(tls) { $1 })
        #expect(try await shards(of: "n3", as: nodes[0]) == 2)
        #expect(try await nodes[0].search(0, in: "c", limit: 40).isComplete == false)
        try await eventually(within: 60, "the others find all") { try await allFind(40, in: "c", through: Array(nodes[0...1])) }
        try await eventually(within: 60, "it has nothing left") { try await shards(of: "n3", as: nodes[0]) == 0 }
        #expect(try await nodes[0].statuses()["n3"] == "unavailable", "it beats: it is not down")
        let why = try await nodes[0].send(.get, "/api/records?subject=node%20n3").body
        #expect("\(why)".contains("unreached, and its shards are placed elsewhere, because it has not answered n1, n2"), "\(why)")

        for arguments in [["status"], ["node", "list"]] {
            #expect(
                try await apus(nodes[0], arguments).contains(#/unreached: n3 beats, and has not answered n1, n2 for .*placed elsewhere/#))
        }
        #expect(try await apus(nodes[0], ["why", "n3"]).contains("node n3: unreached, and its shards are placed elsewhere"))

        _ = await nodes[2].terminate()
        nodes[2] = try await cluster.start(2, more: settings)
        try await eventually(within: 60, "it has its share again") { try await shards(of: "n3", as: nodes[0]) == 2 }
        for node in nodes { _ = await node.terminate() }
    }
}
