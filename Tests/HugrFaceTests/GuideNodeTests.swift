import ApusHTTP
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
    /// The guide's variables. The ports are the test's: several nodes are on one machine here.
    private static func node(
        _ name: String, in directory: TemporaryDirectory, core: String, secret: String, more: [String: String]
    ) async throws -> NodeProcess {
        let environment = [
            "CLUSTER_SECRET": secret, "CLUSTER_NODE_NAME": name, "CLUSTER_NODE_URL": "http://\(name):15000/ipc", "CORE_DB_PATH": core,
            "ALLOWED_ANONYMOUS": "true", "ANONYMOUS_ROLE": "admin", "APUS_CLUSTER_ADDRESS": "127.0.0.1:0",
        ]
        return try await NodeProcess.start(
            directory: directory.path + "/" + name, environment: environment.merging(more) { $1 }, loops: TestLoops.shared)
    }

    /// Name, role and readiness of each node, as one of them tells it.
    private static func nodes(_ node: NodeProcess) async throws -> String {
        let query = "{ core { cluster { nodes(order_by: [{field: \"name\"}]) { name role ready } } } }"
        let body = JSONValue.object(["query": .string(query)]).description
        return try await AuditTests().exchange(node, .post, "/query", body: body).text
    }

    private static func told(isReady: Bool) -> String {
        #"{"data":{"core":{"cluster":{"nodes":[{"name":"management","role":"management","ready":true},{"name":"worker-1","role":"worker","ready":\#(isReady)}]}}}}"#
    }

    @Test(
        "a worker registers by the guide's variables; while it stands still it is told not to be ready, and when it goes on it is; another secret ends it by name"
    )
    func life() async throws {
        let directory = try TemporaryDirectory()
        let core = try await PostgreSQLServer.shared().newDatabase().reveal()
        let management = try await Self.node(
            "management", in: directory, core: core, secret: "the secret of this guide", more: ["CLUSTER_ROLE": "management"])
        let variables = ["CLUSTER_MANAGEMENT_URL": "http://management:14000", "CLUSTER_ROLE": "worker"]
        let worker = try await Self.node("worker-1", in: directory, core: core, secret: "the secret of this guide", more: variables)
        for node in [management, worker] {
            try await eventually(within: 60, "both are ready") { try await Self.nodes(node) == Self.told(isReady: true) }
        }
        worker.send(signal: SIGSTOP)
        try await eventually(within: 60, "the worker is told not to be ready") {
            try await Self.nodes(management) == Self.told(isReady: false)
        }
        worker.send(signal: SIGCONT)
        try await eventually(within: 60, "the worker is back") { try await Self.nodes(management) == Self.told(isReady: true) }

        let error = await #expect(throws: NodeFailure.self) {
            try await Self.node("worker-2", in: directory, core: core, secret: "another secret of this guide", more: variables)
        }
        #expect("\(String(describing: error))".contains("join.secret_mismatch"), "\(String(describing: error))")
        await worker.stopsCleanly()
        await management.stopsCleanly()
        withExtendedLifetime(directory) {}
    }
}
