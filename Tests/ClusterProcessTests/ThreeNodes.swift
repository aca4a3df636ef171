import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import NodeProcessKit
import TestKit

/// Some real nodes on loopback, on a database of their own, without a shared directory: objects are in the catalog.
final class ProcessCluster: Sendable {
    let directory: TemporaryDirectory
    let loops: EventLoops
    private let url: String

    static func name(_ number: Int) -> String { "n\(number + 1)" }

    /// On a new database of the tests' server, or on one that the test has to itself.
    init(on server: PostgreSQLServer? = nil) async throws {
        directory = try TemporaryDirectory()
        loops = EventLoops(count: 1)
        url = if let server { server.url().reveal() } else { try await PostgreSQLServer.shared().newDatabase().reveal() }
    }

    deinit { loops.stop() }

    /// Starts node `number`, again too; returns when it is ready.
    func start(
        _ number: Int, secret: String? = "a secret of these tests", more: [String: String] = [:]
    ) async throws -> NodeProcess {
        var environment = [
            "APUS_NODE_NAME": Self.name(number), "APUS_CATALOG_URL": url, "APUS_STORE_KIND": "catalog",
            "APUS_CLUSTER_ADDRESS": "127.0.0.1:0",
            // Tests do more to their nodes in a minute than happens to others in a month.
            "APUS_MEMBERSHIP_FLAP_PENALTY_SECONDS": "2",
        ]
        environment["APUS_CLUSTER_SECRET"] = secret
        return try await NodeProcess.start(
            directory: directory.path + "/" + Self.name(number), environment: environment.merging(more) { $1 }, loops: loops)
    }

    /// Starts so many nodes, and returns when each sees all of them active.
    func start(nodes count: Int) async throws -> [NodeProcess] {
        var nodes: [NodeProcess] = []
        for number in 0..<count { nodes.append(try await start(number)) }
        for node in nodes {
            try await eventually(within: 40, "all nodes are active") {
                try await node.statuses() == Dictionary(uniqueKeysWithValues: (0..<count).map { (Self.name($0), "active") })
            }
        }
        return nodes
    }
}

extension NodeProcess {
    /// Of each node that is listed.
    func statuses() async throws -> [String: String] {
        let nodes = try await send(.get, "/api/v1/cluster/nodes").body["nodes"]?.asArray ?? []
        return Dictionary(nodes.map { ($0["id"]?.asString ?? "", $0["status"]?.asString ?? "") }, uniquingKeysWith: { first, _ in first })
    }

    func create(_ name: String, shards: Int, replicas: Int) async throws {
        let body =
            #"{"name":"\#(name)","dimension":2,"metric":"euclidean","replication_factor":\#(replicas),"sharding":{"shard_count":\#(shards)}}"#
        let reply = try await send(.post, "/collections", body)
        guard reply.status == 200 else { throw ApusError(.internalError, "not created: \(reply)") }
    }

    /// One point, whose vector nobody else has.
    func insert(_ number: Int, into name: String) async throws -> Int {
        let body = #"{"collection":"\#(name)","vectors":[{"id":"p\#(number)","vector":[\#(number * 10),1]}]}"#
        return try await send(.post, "/insert_vectors", body).status
    }

    struct Found: CustomStringConvertible {
        var status: Int
        var nearest: String?
        var isComplete: Bool
        var count: Int
        var reply: JSONValue
        var description: String { "\(status) \(reply)" }
    }

    func search(_ number: Int, in name: String, limit: Int = 1) async throws -> Found {
        let reply = try await send(.post, "/collections/\(name)/search", #"{"vector":[\#(number * 10),1],"limit":\#(limit)}"#)
        let hits = reply.body["results"]?.asArray ?? []
        return Found(
            status: reply.status, nearest: hits.first?["id"]?.asString, isComplete: reply.body["complete"] == true, count: hits.count,
            reply: reply.body)
    }

    /// The first complete answer: on a machine that is busy with other tests a node may take longer than others wait for it, and is said to
    /// be missing.
    func completeSearch(_ number: Int, in name: String, limit: Int = 1) async throws -> Found {
        var found = try await search(number, in: name, limit: limit)
        try await eventually(within: 60, "an answer is complete") {
            if !found.isComplete { found = try await search(number, in: name, limit: limit) }
            return found.isComplete
        }
        return found
    }
}
