internal import ApusHTTP
public import ApusRuntime
internal import ApusTypes
public import DatabaseTestKit
public import TestKit

/// Some real nodes on loopback, on a database of their own, without a shared directory: objects are in the catalog.
public final class ProcessCluster: Sendable {
    public let directory: TemporaryDirectory
    public let loops: EventLoops
    private let url: String

    public static func name(_ number: Int) -> String { "n\(number + 1)" }

    /// On a new database of the tests' server, or on servers that the test has to itself: a primary and its standbys.
    public init(on servers: PostgreSQLServer...) async throws {
        directory = try TemporaryDirectory()
        loops = EventLoops(count: 1)
        let hosts = servers.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
        url =
            servers.isEmpty
            ? try await PostgreSQLServer.shared().newDatabase().reveal() : "postgresql://apus@\(hosts)/postgres?sslmode=disable"
    }

    deinit { loops.stop() }

    /// Starts node `number`, again too; returns when it is ready. `program`: another than the one that was built beside the tests.
    public func start(
        _ number: Int, secret: String? = "a secret of these tests", more: [String: String] = [:], program: String? = nil
    ) async throws -> NodeProcess {
        var environment = [
            "APUS_NODE_NAME": Self.name(number), "APUS_CATALOG_URL": url, "APUS_STORE_KIND": "catalog",
            "APUS_CLUSTER_ADDRESS": "127.0.0.1:0",
            // Tests do more to their nodes in a minute than happens to others in a month.
            "APUS_MEMBERSHIP_FLAP_PENALTY_SECONDS": "2",
        ]
        environment["APUS_CLUSTER_SECRET"] = secret
        // Not one of the system's choice, which it gives to other tests as soon as the node has stopped: a balancer that still knows the node
        // would pass on what they say.
        return try await NodeProcess.start(
            program, directory: directory.path + "/" + Self.name(number), listen: "127.0.0.1:\(try freePort())",
            environment: environment.merging(more) { $1 }, loops: loops)
    }

    /// Starts so many nodes, and returns when each sees all of them active.
    public func start(nodes count: Int) async throws -> [NodeProcess] {
        var nodes: [NodeProcess] = []
        for number in 0..<count { nodes.append(try await start(number)) }
        try await settle(nodes)
        return nodes
    }

    /// Returns when each of these nodes sees them and no others, all active.
    public func settle(_ nodes: [NodeProcess]) async throws {
        let wanted = Dictionary(uniqueKeysWithValues: nodes.map { ($0.name, "active") })
        for node in nodes { try await eventually(within: 60, "all nodes are active") { try await node.statuses() == wanted } }
    }
}

extension NodeProcess {
    /// A node of a `ProcessCluster` has a directory of its name.
    var name: String { directory.split(separator: "/").last.map(String.init) ?? "" }

    /// Of each node that is listed.
    public func statuses() async throws -> [String: String] {
        let nodes = try await send(.get, "/api/v1/cluster/nodes").body["nodes"]?.asArray ?? []
        return Dictionary(nodes.map { ($0["id"]?.asString ?? "", $0["status"]?.asString ?? "") }, uniquingKeysWith: { first, _ in first })
    }
}
