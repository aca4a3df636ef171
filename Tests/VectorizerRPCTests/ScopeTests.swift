import ApusCatalog
import ApusCluster
import ApusThunder
import ApusTypes
import ApusVectorIndex
import ApusVectors
import NodeTestKit
import TestKit
import Testing

/// Keys for some collections, in the binary protocol.
@Suite("rpc keys for some collections")
struct ScopeTests {
    private static let secret = "blue-heron-7f3a"

    /// Arguments with which a command gets as far as the collection `name`.
    private static func arguments(_ command: String, _ name: ThunderValue) -> [ThunderValue] {
        let id = ThunderValue.string("1"), vector = ThunderValue.vector(1, 1)
        let filter = ThunderValue.map(["word": .string(secret)])
        return switch command {
        case "collections.create": [name, .dimension(2)]
        case "vectors.insert": [name, id, .vector(9, 9)]
        case "vectors.insert_text": [name, id, .string("a")]
        case "vectors.update": [name, id, .vector(9, 9)]
        case "vectors.get", "vectors.delete": [name, id]
        case "vectors.batch_insert": [name, .array([.map(["id": id, "data": .vector(9, 9)])])]
        case "vectors.batch_insert_texts": [name, .array([.map(["id": id, "text": .string("a")])])]
        case "vectors.batch_update": [name, .array([.map(["id": id, "data": .vector(9, 9)])])]
        case "vectors.batch_delete": [name, .array([id])]
        case "vectors.move", "vectors.copy": [name, .string("mine"), .array([id])]
        case "vectors.delete_by_filter": [name, filter]
        case "vectors.bulk_update_metadata": [name, filter, .map(["a": .int(1)])]
        case "vectors.batch_search": [.array([.map(["collection": name, "query": vector])])]
        case "search.hybrid": [name, .map(["query": .string("a"), "vector": vector])]
        case "search.explain": [name, .map(["vector": vector])]
        case "search.basic", "search.by_text": [name, vector, .int(3)]
        case "auth.api_keys_create": [.map(["name": .string("x"), "role": .string("reader")])]
        default: [name]
        }
    }

    /// Commands that are no collection's, or list what the key is for.
    private static let open: Set<String> = [
        "collections.list", "collections.list_empty", "admin.stats", "admin.status", "admin.indexing_progress", "auth.me",
        "replication.status", "vectors.embed",
    ]

    private static func with(_ body: @Sendable (TestNode, _ reader: RPCClient, _ writer: RPCClient) async throws -> Void) async throws {
        try await TestNode.with { node in
            try await node.makeMineAndOther(secret: secret)
            func client(_ role: APIKeyRole) async throws -> RPCClient {
                let (_, secret) = try await node.access.create(
                    name: "k", role: role, scope: try CollectionScope(["mine"]), deadline: node.deadline)
                let client = try RPCClient(node)
                _ = try await client.value("AUTH", .string(secret.reveal()))
                return client
            }
            try await body(node, try await client(.reader), try await client(.writer))
        }
    }

    @Test(
        "no command gives data of another collection or has an effect on it, by its name or by an alias", arguments: ["other", "mine-not"])
    func everyCommand(name: String) async throws {
        try await Self.with { node, reader, writer in
            let before = try await node.vectors.scroll("other", limit: 100, with: [.vector, .payload], deadline: node.deadline)
            let commands = try await writer.value("HELLO")["capabilities"]?.asArray?.compactMap(\.asString) ?? []
            #expect(commands.count > 30, "the commands were not found; the test would prove nothing")
            #expect(Self.open.isSubset(of: commands))
            for command in commands {
                for client in [reader, writer] {
                    let result = try await client.call(command, arguments: Self.arguments(command, .string(name)))
                    #expect(!"\(result)".contains(Self.secret), "\(command): \(result)")
                    switch result {
                    case .failure(let text): #expect(text.hasPrefix("NOPERM \(command): "), "\(command): \(text)")
                    case .ok(let value):
                        #expect(Self.open.contains(command), "\(command): \(value)")
                        #expect(!"\(value)".contains("\"other\""), "\(command): \(value)")
                    }
                }
            }
            let after = try await node.vectors.scroll("other", limit: 100, with: [.vector, .payload], deadline: node.deadline)
            #expect(after.points == before.points && after.points.count == 3)
            #expect(try node.vectors.collections().map(\.name) == ["mine", "other"])
            #expect(try await node.vectors.count("mine", deadline: node.deadline) == 3)
        }
    }

    @Test("its own collection is read and written, also by an alias; both of a move are judged; NOPERM says why")
    func ownCollection() async throws {
        try await Self.with { node, reader, writer in
            #expect(try await reader.value("collections.list") == .array([.string("mine")]))
            #expect(try await reader.value("admin.stats")["total_vectors"] == .int(3))
            #expect(try await reader.value("auth.me")["collections"] == .array([.string("mine")]))
            #expect(try await reader.value("search.basic", .string("of-mine"), .vector(1, 1)).asArray?.count == 3)
            #expect(try await reader.failure("vectors.insert", .string("mine"), .null, .vector(1, 2)).hasPrefix("NOPERM "))
            _ = try await writer.value("vectors.insert", .string("of-mine"), .string("x"), .vector(1, 2))
            #expect(
                try await writer.failure("vectors.get", .string("other"), .string("1"))
                    == "NOPERM vectors.get: this key has no access to the collection 'other' (it is for mine)")
            // One collection of a batch is enough.
            let queries = ["mine", "other"].map { ThunderValue.map(["collection": .string($0), "query": .vector(1, 1)]) }
            #expect(try await reader.failure("vectors.batch_search", .array(queries)).hasPrefix("NOPERM "))
            let ids = ThunderValue.array([.string("1")])
            #expect(try await writer.failure("vectors.move", .string("mine"), .string("other"), ids).hasPrefix("NOPERM "))
            #expect(try await writer.failure("vectors.copy", .string("other"), .string("mine"), ids).hasPrefix("NOPERM "))
            #expect(try await node.vectors.count("mine", deadline: node.deadline) == 4)

            let administrator = try RPCClient(node)
            let made = try await administrator.value(
                "auth.api_keys_create", .map(["name": .string("n"), "collections": .array([.string("other*")])]))
            #expect(made["collections"] == .array([.string("other*")]) && made["role"] == .string("reader"))
            let client = try RPCClient(node)
            _ = try await client.value("AUTH", made["api_key"] ?? .null)
            #expect(try await client.value("collections.list") == .array([.string("other")]))
        }
    }
}
