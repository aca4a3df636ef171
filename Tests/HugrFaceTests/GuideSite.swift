import ApusHTTP
import ApusRuntime
import ApusTypes
import HTTPTestKit
import NodeProcessKit
import TestKit

/// Nodes as the compose file of Hugr's guide to clusters starts them, but for hosts and ports: here they are one machine's.
struct GuideSite {
    static let secret = "cluster-secret-key"

    let directory: TemporaryDirectory
    /// The database that they share.
    let core: String
    var loops = TestLoops.shared
    /// What all of them have beside the guide's.
    var shared: [String: String] = [:]

    func node(_ folder: String, secret: String = Self.secret, _ more: [String: String]) async throws -> NodeProcess {
        let (port, service) = (try freePort(), try freePort())
        let environment = [
            "BIND": "127.0.0.1:\(port)", "SERVICE_BIND": "127.0.0.1:\(service)", "CLUSTER_SECRET": secret,
            "CLUSTER_NODE_URL": "http://127.0.0.1:\(port)", "CORE_DB_PATH": core, "APUS_CLUSTER_ADDRESS": "127.0.0.1:0",
        ]
        return try await NodeProcess.start(
            directory: directory.path + "/" + folder, listen: nil,
            environment: environment.merging(shared) { $1 }.merging(more) { $1 }, loops: loops)
    }

    /// Without a name: as a replica that is scaled out has none.
    func worker(_ number: Int, named: Bool = true, secret: String = Self.secret, _ more: [String: String] = [:]) async throws -> NodeProcess
    {
        var variables = ["CLUSTER_MANAGEMENT_URL": "http://127.0.0.1:14000", "CLUSTER_TIMEOUT": "5s"]
        variables["CLUSTER_NODE_NAME"] = named ? "worker-\(number)" : nil
        return try await node("worker-\(number)", secret: secret, variables.merging(more) { $1 })
    }

    func management(_ more: [String: String] = [:]) async throws -> NodeProcess {
        try await node(
            "management", ["CLUSTER_NODE_NAME": "management", "TIMEOUT": "30s", "CHECK": "1m"].merging(more) { $1 })
    }

    /// As an operator, by the cluster's secret.
    static func ask(_ node: NodeProcess, _ operation: String, variables: JSONObject = [:]) async throws -> JSONValue {
        let answer = try await AccessNode.ask(node.url, operation, ["x-hugr-secret": secret], variables: variables)
        guard answer.status == 200, answer.message == nil else { throw TestKitError(answer.text) }
        return answer.data ?? .null
    }

    /// The nodes that one of them knows, by name.
    static func nodes(_ node: NodeProcess) async throws -> [JSONValue] {
        let told = try await ask(node, "{ core { cluster { nodes(order_by: [{field: \"name\"}]) { name role ready } } } }")
        return told["core"]?["cluster"]?["nodes"]?.asArray ?? []
    }
}
