import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit
import Testing

@Suite("nodes of two versions on one catalog", .serialized)
struct MixedVersionTests {
    /// The program of an earlier commit, which `make mixed-versions` builds.
    private static let earlier = ProcessInfo.processInfo.environment["APUS_EARLIER"]

    @Test(
        "the earlier build and this one create, write, search, seal and move side by side, and either goes on without the other",
        .enabled(if: earlier != nil, "`make mixed-versions` builds an earlier program and names it in APUS_EARLIER"))
    func sideBySide() async throws {
        let server = try await PostgreSQLServer.start()
        let cluster = try await ProcessCluster(on: server)
        let settings = ["APUS_VECTORS_SEAL_POINTS": "16"]
        // As in an upgrade: the earlier one was there first, and the catalog is migrated under it.
        let old = try await cluster.start(0, more: settings, program: Self.earlier)
        try await old.create("before", shards: 2, replicas: 1)
        for number in 0..<40 { #expect(try await old.insert(number, into: "before") == 200) }
        let new = try await cluster.start(1, more: settings)
        var nodes = [old, new]
        for node in nodes {
            try await eventually(within: 60, "both are active") { try await node.statuses() == ["n1": "active", "n2": "active"] }
        }
        try await old.create("ours", shards: 2, replicas: 2)
        try await new.create("theirs", shards: 2, replicas: 2)
        for name in ["before", "ours", "theirs"] {
            for number in 40..<120 {
                try await eventually(within: 20, "\(name) knows its nodes") {
                    try await nodes[number % 2].insert(number, into: name) == 200
                }
                let found = try await nodes[(number + 1) % 2].completeSearch(number, in: name)
                #expect(found.nearest == "p\(number)", "\(name): \(found)")
            }
        }
        try await eventually(within: 60, "each has sealed what the other reads") {
            try await server.query(
                "SELECT count(*) = 6 AND bool_and(m.version > 0) FROM apus.shard_head JOIN apus.shard_manifest m USING (shard)") == "t"
        }
        // Segments and logs of the one, loaded by the other. Paused, or the shard would be moved back.
        #expect(try await new.apus("rebalance", "pause").status == 0)
        for (source, target) in [("n1", "n2"), ("n2", "n1")] {
            let from = source == "n1" ? old : new
            try await eventually(within: 60, "a shard is moved to \(target)") {
                let shards = try await from.replicas(of: "before", 0)
                if shards == [target] { return true }
                _ = try await new.apus("shard", "move", "before/0", "--to", target)
                return false
            }
            for node in nodes {
                #expect(try await node.completeSearch(7, in: "before").nearest == "p7")
                #expect(try await node.send(.get, "/collections/before").body["vector_count"] == 120)
            }
        }
        // Restarted as this build, and then the other way round: one node alone has all that has two replicas.
        try await old.stopCleanly()
        #expect(try await new.insert(200, into: "ours") == 200)
        #expect(try await new.completeSearch(200, in: "ours", limit: 200).count == 81)
        nodes[0] = try await cluster.start(0, more: settings, program: Self.earlier)
        try await eventually(within: 60, "it has what was written meanwhile") {
            try await nodes[0].completeSearch(200, in: "ours").nearest == "p200"
        }
        await new.kill()
        #expect(try await nodes[0].completeSearch(200, in: "theirs", limit: 200).count == 80)
        _ = await nodes[0].terminate()
        await server.stop()
    }

    @Test("a catalog that a later version has changed beyond this one is refused at the start, with the version to run")
    func laterCatalog() async throws {
        let server = try await PostgreSQLServer.start()
        let cluster = try await ProcessCluster(on: server)
        let first = try await cluster.start(0)
        try await first.stopCleanly()
        try await server.execute("UPDATE apus.format SET version = 900, min_writer = 900, written_by = '9.9' WHERE name = 'catalog'")
        let refused = await #expect(throws: NodeFailure.self) { try await cluster.start(0) }
        let said = refused.map { "\($0)" } ?? ""
        #expect(said.contains("catalog.incompatible") && said.contains("run apus 9.9 or newer"), "\(said)")
        // What it may still write it writes.
        try await server.execute("UPDATE apus.format SET min_writer = 1 WHERE name = 'catalog'")
        let second = try await cluster.start(0)
        try await second.create("c", shards: 1, replicas: 1)
        #expect(try await second.insert(1, into: "c") == 200)
        _ = await second.terminate()
        await server.stop()
    }
}
