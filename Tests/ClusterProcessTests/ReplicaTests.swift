import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit
import Testing

@Suite("nodes whose catalog has standbys that answer reads")
struct ReplicaTests {
    /// The command line with a node's environment and nothing else; its status, and output and errors in one.
    private func apus(_ arguments: [String], _ environment: [String: String]) async throws -> (status: ChildProcess.Exit, text: String) {
        let folder = try TemporaryDirectory()
        let process = try await ChildProcess.start(
            .init(
                try NodeProcess.program(), arguments, environment: environment.merging(["PATH": "/usr/bin:/bin"]) { own, _ in own },
                directory: folder.path, output: .file(folder.path + "/out")), on: TestLoops.shared.first)
        let exit = await process.wait(atMost: .seconds(60))
        return (exit, try String(contentsOfFile: folder.path + "/out", encoding: .utf8))
    }

    /// How many reads a server has answered.
    private func reads(_ server: String, in text: String) -> Int {
        let line = text.split(separator: "\n").first { $0.hasPrefix("apus_catalog_routed_reads_total{server=\"\(server)\"}") }
        return line?.split(separator: " ").last.flatMap { Int($0) } ?? 0
    }

    @Test("a node that joins reads its segments from the standbys, says so, and goes on with the primary when they are gone")
    func segments() async throws {
        let primary = try await PostgreSQLServer.start()
        let standbys = [try await primary.standby(name: "s1"), try await primary.standby(name: "s2")]
        let names = standbys.map { "127.0.0.1:\($0.port)" }
        let cluster = try await ProcessCluster(on: primary)
        let settings = ["APUS_VECTORS_SEAL_POINTS": "16", "POSTGRES_SLAVE_HOSTS": names.joined(separator: ",")]
        let first = try await cluster.start(0, more: settings)
        try await first.create("c", shards: 4, replicas: 2)
        for number in 0..<100 { #expect(try await first.insert(number, into: "c") == 200) }
        try await eventually(within: 60, "all shards are sealed") {
            try await primary.query("SELECT count(DISTINCT shard) = 4 FROM apus.segment") == "t"
        }
        let second = try await cluster.start(1, more: settings)
        try await eventually(within: 60, "the second node serves all shards") {
            try await first.send(.get, "/api/v1/cluster/shard-distribution").body["shards_per_node"] == ["n1": 4, "n2": 4]
        }
        let scraped = try await second.metrics()
        #expect(
            names.allSatisfy { reads($0, in: scraped) > 0 },
            "\(scraped.split(separator: "\n").filter { $0.contains("replica") || $0.contains("routed") })")
        #expect(names.allSatisfy { scraped.contains("apus_catalog_replica_usable{replica=\"\($0)\"} 1") })
        let environment = settings.merging(["APUS_CATALOG_URL": primary.url().reveal()]) { $1 }
        let healthy = try await apus(["doctor", "catalog"], environment)
        #expect(healthy.text.contains("standbys follow asynchronously") && healthy.text.contains("synchronous_standby_names"), "\(healthy)")
        #expect(names.allSatisfy { healthy.text.contains("replica \($0) answers reads") }, "\(healthy)")
        let shown = try await apus(["config", "show"], environment)
        #expect(shown.text.contains("POSTGRES_SLAVE_HOSTS"), "\(shown.text)")

        await standbys[0].kill()
        try await standbys[1].promote()
        let ill = try await apus(["doctor", "catalog"], environment)
        #expect(ill.status != .status(0) && ill.text.contains("replica \(names[0]) does not answer"), "\(ill)")
        #expect(ill.text.contains("replica \(names[1]) is no standby"), "\(ill)")
        // What it loads now it loads from the primary: an empty data directory knows nothing.
        _ = await second.terminate()
        try FileManager.default.removeItem(atPath: second.directory)
        let third = try await cluster.start(1, more: settings)
        #expect(try await third.completeSearch(7, in: "c", limit: 100).count == 100)
        try await eventually(within: 60, "it has read from the primary") { reads("primary", in: try await third.metrics()) > 0 }
        for node in [first, third] { _ = await node.terminate() }
        for server in standbys + [primary] { await server.stop(.immediate) }
    }
}
