import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit

/// Nodes that serve the shop: one that keeps replies in its own memory, and one that keeps them in Redis alone.
struct ShopNodes {
    let own: NodeProcess
    let sharing: NodeProcess
    private let redis: ChildProcess

    static func start(_ server: PostgreSQLServer, in directory: TemporaryFolder, loops: EventLoops) async throws -> ShopNodes {
        let port = try freePort()
        let redis = try await ChildProcess.start(
            .init(
                "/usr/bin/redis-server", ["--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--dir", directory.path],
                environment: [:], output: .file(directory.path + "/redis.log")), on: loops.first)
        // One byte of its own holds no reply.
        let shared = [
            "APUS_QUERY_CACHE_SHARED_KIND": "redis", "APUS_QUERY_CACHE_SHARED_SERVERS": "127.0.0.1:\(port)", "APUS_QUERY_CACHE_BYTES": "1",
        ]
        return ShopNodes(
            own: try await node("own", schema: QueryShop.schema, server, in: directory, loops: loops),
            sharing: try await node("sharing", schema: QueryShop.schema, server, shared, in: directory, loops: loops), redis: redis)
    }

    /// One that serves a schema over the server's database `shop`.
    static func node(
        _ name: String, schema: String, _ server: PostgreSQLServer, _ environment: [String: String] = [:], in directory: TemporaryFolder,
        loops: EventLoops
    ) async throws -> NodeProcess {
        try directory.write(schema, to: "shop.graphql")
        try directory.write(
            """
            query:
              sources:
                - {name: shop, type: postgres, path: "[$SHOP]", schema: ["\(directory.path)/shop.graphql"]}
            """, to: "apus.yml")
        return try await NodeProcess.start(
            directory: directory.path + "/" + name, arguments: ["--config", directory.path + "/apus.yml"],
            environment: environment.merging(["SHOP": server.url(database: "shop").reveal()]) { $1 }, loops: loops)
    }

    func stop() async {
        for node in [own, sharing] { _ = await node.terminate() }
        redis.send(signal: SIGTERM)
        _ = await redis.wait()
    }
}
