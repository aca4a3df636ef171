import ApusDatabase
import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// Replies that are kept, asked for over HTTP.
@Suite("kept replies")
struct CacheTests {
    private static func operatorHeaders(_ node: NodeProcess) -> Headers { ["X-API-Key": node.key] }

    /// Changes a row without Apus.
    private static func write(_ text: String, _ directory: String) async throws {
        let database = try await SQLiteDatabase.open(path: directory + "/notes.db")
        _ = try await database.run(
            [Statement("UPDATE notes SET text = $1 WHERE id = 1", [.text(text)])], on: .write,
            deadline: BootClock.now.advanced(by: .seconds(30)))
        await database.close()
    }

    private static func text(
        _ node: NodeProcess, _ directives: String, id: Int = 1, more: String = "", _ headers: Headers? = nil
    ) async throws -> String? {
        let answer = try await AccessNode.ask(
            node.url, "query($id: Int!) { notes(filter: {id: {eq: $id}}\(more)) \(directives) { text } }", headers ?? operatorHeaders(node),
            variables: ["id": .integer(Int64(id))])
        #expect(answer.status == 200 && answer.message == nil, "\(answer.text)")
        return answer.data?["notes"]?.asArray?.first?["text"]?.asString
    }

    private static func manage(_ node: NodeProcess, _ operation: String) async throws -> JSONValue {
        let answer = try await AccessNode.ask(node.url, operation, operatorHeaders(node))
        #expect(answer.status == 200 && answer.message == nil, "\(answer.text)")
        return answer.data ?? .null
    }

    /// Nodes on one catalog, with one SQLite file.
    private static func withNodes(
        _ count: Int, _ environment: [String: String] = [:], _ body: ([NodeProcess], String) async throws -> Void
    ) async throws {
        let cluster = try await ProcessCluster()
        let directory = cluster.directory.path
        try await SourceFiles.sqlite(in: directory)
        let more = environment.merging(["APUS_CONFIG": directory + "/apus.yml"]) { $1 }
        var nodes: [NodeProcess] = []
        for number in 0..<count { nodes.append(try await cluster.start(number, more: more)) }
        for node in nodes {
            // What is kept is kept from the moment on that the node follows the feed.
            try await eventually("something is kept") {
                _ = try await text(node, "@cache(ttl: 600)", id: 2)
                return try await metric(node, "hit") > 0
            }
        }
        try await body(nodes, directory)
        for node in nodes { try await node.stopCleanly() }
    }

    private static func metric(_ node: NodeProcess, _ result: String) async throws -> Int {
        let response = try await HTTPClient(loops: TestLoops.shared).send(
            ClientRequest(
                .get, node.url + "/metrics", headers: operatorHeaders(node), deadline: BootClock.now.advanced(by: .seconds(30))))
        let lines = String(decoding: try await response.collect(limit: .mebibytes(16)), as: UTF8.self).split(separator: "\n")
        let line = lines.first { $0.hasPrefix("apus_query_cache_requests_total{result=\"\(result)\"}") }
        return line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
    }

    @Test("a reply is kept until its time is over, something is changed through Apus, or a tag of it is named; on every node")
    func invalidation() async throws {
        try await Self.withNodes(2) { nodes, directory in
            let all = "@cache(ttl: \"10m\", tags: [\"t\"])"
            for node in nodes { #expect(try await Self.text(node, all) == "one") }
            try await Self.write("behind", directory)
            for node in nodes {
                #expect(try await Self.text(node, all) == "one", "it is kept")
                #expect(try await Self.text(node, "@no_cache") == "behind")
                #expect(try await Self.text(node, "") == "behind", "without a word nothing is kept")
            }
            let done = try await Self.manage(nodes[0], "{ function { core { cache { invalidate(tags: [\"t\"]) { success message } } } } }")
            #expect(done["function"]?["core"]?["cache"]?["invalidate"]?["message"]?.asString == "cache invalidated")
            #expect(try await Self.text(nodes[0], all) == "behind", "at once here")
            try await eventually("the other node has heard") { try await Self.text(nodes[1], all) == "behind" }

            // A mutation: read by the next request on the node that was asked, a moment later on the other.
            for round in 0..<10 {
                let (one, other) = (nodes[round % 2], nodes[(round + 1) % 2])
                _ = try await Self.manage(
                    one, "mutation { update_notes(filter: {id: {eq: 1}}, data: {text: \"m\(round)\"}) { affected_rows } }")
                #expect(try await Self.text(one, all) == "m\(round)")
                try await eventually("the other node has heard") { try await Self.text(other, all) == "m\(round)" }
            }

            // One's own entry, whatever it is called.
            // What each has told both have heard, since the feed has an order.
            for node in nodes.reversed() { _ = try await Self.manage(node, "{ function { core { cache { invalidate { success } } } } }") }
            try await eventually("it is kept again") {
                let before = try await Self.metric(nodes[0], "hit")
                #expect(try await Self.text(nodes[0], all) == "m9")
                return try await Self.metric(nodes[0], "hit") > before
            }
            try await Self.write("again", directory)
            #expect(try await Self.text(nodes[0], all) == "m9")
            #expect(try await Self.text(nodes[0], all + " @invalidate_cache") == "again")
            #expect(try await Self.text(nodes[0], all) == "again")

            // Time. Another question: what is kept of the one before may be kept for its ten minutes again by now.
            let brief = "@cache(ttl: \"1s\", key: \"k\")"
            #expect(try await Self.text(nodes[0], brief, more: ", limit: 7") != nil)
            try await Self.write("later", directory)
            try await eventually("its time is over") { try await Self.text(nodes[0], brief, more: ", limit: 7") == "later" }
        }
    }

    @Test("what depends on who asks is kept for each; what does not is kept once, and a permission that is taken away counts at once")
    func callers() async throws {
        try await Self.withNodes(1) { nodes, directory in
            let node = AccessNode(node: nodes[0])
            try await node.addRole("all", rules: "")
            try await node.addRole(
                "own", rules: "{type_name: \"data-object:query\", field_name: \"notes\", filter: {text: {eq: \"[$auth.user_name]\"}}}")
            let operation = "{ notes(order_by: [{field: \"id\"}]) @cache(ttl: 600) { text } }"
            func ask(_ role: String, _ user: String = "") async throws -> [String?] {
                var headers = AccessNode.key(role)
                if !user.isEmpty { headers["X-User"] = user }
                let answer = try await node.ask(operation, headers)
                return answer.message.map { [$0] } ?? answer.data?["notes"]?.asArray?.map { $0["text"]?.asString } ?? []
            }
            try await node.manage(
                "mutation { core { update_api_keys(filter: {name: {eq: \"own\"}}, data: {headers: {user_name: \"X-User\"}}) { success } } }"
            )
            try await eventually("the key takes a name") { try await ask("own", "one") == ["one"] }
            for _ in 0..<3 {
                #expect(try await ask("all") == ["one", "two"])
                #expect(try await ask("own", "one") == ["one"])
                #expect(try await ask("own", "two") == ["two"])
                #expect(try await ask("own") == [])
            }
            try await Self.write("behind", directory)
            #expect(try await ask("all") == ["one", "two"], "it is kept")
            try await node.addRole("others", rules: "")
            #expect(try await ask("others") == ["one", "two"], "and shared with another role that may see the same")
            try await node.manage(
                """
                mutation { core { insert_role_permissions(data: {
                  role: "all", type_name: "data-object:query", field_name: "notes", disabled: true}) { role } } }
                """)
            #expect(try await ask("all") == ["forbidden"])
            #expect(try await ask("others") == ["one", "two"])
        }
    }

    @Test("a Redis that is killed, frozen, emptied or back fails no request, and makes no answer wrong")
    func sharedCache() async throws {
        let directory = try TemporaryDirectory()
        var server = try await RedisProcess.start(in: directory.path)
        try await Self.withNodes(2, Self.settings(server)) { nodes, _ in
            func cached(_ node: NodeProcess) async throws -> String? { try await Self.text(node, "@cache(ttl: 600)") }
            func shares(_ number: Int) async throws {
                try await eventually("what one node computed the other one has") {
                    let before = try await Self.metric(nodes[1], "shared_hit")
                    _ = try await Self.text(nodes[0], "@cache(ttl: 600)", id: 100 + number + Int.random(in: 0..<1_000_000))
                    let id = 2_000_000 + Int.random(in: 0..<1_000_000)
                    _ = try await Self.text(nodes[0], "@cache(ttl: 600)", id: id)
                    _ = try await Self.text(nodes[1], "@cache(ttl: 600)", id: id)
                    return try await Self.metric(nodes[1], "shared_hit") > before
                }
            }
            try await shares(0)
            // Every change is read by the next request of the node that made it, and comes to the other, whatever Redis does.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in 0..<4 {
                    group.addTask {
                        var number = 0
                        while !Task.isCancelled {
                            number += 1
                            // Any failure ends the test: `text` expects an answer each time.
                            let id = number % 7 + 1
                            let text = try await Self.text(nodes[client % 2], "@cache(ttl: 1)", id: id)
                            #expect((text != nil) == (id <= 2))
                        }
                    }
                }
                for round in 0..<8 {
                    switch round % 4 {
                    case 0: await server.kill()
                    case 1: server = try await server.again()
                    case 2: server.freeze()
                    default: server.thaw()
                    }
                    let (one, other) = (nodes[round % 2], nodes[(round + 1) % 2])
                    _ = try await Self.manage(
                        one, "mutation { update_notes(filter: {id: {eq: 1}}, data: {text: \"r\(round)\"}) { affected_rows } }")
                    #expect(try await cached(one) == "r\(round)")
                    try await eventually("the other node has heard") { try await cached(other) == "r\(round)" }
                }
                group.cancelAll()
                do { try await group.waitForAll() } catch is CancellationError {}
            }
            try await shares(1)
        }
    }

    private static func settings(_ redis: RedisProcess) -> [String: String] {
        ["APUS_QUERY_CACHE_SHARED_KIND": "redis", "APUS_QUERY_CACHE_SHARED_SERVERS": "127.0.0.1:\(redis.port)"]
    }

    @Test("what a role may not see any more is told by no node, whatever Redis has of it and however Redis is")
    func revoked() async throws {
        let directory = try TemporaryDirectory()
        var server = try await RedisProcess.start(in: directory.path)
        try await Self.withNodes(2, Self.settings(server)) { nodes, _ in
            for (round, name) in ["running", "frozen", "killed", "emptied"].enumerated() {
                let role = "role\(round)"
                let key: Headers = ["X-Hugr-Api-Key": "\(role)-0123456789"]
                _ = try await Self.manage(
                    nodes[0],
                    """
                    mutation { core { insert_roles(data: {name: "\(role)", permissions: []}) { name }
                      insert_api_keys(data: {name: "\(role)", key: "\(role)-0123456789", default_role: "\(role)"}) { name } } }
                    """)
                func told(_ node: NodeProcess) async throws -> (status: Int, text: String) {
                    let answer = try await AccessNode.ask(node.url, "{ notes @cache(ttl: 600) { id text } }", key)
                    return (answer.status, answer.text)
                }
                for node in nodes {
                    try await eventually("the key is known") { try await told(node).status == 200 }
                    #expect(try await told(node).text.contains(#""id":1,"#), "\(name)")
                }
                switch round {
                case 1: server.freeze()
                case 2:
                    server.thaw()
                    await server.kill()
                case 3: server = try await server.again()
                default: break
                }
                _ = try await Self.manage(
                    nodes[0],
                    """
                    mutation { core { insert_role_permissions(data: { role: "\(role)", type_name: "data-object:query", field_name: "notes",
                      filter: {id: {eq: 2}}}) { role } } }
                    """)
                // On the node that was asked at once, on the other within the bound, and then for good.
                #expect(try await !told(nodes[0]).text.contains(#""id":1,"#), "\(name)")
                try await eventually(within: 5, "the other node has heard: \(name)") {
                    try await !told(nodes[1]).text.contains(#""id":1,"#)
                }
                for number in 0..<40 {
                    let answer = try await told(nodes[number % 2])
                    #expect(answer.status == 200 && !answer.text.contains(#""id":1,"#) && answer.text.contains(#""id":2,"#), "\(name)")
                }
            }
        }
    }
}
