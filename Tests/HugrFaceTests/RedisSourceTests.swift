import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// Sources of type redis, with a real server, over HTTP.
@Suite("redis sources")
struct RedisSourceTests {
    private static func call(_ node: AccessNode, _ kind: String, _ call: String) async throws -> AccessNode.Answer {
        try await node.ask("\(kind) { function { core { store { it: \(call) } } } }", ["X-API-Key": node.node.key])
    }

    private static func value(_ node: AccessNode, _ kind: String, _ text: String) async throws -> JSONValue? {
        let answer = try await call(node, kind, text)
        #expect(answer.message == nil, "\(answer.text)")
        return answer.data?["function"]?["core"]?["store"]?["it"]
    }

    @Test("values are kept, counted, listed and end; only whom a rule names may do so; a server that is away is told")
    func store() async throws {
        let directory = try TemporaryDirectory()
        let port = try freePort()
        func start() async throws -> ChildProcess {
            try await ChildProcess.start(
                .init(
                    "/usr/bin/redis-server",
                    ["--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--dir", directory.path, "--requirepass", "p@ss word"],
                    environment: [:], directory: directory.path, output: .file(directory.path + "/log")), on: TestLoops.shared.first)
        }
        var server = try await start()
        defer { server.send(signal: SIGKILL) }
        try await AccessNode.with(environment: ["REDIS_PASSWORD": "p%40ss%20word"]) { node in
            try await node.manage(
                """
                mutation { core { insert_data_sources(data: {name: "kv", type: "redis", prefix: "", path: "redis://:[$REDIS_PASSWORD]@127.0.0.1:\(port)/2"}) { name } } }
                """)
            let loaded = try await node.manage("mutation { function { core { load_data_source(name: \"kv\") { success message } } } }")
            #expect(loaded["function"]?["core"]?["load_data_source"]?["success"] == true, "\(loaded)")
            try await eventually("the server answers") {
                try await Self.call(node, "query", "get(store: \"kv\", key: \"none\")").message == nil
            }
            func get(_ key: String) async throws -> JSONValue? {
                try await Self.value(node, "query", "get(store: \"kv\", key: \"\(key)\")")
            }
            #expect(try await get("a") == .null)
            let set = try await Self.value(
                node, "mutation", "set(store: \"kv\", key: \"a\", value: \"ä \\\"1\\\" \\r\\n*1\") { success affected_rows }")
            #expect(set == ["success": true, "affected_rows": 1])
            #expect(try await get("a") == "ä \"1\" \r\n*1")
            #expect(try await Self.value(node, "mutation", "incr(store: \"kv\", key: \"n\")") == 1)
            #expect(try await Self.value(node, "mutation", "incr(store: \"kv\", key: \"n\")") == 2)
            #expect(try await Self.value(node, "query", "keys(store: \"kv\", pattern: \"*\")") == ["a", "n"])
            #expect(
                try await Self.value(node, "mutation", "expire(store: \"kv\", key: \"none\", ttl: 9) { affected_rows }") == [
                    "affected_rows": 0
                ])
            #expect(
                try await Self.value(node, "mutation", "set(store: \"kv\", key: \"t\", value: \"x\", ttl: 1) { success }") == [
                    "success": true
                ])
            try await eventually("it ends") { try await get("t") == .null }
            #expect(try await Self.value(node, "mutation", "del(store: \"kv\", key: \"n\") { affected_rows }") == ["affected_rows": 1])
            #expect(
                try await Self.value(node, "mutation", "publish(store: \"kv\", channel: \"c\", message: \"m\") { affected_rows }") == [
                    "affected_rows": 0
                ])
            let refused = try await Self.call(node, "mutation", "incr(store: \"kv\", key: \"a\")")
            #expect(refused.body["errors"]?.asArray?.first?["extensions"]?["code"] == "source.rejected", "\(refused.text)")
            let unknown = try await Self.call(node, "query", "get(store: \"notes\", key: \"a\")")
            #expect(unknown.message?.contains("no store") == true, "\(unknown.text)")

            // Closed to all but administrators, until a rule opens a function.
            try await node.addRole("clerk", rules: #"{type_name: "_module_core_store_function", field_name: "get", disabled: false}"#)
            func asClerk(_ operation: String) async throws -> AccessNode.Answer { try await node.ask(operation, AccessNode.key("clerk")) }
            #expect(try await asClerk("{ function { core { store { get(store: \"kv\", key: \"a\") } } } }").message == nil)
            #expect(try await asClerk("{ function { core { store { keys(store: \"kv\", pattern: \"*\") } } } }").message == "forbidden")
            #expect(
                try await asClerk("mutation { function { core { store { del(store: \"kv\", key: \"a\") { success } } } } }").message
                    == "forbidden")

            server.send(signal: SIGKILL)
            _ = await server.wait()
            let away = try await Self.call(node, "query", "get(store: \"kv\", key: \"a\")")
            #expect(away.body["errors"]?.asArray?.first?["extensions"]?["code"] == "source.unavailable", "\(away.text)")
            #expect(try await node.ask("{ notes { id } }", ["X-API-Key": node.node.key]).message == nil, "others are served")
            server = try await start()
            try await eventually("it is back") { try await Self.call(node, "query", "get(store: \"kv\", key: \"a\")").message == nil }
        }
    }

    @Test("what is published and what happens to keys is told over both WebSockets, to whom rules let hear it")
    func events() async throws {
        let directory = try TemporaryDirectory()
        let server = try await RedisProcess.start(in: directory.path)
        try await AccessNode.with { node in
            try await node.manage(
                """
                mutation { core { insert_data_sources(data: {name: "kv", type: "redis", prefix: "", path: "redis://127.0.0.1:\(server.port)/2"}) { name } } }
                """)
            let loaded = try await node.manage("mutation { function { core { load_data_source(name: \"kv\") { success message } } } }")
            #expect(loaded["function"]?["core"]?["load_data_source"]?["success"] == true, "\(loaded)")
            try await eventually("the server answers") {
                try await Self.call(node, "query", "get(store: \"kv\", key: \"none\")").message == nil
            }
            try await node.addRole(
                "clerk", rules: #"{type_name: "_module_core_store_subscription", field_name: "subscribe", disabled: false}"#)
            try await node.addRole("stranger", rules: #"{type_name: "*", field_name: "*", disabled: false}"#)
            let (status, output) = try await HugrClient.shared.run(
                "events", [node.node.url, node.node.key, "\(server.port)"], environment: ["PATH": "/usr/bin:/bin"])
            print(output)
            #expect(status == 0 && output.split(separator: "\n").count { $0.hasPrefix("PASS") } == 7, "\(output)\n\(node.log)")
        }
    }
}
