import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Glibc
import NodeProcessKit
import TestKit
import Testing

@Suite("a node that holds the duty to seal and does nothing")
struct FrozenSealerTests {
    @Test("writes stop at the limit of what is not sealed with 429 and the reason, reads go on, and both do when the duty is another's")
    func frozen() async throws {
        let server = try await PostgreSQLServer.start()
        let cluster = try await ProcessCluster(on: server)
        // The duty lasts as long as the session: long enough here to see what it holds up.
        let settings = [
            "APUS_VECTORS_SEAL_POINTS": "16", "APUS_VECTORS_MAX_UNSEALED_BYTES": "1 MiB", "APUS_LEASES_LENGTH_SECONDS": "20",
        ]
        let nodes = [try await cluster.start(0, more: settings), try await cluster.start(1, more: settings)]
        try await eventually(within: 60, "both are active") { try await nodes[0].statuses() == ["n1": "active", "n2": "active"] }
        try await nodes[0].create("c", shards: 1, replicas: 2)
        for number in 0..<30 { #expect(try await nodes[0].insert(number, into: "c") == 200) }
        try await eventually(within: 60, "somebody has sealed") {
            try await server.query("SELECT version > 0 FROM apus.shard_manifest") == "t"
        }
        let sealer = try await server.query("SELECT sealer FROM apus.shard_manifest") == "n1" ? 0 : 1
        let other = nodes[1 - sealer]
        nodes[sealer].send(signal: SIGSTOP)

        let filler = String(repeating: "x", count: 60_000)
        func write(_ number: Int) async throws -> (status: Int, code: String?) {
            let body = #"{"collection":"c","vectors":[{"id":"p\#(number)","vector":[\#(number * 10),1],"payload":{"f":"\#(filler)"}}]}"#
            let reply = try await other.send(.post, "/insert_vectors", body)
            return (reply.status, reply.body["error"]?["code"]?.asString ?? reply.body["code"]?.asString)
        }
        // Together: whoever is frozen keeps each acknowledgement waiting until its replica is suspended.
        let replies = try await withThrowingTaskGroup(of: (Int, String?).self) { group in
            for number in 100..<140 { group.addTask { try await write(number) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let accepted = replies.count { $0.0 == 200 }
        #expect(accepted > 0 && replies.contains { $0.0 == 429 && $0.1 == "shard.busy" }, "\(replies)")
        #expect(replies.allSatisfy { [200, 429].contains($0.0) }, "\(replies)")
        #expect(try await write(500).status == 429)
        #expect(try await server.query("SELECT bytes <= 1048576 + 70000 FROM apus.shard_head") == "t")
        let found = try await other.completeSearch(7, in: "c", limit: 100)
        #expect(found.nearest == "p7" && found.count == 30 + accepted)

        try await eventually(within: 90, "another node has the duty, seals, and writes go on") { try await write(501).status == 200 }
        nodes[sealer].send(signal: SIGCONT)
        try await eventually(within: 60, "the one that slept finds what was written meanwhile") {
            try await nodes[sealer].completeSearch(501, in: "c").nearest == "p501"
        }
        for node in nodes { _ = await node.terminate() }
        await server.stop()
    }
}
