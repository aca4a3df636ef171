import ApusDatabase
import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Glibc
import NodeProcessKit
import Synchronization
import TestKit
import Testing

/// Three real nodes over one PostgreSQL catalog, and a data source that all of them reach.
@Suite("the schema on three nodes")
struct SchemaPropagationTests {
    private static let tables = 100

    /// A schema of many tables. Two of them say which one it is: a mixed schema would have one field of each.
    private static func text(_ version: Int) -> String {
        (0..<tables).map { number in
            let mark = number == 0 || number == tables - 1 ? "  v\(version): Int @sql(exp: \"\(version)\")\n" : ""
            return """
                type t\(number) @table(name: "t\(number)") {
                  id: Int! @pk
                  name: String
                  amount: Float
                  parent_id: Int @field_references(references_name: "t\(number / 2)", field: "id", query: "parent", references_query: "children\(number)")
                \(mark)}
                """
        }.joined(separator: "\n")
    }

    private static func write(_ text: String, on node: NodeProcess) async throws -> JSONValue {
        let update =
            #"mutation($t: String!) { core { update_catalog_sources(filter: {name: {eq: "shop"}}, data: {path: $t}) { affected_rows } } }"#
        return try await query(update, ["t": .string(text)], on: node)
    }

    private static func load(on node: NodeProcess) async throws -> JSONValue {
        let reply = try await query(#"mutation { function { core { load_data_source(name: "shop") { success message } } } }"#, on: node)
        return reply["data"]?["function"]?["core"]?["load_data_source"] ?? reply
    }

    private static func query(_ text: String, _ variables: JSONObject = [:], on node: NodeProcess) async throws -> JSONValue {
        let body: JSONValue = ["query": .string(text), "variables": .object(variables)]
        let reply = try await node.send(.post, "/query", body.description)
        guard reply.status == 200 else { throw TestKitError("\(reply)") }
        return reply.body
    }

    /// The versions that the marks of what a node serves say: one, or the schema is mixed.
    private static func marks(on node: NodeProcess) async throws -> Set<String> {
        let reply = try await query(
            "{ shop { t0(limit: 1) { id } } a: __type(name: \"shop_t0\") { fields { name } } b: __type(name: \"shop_t\(tables - 1)\") { fields { name } } }",
            on: node)
        guard reply["errors"] == nil, let data = reply["data"] else { throw TestKitError("a request failed: \(reply)\n\(node.log)") }
        let found = ["a", "b"].map { key in
            (data[key]?["fields"]?.asArray ?? []).compactMap { $0["name"]?.asString }.filter {
                $0.hasPrefix("v") && Int($0.dropFirst()) != nil
            }
        }
        guard found.allSatisfy({ $0.count == 1 }) else { throw TestKitError("a schema without its mark: \(found)") }
        return Set(found.joined())
    }

    @Test("changed many times while clients query all nodes: no request fails, none sees a mixed schema, and a paused node catches up")
    func manyChanges() async throws {
        let cluster = try await ProcessCluster()
        let path = cluster.directory.path + "/shop.db"
        let database = try await SQLiteDatabase.open(path: path)
        let deadline = BootClock.now.advanced(by: .seconds(30))
        for number in 0..<Self.tables {
            let table = StaticSQL.identifier("t\(number)")
            _ = try await database.run(
                [
                    .once("CREATE TABLE main." + table + " (id integer PRIMARY KEY, name text, amount real, parent_id integer)"),
                    .once("INSERT INTO main." + table + " VALUES (1, 'one', 1.5, NULL)"),
                ], on: .write, deadline: deadline)
        }
        await database.close()
        let nodes = try await cluster.start(nodes: 3)
        let added = try await Self.query(
            "mutation($d: core_data_sources_mut_input_data!) { core { insert_data_sources(data: $d) { name } } }",
            [
                "d": [
                    "name": "shop", "prefix": "shop", "type": "sqlite", "path": .string(path), "as_module": true, "read_only": true,
                    "catalogs": [["name": "shop", "type": "text", "path": .string(Self.text(0))]],
                ]
            ], on: nodes[0])
        #expect(added["errors"] == nil, "\(added)")
        #expect(try await Self.load(on: nodes[0]) == ["success": true, "message": "Datasource was loaded"])

        let changes = LawSize.scaled(50, full: 200)
        let run = Run()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<LawSize.scaled(6, full: 16) {
                group.addTask {
                    while !run.isDone.withLock({ $0 }) {
                        let marks = try await Self.marks(on: nodes[client % 3])
                        guard marks.count == 1 else { throw TestKitError("a mixed schema: \(marks)") }
                        run.asked.withLock { $0 += 1 }
                    }
                }
            }
            group.addTask {
                defer { run.isDone.withLock { $0 = true } }
                for version in 1...changes {
                    let node = nodes[version % 3]
                    let written = try await Self.write(Self.text(version), on: node)
                    guard written["errors"] == nil else { throw TestKitError("not written: \(written)") }
                    let loaded = try await Self.load(on: nodes[(version + 1) % 3])
                    // It returns when the nodes serve it: whoever is asked next shows it.
                    guard loaded == ["success": true, "message": "Datasource was loaded"] else {
                        throw TestKitError("not loaded: \(loaded)")
                    }
                    for node in nodes {
                        let marks = try await Self.marks(on: node)
                        guard marks == ["v\(version)"] else { throw TestKitError("version \(version) was loaded, and \(marks) is served") }
                    }
                    let told = try await Self.query("{ function { core { schema_nodes { node behind propagation_seconds } } } }", on: node)
                    let standings = told["data"]?["function"]?["core"]?["schema_nodes"]?.asArray ?? []
                    guard standings.count == 3, standings.allSatisfy({ $0["behind"] == false }) else { throw TestKitError("\(told)") }
                    run.times.withLock { $0 += standings.compactMap { $0["propagation_seconds"]?.asDouble } }
                }
            }
            try await group.waitForAll()
        }
        let sorted = run.times.withLock { $0.sorted() }
        #expect(sorted.count == 3 * changes && run.asked.withLock { $0 } > changes)
        func quantile(_ part: Double) -> Int { Int(sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))] * 1000) }
        print(
            "schema of \(Self.tables) tables, \(changes) changes on 3 nodes under \(run.asked.withLock { $0 }) requests: "
                + "from made to served p50 \(quantile(0.5)) ms, p99 \(quantile(0.99)) ms")

        // A node that stands still over several changes is named, and follows by itself when it goes on.
        nodes[2].send(signal: SIGSTOP)
        for version in [1001, 1002] {
            _ = try await Self.write(Self.text(version), on: nodes[0])
            let loaded = try await Self.load(on: nodes[1])
            #expect(loaded["success"] == true)
        }
        #expect(try await Self.marks(on: nodes[0]) == ["v1002"])
        #expect(try await Self.marks(on: nodes[1]) == ["v1002"])
        nodes[2].send(signal: SIGCONT)
        try await eventually(within: 60, "the node that stood still serves the newest version") {
            try await Self.marks(on: nodes[2]) == ["v1002"]
        }
        for node in nodes { try await node.stopCleanly() }
    }

    /// What the clients and the one who changes the schema share.
    private final class Run: Sendable {
        let asked = Mutex(0)
        /// From made to served, in seconds.
        let times = Mutex<[Double]>([])
        let isDone = Mutex(false)
    }
}
