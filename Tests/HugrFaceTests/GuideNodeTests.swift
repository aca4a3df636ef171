import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// Checks 24 and 25 of the contract with Hugr's users: nodes as its guide for clusters starts them.
@Suite("nodes of Hugr's guide")
struct GuideNodeTests {
    private static func told(isReady: Bool) -> [JSONValue] {
        [
            ["name": "management", "role": "management", "ready": true],
            ["name": "worker-1", "role": "worker", "ready": .bool(isReady)],
        ]
    }

    @Test(
        "a worker registers by the guide's variables; while it stands still it is told not to be ready, and when it goes on it is; another secret ends it by name"
    )
    func life() async throws {
        let site = GuideSite(
            directory: try TemporaryDirectory(), core: try await PostgreSQLServer.shared().newDatabase().reveal(),
            shared: ["ALLOWED_ANONYMOUS": "true", "ANONYMOUS_ROLE": "admin"])
        let management = try await site.management(["CLUSTER_ROLE": "management"])
        let worker = try await site.worker(1, ["CLUSTER_ROLE": "worker"])
        for node in [management, worker] {
            try await eventually(within: 60, "both are ready") { try await GuideSite.nodes(node) == Self.told(isReady: true) }
        }
        worker.send(signal: SIGSTOP)
        try await eventually(within: 60, "the worker is told not to be ready") {
            try await GuideSite.nodes(management) == Self.told(isReady: false)
        }
        worker.send(signal: SIGCONT)
        try await eventually(within: 60, "the worker is back") { try await GuideSite.nodes(management) == Self.told(isReady: true) }

        let error = await #expect(throws: NodeFailure.self) {
            try await site.worker(2, secret: "another secret of this guide", ["CLUSTER_ROLE": "worker"])
        }
        #expect("\(String(describing: error))".contains("join.secret_mismatch"), "\(String(describing: error))")
        try await worker.stopCleanly()
        try await management.stopCleanly()
        withExtendedLifetime(site) {}
    }
}
