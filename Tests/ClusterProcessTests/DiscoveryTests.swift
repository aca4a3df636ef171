import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import Glibc
import NodeProcessKit
import TestKit
import Testing

@Suite("nodes that are expected by a name of DNS")
struct DiscoveryTests {
    @Test(
        "the name is looked up again at the interval: who is missing follows its addresses",
        .enabled(if: geteuid() == 0, "only root gives a process names of its own"))
    func changes() async throws {
        let cluster = try await ProcessCluster()
        let directory = cluster.directory.path
        func name(_ addresses: String...) throws {
            // In place: the node's namespace holds this very file.
            let text = "127.0.0.1 localhost\n" + addresses.map { "\($0) nodes.of.this.test\n" }.joined()
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: directory + "/hosts"))
            try file.truncate(atOffset: 0)
            try file.write(contentsOf: Data(text.utf8))
            try file.close()
        }
        FileManager.default.createFile(atPath: directory + "/hosts", contents: nil)
        try name("127.0.0.1", "127.0.0.8", "127.0.0.9")
        let script = """
            #!/bin/sh
            exec unshare -m sh -c 'mount --bind \(directory)/hosts /etc/hosts && exec "$@"' sh \(try NodeProcess.program()) "$@"
            """
        try script.write(toFile: directory + "/named", atomically: true, encoding: .utf8)
        chmod(directory + "/named", 0o755)
        let node = try await cluster.start(
            0,
            more: [
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APUS_CLUSTER_DNS_NAME": "nodes.of.this.test",
                "APUS_CLUSTER_DNS_INTERVAL_SECONDS": "1",
            ], program: directory + "/named")
        func missing() async throws -> Set<String> {
            let nodes = try await node.send(.get, "/api/status").body["missing_nodes"]?.asArray ?? []
            return Set(nodes.compactMap { $0["address"]?.asString.map { String($0.split(separator: ":")[0]) } })
        }
        try await eventually("both others are missing") { try await missing() == ["127.0.0.8", "127.0.0.9"] }
        try name("127.0.0.1", "127.0.0.9")
        try await eventually("one is not expected any more") { try await missing() == ["127.0.0.9"] }
        try name("127.0.0.1", "127.0.0.7")
        try await eventually("another one is") { try await missing() == ["127.0.0.7"] }
        #expect(try await node.statuses() == ["n1": "active"], "who is expected and missing is no node")
        try await node.stopCleanly()
    }
}
