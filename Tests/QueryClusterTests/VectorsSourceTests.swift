import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import NodeProcessKit
import TestKit
import Testing

/// A collection in shards on three nodes, joined with rows of a PostgreSQL server, asked for over HTTP on each node.
@Suite("collections and databases on three nodes")
struct VectorsSourceTests {
    private static func ask(_ text: String, _ variables: JSONObject = [:], on node: NodeProcess) async throws -> JSONValue {
        let reply = try await node.send(
            .post, "/query", JSONValue.object(["query": .string(text), "variables": .object(variables)]).description)
        guard reply.status == 200 else { throw TestKitError("\(reply)") }
        return reply.body
    }

    /// With a managed key, as if from another machine.
    private static func ask(_ text: String, key: String, on node: NodeProcess) async throws -> JSONValue {
        let headers: Headers = ["X-Hugr-Api-Key": key, "Content-Type": "application/json", "X-Forwarded-For": "192.0.2.1"]
        let body = JSONValue.object(["query": .string(text)]).serialized()
        let response = try await HTTPClient(loops: TestLoops.shared).send(
            ClientRequest(
                .post, node.url + "/query", headers: headers, body: .bytes(body), deadline: BootClock.now.advanced(by: .seconds(30))))
        return try JSONValue(parsing: try await response.collect(limit: .mebibytes(16)))
    }

    /// What a role's rule lets through, on every way to the points.
    private static func checkRules(_ search: String, on nodes: [NodeProcess]) async throws {
        let made = try await ask(
            """
            mutation { core {
              insert_roles(data: {name: "odd", permissions: [{type_name: "data-object:query", field_name: "notes", filter: {kind: {eq: "[$auth.kind]"}}}]}) { name }
              a: insert_api_keys(data: {name: "odd", key: "odd-0123456789", default_role: "odd", claims: {kind: "odd"}}) { name }
              b: insert_api_keys(data: {name: "none", key: "none-0123456789", default_role: "odd"}) { name }
            } }
            """, on: nodes[0])
        #expect(made["errors"] == nil, "\(made)")
        for node in nodes {
            try await eventually("the keys are known") { try await ask("{ __typename }", key: "none-0123456789", on: node)["data"] != nil }
            #expect(
                try await ask(search, key: "odd-0123456789", on: node)["data"] == ["notes": []],
                "the search is among what the rule lets through")
            let ways = """
                { notes_aggregation { _rows_count } notes_by_pk(id: 10) { id } notes(limit: 2) { id kind } birds(filter: {id: {in: [1, 2]}}) { id notes { id } } }
                """
            let odd = try await ask(ways, key: "odd-0123456789", on: node)["data"]
            #expect(
                odd == [
                    "notes_aggregation": ["_rows_count": 30], "notes_by_pk": nil,
                    "notes": [["id": 1, "kind": "odd"], ["id": 3, "kind": "odd"]],
                    "birds": [["id": 1, "notes": nil], ["id": 2, "notes": [["id": 59]]]],
                ], "\(odd ?? .null)")
            let none = try await ask(ways, key: "none-0123456789", on: node)["data"]
            #expect(
                none?["notes_aggregation"] == ["_rows_count": 0] && none?["notes"] == [],
                "who has no such claim sees nothing: \(none ?? .null)")
        }
    }

    /// The first points in the order of a number, which the shards know, and of nothing but what is asked for.
    private static func checkOrder(on nodes: [NodeProcess]) async throws {
        for node in nodes {
            let found = try await ask(
                "{ notes(order_by: [{field: \"bird\"}], limit: 3, offset: 1, filter: {kind: {eq: \"odd\"}}) { id bird } }", on: node)
            #expect(
                found["data"]?["notes"] == [["id": 57, "bird": 4], ["id": 55, "bird": 6], ["id": 53, "bird": 8]], "\(found)")
        }
    }

    /// What is kept of points is told until some are written, through whatever node.
    private static func checkKept(on nodes: [NodeProcess]) async throws {
        func count(on node: NodeProcess) async throws -> JSONValue? {
            let reply = try await ask("{ notes(filter: {kind: {eq: \"new\"}}) @cache(ttl: \"10m\") { id } }", on: node)
            #expect(reply["errors"] == nil, "\(reply)")
            return reply["data"]?["notes"]
        }
        for (number, node) in nodes.enumerated() {
            let before: [JSONValue] = (0..<number).map { ["id": .integer(Int64(70 + $0))] }
            for other in nodes { try await eventually("what is there is kept") { try await count(on: other) == .array(before) } }
            let id = 70 + number
            let text = "{\"id\": \(id), \"text\": \"new \(id)\", \"metadata\": {\"kind\": \"new\"}}"
            let inserted = try await node.send(.post, "/insert_texts", "{\"collection\": \"notes\", \"texts\": [\(text)]}")
            try #require(inserted.body["inserted"] == 1, "\(inserted)")
            let after = JSONValue.array(before + [["id": .integer(Int64(id))]])
            #expect(try await count(on: node) == after, "at once where it was written")
            for other in nodes { try await eventually("the others hear of it") { try await count(on: other) == after } }
        }
        for id in 70..<73 {
            let deleted = try await nodes[0].send(.delete, "/collections/notes/vectors/\(id)")
            try #require(deleted.status == 200, "\(deleted)")
        }
        for node in nodes { try await eventually("they are gone") { try await count(on: node) == [] } }
    }

    /// Inserts a source and loads it.
    private static func add(_ source: JSONObject, on node: NodeProcess) async throws {
        let inserted = try await ask(
            "mutation($d: core_data_sources_mut_input_data!) { core { insert_data_sources(data: $d) { name } } }", ["d": .object(source)],
            on: node)
        #expect(inserted["errors"] == nil, "\(inserted)")
        let name = source["name"]?.asString ?? ""
        let loaded = try await ask("mutation { function { core { load_data_source(name: \"\(name)\") { success message } } } }", on: node)
        #expect(loaded["data"]?["function"]?["core"]?["load_data_source"]?["success"] == true, "\(loaded)")
    }

    @Test("texts are searched for and joined with rows on every node; an answer that lacks a shard is an error")
    func searches() async throws {
        let url = try await PostgreSQLServer.shared().newDatabase().reveal()
        let database = url.split(separator: "/").last.map { String($0.prefix { $0 != "?" }) } ?? ""
        try await PostgreSQLServer.shared().execute(
            """
            CREATE TABLE birds (id bigint PRIMARY KEY, name text NOT NULL, grams real);
            INSERT INTO birds SELECT n, 'bird ' || n, n * 1.5 FROM generate_series(1, 60) n;
            """, database: database)
        let cluster = try await ProcessCluster()
        var nodes: [NodeProcess] = []
        for number in 0..<3 { nodes.append(try await cluster.start(number, more: ["BIRDS": url])) }
        try await cluster.settle(nodes)
        let made = try await nodes[0].send(
            .post, "/collections",
            #"{"name": "notes", "embedding_provider": "bm25", "dimension": 512, "sharding": {"shard_count": 6}}"#)
        try #require(made.status == 200, "\(made)")
        let texts = (1...60).map { number in
            """
            {"id": \(number), "text": "\(number % 10 == 0 ? "the swift sleeps on the wing" : "a sparrow eats bread") \(number)",
             "metadata": {"bird": \(61 - number), "kind": "\(number % 2 == 0 ? "even" : "odd")"}}
            """
        }
        let inserted = try await nodes[0].send(
            .post, "/insert_texts", "{\"collection\": \"notes\", \"texts\": [\(texts.joined(separator: ","))]}")
        try #require(inserted.body["inserted"] == 60, "\(inserted)")
        try await Self.add(["name": "birds", "type": "postgres", "path": "[$BIRDS]", "prefix": "", "self_defined": true], on: nodes[0])
        try await Self.add(["name": "memory", "type": "vectors", "path": "notes", "prefix": "", "self_defined": true], on: nodes[0])
        try await Self.add(
            [
                "name": "bridge", "type": "extension", "path": "", "prefix": "",
                "catalogs": [
                    [
                        "name": "bridge", "type": "text",
                        "path": """
                        extend type birds @dependency(name: "memory") {
                          notes: [notes] @join(references_name: "notes", source_fields: ["id"], references_fields: ["bird"])
                        }
                        extend type notes @dependency(name: "birds") {
                          birds: [birds] @join(references_name: "birds", source_fields: ["bird"], references_fields: ["id"])
                        }
                        """,
                    ]
                ],
            ], on: nodes[0])
        let search = """
            { notes(semantic: {query: "sleeping swift", limit: 6}, filter: {kind: {eq: "even"}}) { id _score content birds { name grams } } }
            """
        for node in nodes {
            try await eventually("the sources are served") {
                try await Self.ask("{ __type(name: \"birds\") { fields { name } } }", on: node).description.contains("notes")
            }
            let found = try await Self.ask(search, on: node)["data"]?["notes"]?.asArray ?? []
            #expect(Set(found.compactMap { $0["id"]?.asInteger }) == [10, 20, 30, 40, 50, 60], "\(found)")
            for row in found {
                let id = row["id"]?.asInteger ?? 0
                #expect((row["_score"]?.asDouble ?? 0) > 0.1 && row["content"]?.asString?.hasPrefix("the swift") == true)
                #expect(row["birds"] == [["name": .string("bird \(61 - id)"), "grams": .double(Double(61 - id) * 1.5)]], "\(row)")
            }
            let back =
                try await Self.ask("{ birds(order_by: [{field: \"id\"}]) { id notes { id kind } } }", on: node)["data"]?["birds"]?.asArray
                ?? []
            #expect(back.count == 60 && back.allSatisfy { $0["notes"]?.asArray?.count == 1 })
            #expect(back.first?["notes"] == [["id": 60, "kind": "even"]])
            #expect(
                try await Self.ask("{ notes_aggregation { _rows_count } }", on: node)["data"]?["notes_aggregation"] == ["_rows_count": 60])
        }
        try await Self.checkOrder(on: nodes)
        try await Self.checkKept(on: nodes)
        try await Self.checkRules(search, on: nodes)
        await nodes[2].kill()
        // Until its shards are placed elsewhere they are missing: told, not passed over.
        try await eventually(within: 60, "a search without its shards is an error, or they are elsewhere") {
            let reply = try await Self.ask(search, on: nodes[0])
            if let rows = reply["data"]?["notes"]?.asArray {
                #expect(rows.count == 6, "half an answer: \(reply)")
                return true
            }
            let error = reply["errors"]?.asArray?.first
            #expect(error?["extensions"]?["code"] != nil && reply["data"]?["notes"] == nil, "\(reply)")
            return error?["extensions"]?["code"] == "search.incomplete"
        }
        for node in nodes.dropLast() { try await node.stopCleanly() }
    }
}
