import ApusDatabase
import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import NodeProcessKit
import TestKit
import Testing

/// Every place where a client's text comes near SQL, with texts that would be SQL if it got there.
@Suite("injection of SQL")
struct InjectionTests {
    enum Engine: String, CaseIterable, CustomTestStringConvertible {
        case sqlite, postgres
        var testDescription: String { rawValue }
    }

    private static let canary = "canary-5f1c"
    /// The table of secrets is no part of the schema.
    private static let schema = #"""
        type items @table(name: "items") {
          id: Int! @pk
          name: String!
          tags: JSON
        }
        type picked @view(name: "picked", sql: "SELECT id, name FROM items WHERE name = [$wanted]") @args(name: "picked_args", required: true) {
          id: Int! @pk
          name: String!
        }
        input picked_args { wanted: String! }
        extend type Function {
          echo(text: String!): String @function(name: "echo", sql: "lower([text])")
        }
        """#
    private static let payloads = [
        "' OR '1'='1", "'; DROP TABLE items; --", "\" OR 1=1 --", "') UNION SELECT 1, value, NULL FROM secrets --",
        "' UNION SELECT value FROM secrets --", "name\" FROM items UNION SELECT value FROM secrets --", "\\'; DELETE FROM items; --",
        "$1", "$$; DELETE FROM items; $$", "(SELECT value FROM secrets)", "name; DELETE FROM items", "[$auth.user_id]", "[name]",
        "%' OR 1=1 --",
        "1 OR 1=1", "\u{2019} OR 1=1 --", "ẞ' --", "/*", "E'\\x27'", "x') OR ('1'='1",
    ]

    @Test("a text is a value, or no name that there is", arguments: Engine.allCases)
    func everyPlace(engine: Engine) async throws {
        let directory = try TemporaryDirectory()
        let tables: [StaticSQL] = [
            engine == .sqlite
                ? "CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL, tags text)"
                : "CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL, tags jsonb)",
            "CREATE TABLE secrets (value text)", "INSERT INTO secrets VALUES ('canary-5f1c')",
            "INSERT INTO items VALUES (1, 'one', '{\"a\": 1}'), (2, 'two', NULL)",
        ]
        let path: String
        var environment: [String: String] = [:]
        if engine == .sqlite {
            path = directory.path + "/items.db"
            let database = try await SQLiteDatabase.open(path: path)
            _ = try await database.run(tables.map { .once($0) }, on: .write, deadline: BootClock.now.advanced(by: .seconds(30)))
            await database.close()
        } else {
            let server = try await PostgreSQLServer.shared()
            try await server.execute("DROP DATABASE IF EXISTS injection")
            try await server.execute("CREATE DATABASE injection")
            for table in tables { try await server.execute(table.text, database: "injection") }
            path = "[$INJECTION]"
            environment["INJECTION"] = server.url(database: "injection").reveal()
        }
        try SourceFiles.write(Self.schema, to: directory.path + "/schema.graphql")
        try SourceFiles.write(
            """
            query:
              sources:
                - {name: s, type: \(engine.rawValue), path: "\(path)", schema: ["\(directory.path)/schema.graphql"]}
            """, to: directory.path + "/apus.yml")
        let node = try await NodeProcess.start(
            directory: directory.path + "/data", arguments: ["--config", directory.path + "/apus.yml"], environment: environment,
            loops: TestLoops.shared)
        let lab = AccessNode(node: node)
        try await eventually("the source is served") { try await lab.ask("{ items { id } }", ["X-API-Key": node.key]).message == nil }
        try await lab.manage(
            #"mutation { core { insert_roles(data: {name: "mine", permissions: [{type_name: "data-object:query", field_name: "items", filter: {name: {eq: "[$auth.user_id]"}}}]}) { name } } }"#
        )
        for payload in Self.payloads { try await attack(lab, payload) }
        try await node.stopCleanly()
    }

    private func attack(_ lab: AccessNode, _ text: String) async throws {
        let key: Headers = ["X-API-Key": lab.node.key]
        func ask(_ operation: String, _ headers: Headers? = nil) async throws -> AccessNode.Answer {
            let answer = try await lab.ask(operation, headers ?? key, variables: ["t": .string(text), "j": ["a": .string(text)]])
            #expect(!answer.text.contains(Self.canary), "\(operation) with \(text): \(answer.text)")
            return answer
        }
        // Written as a literal of the language, too, for what is no variable.
        let literal = JSONValue.string(text).description

        // As a value: it is stored, found and told as it is.
        let told = JSONValue.string(text)
        let inserted = try await ask("mutation($t: String!, $j: JSON) { insert_items(data: {id: 3, name: $t, tags: $j}) { name tags } }")
        #expect(inserted.data?["insert_items"] == ["name": told, "tags": ["a": told]], "\(inserted.text)")
        for filter in ["{name: {eq: $t}}", "{name: {in: [$t]}}", "{_not: {_not: {name: {eq: $t}}}}", "{name: {eq: \(literal)}}"] {
            let declared = filter.contains("$t}") || filter.contains("[$t]") ? "query($t: String!) " : ""
            let found = try await ask("\(declared){ items(filter: \(filter), order_by: [{field: \"id\"}]) { id } }")
            #expect(found.data?["items"] == [["id": 3]], "\(filter) with \(text): \(found.text)")
        }
        #expect(try await ask("query($t: String!) { picked(args: {wanted: $t}) { id } }").data?["picked"] == [["id": 3]])
        for filter in [
            "{name: {like: $t}}", "{name: {ilike: $t}}", "{name: {regex: $t}}", "{tags: {contains: $j}}", "{tags: {has: $t}}",
            "{tags: {has_all: [$t]}}", "{tags: {eq: $j}}",
        ] {
            let declared = filter.contains("$t") ? "$t: String!" : "$j: JSON"
            let found = try await ask("query(\(declared)) { items(filter: \(filter)) { id } }")
            let ids = found.data?["items"]?.asArray?.compactMap { $0["id"]?.asInteger } ?? []
            #expect(
                found.message != nil || ids.allSatisfy { $0 == 3 } || text.contains("%") || filter.contains("regex"),
                "\(filter) with \(text): \(found.text)")
        }
        #expect(try await ask("query($t: String!) { function { echo(text: $t) } }").data?["function"]?["echo"]?.asString != nil)
        let joined = try await ask(
            "query($t: String!) { items_aggregation { name { string_agg(sep: $t) list any } tags { count(path: $t) list(path: $t) } } }")
        #expect(joined.message?.contains("never used") != true)
        for path in ["sum", "string_agg(path: $t, sep: $t)"] {
            _ = try await ask("query($t: String!) { items_aggregation { tags { \(path.contains("(") ? path : path + "(path: $t)") } } }")
        }
        _ = try await ask("query($t: String!) { items { tags(struct: {a: $t}) } }")
        _ = try await ask("query($j: JSON) { items { tags(struct: $j) } }")

        // As a name: there is none such.
        for operation in [
            "{ items(order_by: [{field: \(literal)}]) { id name } }", "query($t: String!) { items(order_by: [{field: $t}]) { id name } }",
            "{ items(distinct_on: [\(literal)]) { id } }", "query($t: String!) { items(distinct_on: [$t]) { id } }",
            "{ items { _join(fields: [\(literal)]) { items(fields: [\"name\"]) { id } } } }",
            "{ items { _join(fields: [\"name\"]) { items(fields: [\(literal)]) { id } } } }",
            "{ items_bucket_aggregation(order_by: [{field: \(literal)}]) { key { name } } }",
        ] {
            let refused = try await ask(operation)
            #expect(refused.message != nil && refused.data == nil, "\(operation) with \(text): \(refused.text)")
        }

        // As who asks. A header has no character beyond ASCII.
        if text.utf8.allSatisfy({ (32...126).contains($0) }) {
            let asked: Headers = ["X-API-Key": lab.node.key, "x-hugr-impersonated-role": "mine", "x-hugr-impersonated-user-id": text]
            #expect(try await ask("{ items { id } }", asked).data?["items"] == [["id": 3]], "\(text)")
            let nobody: Headers = ["X-API-Key": lab.node.key, "x-hugr-impersonated-role": text]
            #expect(try await ask("{ items { id } }", nobody).status == 403)
            for headers: Headers in [["X-Hugr-Api-Key": text], ["Authorization": "Bearer \(text)"]] {
                #expect(try await ask("{ items { id } }", headers).status == 401)
            }
        }

        // Changes reach the row that is meant, and no other.
        let updated = try await ask(
            "mutation($t: String!) { update_items(filter: {name: {eq: $t}}, data: {name: \(literal)}) { affected_rows } }")
        #expect(updated.data?["update_items"]?["affected_rows"] == 1, "\(updated.text)")
        let core = try await ask(
            "mutation($t: String!) { core { insert_roles(data: {name: $t, description: $t}) { name } delete_roles(filter: {name: {eq: $t}}) { affected_rows } } }"
        )
        #expect(core.data?["core"]?["delete_roles"]?["affected_rows"] == 1, "\(core.text)")
        let deleted = try await ask("mutation($t: String!) { delete_items(filter: {name: {eq: $t}}) { affected_rows } }")
        #expect(deleted.data?["delete_items"]?["affected_rows"] == 1, "\(deleted.text)")
        #expect(
            try await ask("{ items(order_by: [{field: \"id\"}]) { id name } }").data?["items"]
                == [["id": 1, "name": "one"], ["id": 2, "name": "two"]])
    }
}
