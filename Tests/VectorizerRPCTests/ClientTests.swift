import ApusHTTP
import ApusRuntime
import ApusThunder
import ApusTypes
import Foundation
import HTTPTestKit
import NodeProcessKit
import TestKit
import Testing

/// A real node, asked through the unmodified package `rpc` of `vectorizer_sdk`: `Client/suite.py` holds the checks.
@Suite("the unmodified rpc client")
struct ClientTests {
    static let served: Set<String> = [
        "admin_indexing_progress", "admin_stats", "admin_status", "auth_api_keys_create", "auth_api_keys_list", "auth_api_keys_revoke",
        "auth_me", "batch_delete_vectors", "batch_insert_texts", "batch_insert_vectors", "batch_search", "batch_update_vectors",
        "bulk_update_metadata_rpc", "cleanup_empty_collections", "cluster_rebalance", "cluster_rebalance_status", "copy_vectors_rpc",
        "create_collection", "delete_by_filter_rpc", "delete_collection", "delete_vector_rpc", "embed_text", "force_save_collection",
        "get_collection_info", "get_vector", "insert_text_vector", "insert_vector", "list_collections", "list_empty_collections",
        "list_vectors", "move_vectors_rpc", "replication_status", "search_basic", "search_by_text", "search_explain", "search_hybrid",
        "update_vector",
    ]

    @Test("each of its 96 calls works, or says that it is unsupported, with both clients")
    func calls() async throws {
        try await withNode { node, directory in
            let result = try await ClientEnvironment.run("calls", try #require(node.rpcURL), in: directory)
            let passed = Set((result["passed"]?.asArray ?? []).compactMap(\.asString))
            #expect(passed == Self.served, "\(passed.symmetricDifference(Self.served))")
            #expect(result["unsupported"]?.asObject?.count == 96 - Self.served.count)
        }
    }

    @Test("256 threads on one connection, a thousand concurrent calls, pools")
    func load() async throws {
        try await withNode { node, directory in
            let result = try await ClientEnvironment.run("load", try #require(node.rpcURL), in: directory)
            #expect(result["points"] == 2120)
        }
    }

    @Test("a node whose protocol other machines can reach: nobody does without a key")
    func keys() async throws {
        let directory = try TemporaryDirectory()
        let loops = EventLoops(count: 2)
        defer { loops.stop() }
        let open = try await NodeProcess.start(directory: directory.path + "/data", loops: loops)
        let made = try await open.send(.post, "/api/keys", #"{"name": "r", "role": "reader"}"#)
        let reader = try #require(made.body["secret"]?.asString)
        try await open.stopCleanly()
        // Its HTTP listener is on loopback still, and open to this user.
        let closed = try await NodeProcess.start(
            directory: directory.path + "/data", environment: ["APUS_RPC_ADDRESS": "0.0.0.0:0"], loops: loops)
        _ = try await ClientEnvironment.run("keys", try #require(closed.rpcURL), closed.key, reader, in: directory)
        try await closed.stopCleanly()
    }

    @Test("three nodes in rotation: each of a thousand writes is found by the next node's search")
    func rotation() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        let urls = try nodes.map { try #require($0.rpcURL) }
        let result = try await ClientEnvironment.run("rotation", "1000", nodes[0].key, urls[0], urls[1], urls[2], in: cluster.directory)
        #expect(result["searches"] == 1000 && result["misses"] == .array([]), "\(result)")
    }

    @Test("a node that is killed while the client writes: the client connects again, and nothing acknowledged is lost")
    func restart() async throws {
        let directory = try TemporaryDirectory()
        let loops = EventLoops(count: 2)
        defer { loops.stop() }
        let environment = ["APUS_RPC_ADDRESS": "127.0.0.1:\(try freePort())"]
        let first = try await NodeProcess.start(directory: directory.path + "/data", environment: environment, loops: loops)
        let url = try #require(first.rpcURL)
        let client = Task { try await ClientEnvironment.run("restart", url, directory.path, in: directory) }
        try await eventually(within: 120, "the client writes") { FileManager.default.fileExists(atPath: directory.path + "/writing") }
        await first.kill()
        let second = try await NodeProcess.start(directory: directory.path + "/data", environment: environment, loops: loops)
        #expect(second.rpcURL == url)
        FileManager.default.createFile(atPath: directory.path + "/restarted", contents: nil)
        let result = try await client.value
        #expect(result["acknowledged"]?.asInteger ?? 0 >= 100)
        try await second.stopCleanly()
    }

    @Test("a port that is taken is told with the setting that names it; the listeners are in the status")
    func listeners() async throws {
        try await withNode { node, directory in
            let url = try #require(node.rpcURL)
            let status = try await node.send(.get, "/api/status")
            #expect(status.body["listeners"]?["rpc"] == .string(url))
            #expect(status.body["listeners"]?.asObject?.contains { $0.value == .string(node.url) } == true)
            let command = ChildProcess.Command(
                try NodeProcess.program(), ["node", "--data", directory.path + "/second", "--listen", "127.0.0.1:0"],
                environment: ["PATH": "/usr/bin:/bin", "APUS_RPC_ADDRESS": String(url.dropFirst("vectorizer://".count))],
                output: .file(directory.path + "/second.log"))
            let second = try await ChildProcess.start(command, on: TestLoops.shared.any)
            #expect(await second.wait() == .status(69))
            let log = try String(contentsOfFile: directory.path + "/second.log", encoding: .utf8)
            #expect(log.contains("rpc.address") && log.contains("in use"), "\(log)")
        }
        let directory = try TemporaryDirectory()
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        let without = try await NodeProcess.start(
            directory: directory.path + "/data", environment: ["APUS_RPC_ENABLED": "false"], loops: loops)
        #expect(without.rpcURL == nil)
        try await without.stopCleanly()
    }

    @Test("a node that is told to stop answers every call that it has begun, and runs no other")
    func stops() async throws {
        let directory = try TemporaryDirectory()
        let loops = EventLoops(count: 2)
        defer { loops.stop() }
        let node = try await NodeProcess.start(directory: directory.path + "/data", loops: loops)
        let port = try #require(node.rpcURL?.split(separator: ":").last.flatMap { Int($0) })
        let client = try RPCClient(port: port)
        try await client.send(0, "AUTH", .string(node.key))
        try await client.send(0xFFFF, "collections.create", .string("c"), .dimension(2))
        for _ in 0..<2 { #expect(try await client.next() != nil) }
        let frames = (UInt32(1)...2000).flatMap {
            RPCClient.frame($0, "vectors.insert", [.string("c"), .int(Int($0)), .vector(1, Double($0))])
        }
        let sending = Task { try? await client.raw.send(frames) }
        #expect(try await client.next() != nil)
        node.send(signal: 15)
        var acknowledged = 1
        while case let reply? = try await client.next() {
            if case .ok(_) = reply.result { acknowledged += 1 } else { Issue.record("\(reply)") }
        }
        client.raw.endInput()
        await sending.value
        try await eventually("the node has ended") { node.ended != nil }
        #expect(node.ended == .status(0))
        let again = try await NodeProcess.start(directory: directory.path + "/data", loops: loops)
        let stats = try await again.send(.get, "/stats").body
        #expect(stats["total_vectors"] == .integer(Int64(acknowledged)))
        try await again.stopCleanly()
    }

    private func withNode(_ body: (NodeProcess, TemporaryDirectory) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let loops = EventLoops(count: 2)
        defer { loops.stop() }
        let node = try await NodeProcess.start(directory: directory.path + "/data", loops: loops)
        do { try await body(node, directory) } catch {
            await node.kill()
            throw error
        }
        try await node.stopCleanly()
    }
}
