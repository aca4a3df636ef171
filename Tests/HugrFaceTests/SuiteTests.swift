import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import HTTPTestKit
import HugrSuiteKit
import NodeProcessKit
import TestKit
import Testing

/// Hugr's recorded end-to-end cases (`Suite/queries`) against a real node over a real PostgreSQL, compared as their own runner does.
@Suite("Hugr's recorded suite")
struct SuiteTests {
    /// What does not pass, and why. A case that is named here and passes fails the test: then it is to be taken off.
    static let notPassing: [String: String] = [
        "aggregations/sub_aggregation": "the recording has the number of categories where the sum of their products was asked for",
        "metadata/duckdb_databases": "the recording has the databases of Hugr's own engine: its memory, one of each extension, DuckLake's",
    ]

    /// Whether it is told what came instead of what was recorded, also of the cases that are named above.
    static let tellsAll = ProcessInfo.processInfo.environment["APUS_SUITE_TELLS"] != nil

    static let folder = HugrSuite.folder

    @Test("cases pass that are not named with a reason")
    func suite() async throws {
        let cases = try Self.cases()
        #expect(cases.count == 64)
        try await TestServer.with(routes: Self.addService) { try await run(cases, $0) }
    }

    private func run(_ cases: [String], _ rest: TestServer) async throws {
        let cluster = try await ProcessCluster()
        let directory = try TemporaryDirectory()
        let nodes = try await Self.start(cluster, rest: rest, in: directory.path)
        var passed: [String] = []
        for name in cases {
            if name == "views/parameterized" { try await Self.changeAsWholeSuiteDoes() }
            if name == "ducklake/management_checkpoint" { try await Self.changeLakeAsWholeSuiteDoes(in: directory.path) }
            let problem: String?
            do { problem = try await Self.problem(with: name, nodes) } catch { problem = "\(error)" }
            if problem == nil { passed.append(name) }
            if let problem, Self.tellsAll { print(name, problem) }
            switch (problem, Self.notPassing[name]) {
            case (nil, nil), (.some, .some): break
            case (let problem?, nil): Issue.record("\(name): \(problem)")
            case (nil, .some): Issue.record("\(name) passes; take it off the list")
            }
        }
        print("\(passed.count) of \(cases.count) recorded cases pass")
        for name in cases where Self.notPassing[name] != nil { print("  not \(name): \(Self.notPassing[name] ?? "")") }
        for node in nodes { try await node.stopCleanly() }
        for name in ["coredb_roundtrip", "coredb_descriptions"] {
            try FileManager.default.removeItem(atPath: Self.copies + name + ".duckdb")
        }
    }

    // MARK: The nodes and their sources

    /// The suite's REST service: it tells what it was given.
    private static func addService(to router: inout Router) {
        @Sendable func told(_ name: String?, _ value: Int64) -> Response {
            .json(JSONValue.object(["name": .string(name ?? ""), "val": .integer(value)]).serialized())
        }
        router.on(.get, "/test_get") { told($0.query["name"], Int64($0.query["val"] ?? "") ?? 0) }
        router.on(.post, "/test_post") { request in
            let body = try JSONValue(parsing: try await request.body.collect(limit: .kibibytes(64)))
            return told(body["name"]?.asString, body["val"]?.asInteger ?? 0)
        }
    }

    private static let store = "hugr_store"

    /// Two nodes on which whoever asks is the administrator, as the recordings were made, and the sources as an operator adds them. All are
    /// known before the first is loaded: the last cannot be, and a case lists it.
    private static func start(_ cluster: ProcessCluster, rest: TestServer, in directory: String) async throws -> [NodeProcess] {
        let server = try await PostgreSQLServer.shared()
        try await server.execute("DROP DATABASE IF EXISTS \(store)")
        try await server.execute("CREATE DATABASE \(store)")
        try await server.execute(try text("fixtures/postgres/init.sql"), database: store)
        try await DuckDBFiles.make(directory + "/local.duckdb", try text("fixtures/duckdb/init.sql"))
        try await server.execute("DROP DATABASE IF EXISTS \(lake)")
        try await server.execute("CREATE DATABASE \(lake)")
        try await changeLake(
            in: directory,
            """
            CREATE TABLE sensors (id BIGINT, name VARCHAR, temperature DOUBLE, humidity DOUBLE, reading_time TIMESTAMP);
            INSERT INTO sensors VALUES (1, 'sensor_a', 22.5, 65, '2025-01-01 10:00:00'), (2, 'sensor_b', 23.1, 70.2, '2025-01-01 10:05:00'),
              (3, 'sensor_c', 21.8, 55.5, '2025-01-01 10:10:00');
            INSERT INTO sensors VALUES (4, 'sensor_d', 25, 60, '2025-01-02 10:00:00'), (5, 'sensor_e', 19.5, 80.1, '2025-01-02 10:05:00');
            UPDATE sensors SET temperature = 24, humidity = 68 WHERE id = 1;
            """)
        let environment = [
            "APUS_QUERY_ANONYMOUS": "admin", "PG_STORE": server.url(database: store).reveal(),
            "LOCAL_DB": directory + "/local.duckdb", "LAKE": "\(server.url(database: lake).reveal())&data_path=\(directory)/lake/",
            "APUS_QUERY_DUCKDB_LIBRARY": DuckDBFiles.library,
        ]
        var nodes: [NodeProcess] = []
        for number in 0..<2 {
            nodes.append(
                try await cluster.start(
                    number, more: environment.merging(["APUS_NODE_ROLES": number == 0 ? "manager,worker" : "worker"]) { $1 }))
        }
        try await cluster.settle(nodes)
        for (name, type, path) in [
            ("pg_store", "postgres", "[$PG_STORE]"), ("local_db", "duckdb", "[$LOCAL_DB]"), ("ext_bridge", "extension", ""),
            ("rest_api", "http", "http://127.0.0.1:\(rest.port)"), ("dl_test", "ducklake", "[$LAKE]"),
        ] {
            let described = type == "ducklake"
            let catalog = "catalogs: [{ name: \"\(name)\", type: \"localFS\", path: \"/workspace/schemas/\(name)\" }]"
            let isModule = type != "extension"
            let insertion = """
                mutation { core { insert_data_sources(data: { name: "\(name)", type: "\(type)", prefix: "\(isModule ? name : "")", path: "\(path)",
                  as_module: \(isModule), \(described ? "self_defined: true" : catalog) }) { name } } }
                """
            let inserted = try await ask(nodes[0], here(insertion))
            #expect(inserted.body["errors"] == nil, "\(inserted)")
            let loaded = try await ask(
                nodes[0], "mutation { function { core { load_data_source(name: \"\(name)\") { success message } } } }")
            #expect(loaded.body["data"]?["function"]?["core"]?["load_data_source"]?["success"] == true, "\(loaded)")
        }
        return nodes
    }

    /// Texts of the recordings with the place that their files have here.
    private static func here(_ text: String) -> String {
        text.replacing("/workspace/schemas", with: "\(folder.path)/fixtures/schemas").replacing("/tmp/e2e_", with: copies)
    }

    /// Where copies of the definitions go, which must not be there before.
    private static let copies = FileManager.default.temporaryDirectory.path + "/apus-suite-\(UUID().uuidString)-"

    /// Without a credential.
    private static func ask(
        _ node: NodeProcess, _ operation: String, headers: Headers = [:]
    ) async throws -> (status: Int, body: JSONValue) {
        var headers = headers
        headers["Content-Type"] = "application/json"
        let body = JSONValue.object(["query": .string(operation)]).serialized()
        let response = try await HTTPClient(loops: TestLoops.shared).send(
            ClientRequest(
                .post, node.url + "/query", headers: headers, body: .bytes(body), deadline: BootClock.now.advanced(by: .seconds(30))))
        let bytes = try await response.collect(limit: .mebibytes(64))
        return (response.status, bytes.isEmpty ? .null : try JSONValue(parsing: bytes))
    }

    /// What cases change that are not among the recorded ones, and that views were recorded after.
    private static func changeAsWholeSuiteDoes() async throws {
        let server = try await PostgreSQLServer.shared()
        try await server.execute(
            """
            UPDATE products SET price = 24.99, is_active = true WHERE id = 4;
            DELETE FROM products WHERE id > 6;
            INSERT INTO products (id, name, price, quantity) VALUES (7, 'Default Test', 10, 1);
            """, database: store)
    }

    private static let lake = "hugr_lake"

    private static func changeLake(in directory: String, _ sql: String) async throws {
        let metadata = try await PostgreSQLServer.shared().url(database: lake).reveal()
        try await DuckDBFiles.run(DuckDBFiles.attaching(metadata, data: directory + "/lake/") + sql, in: directory + "/change")
    }

    /// Each of these is a snapshot.
    private static func changeLakeAsWholeSuiteDoes(in directory: String) async throws {
        try await changeLake(
            in: directory,
            """
            CREATE TABLE ddl_test_table (id BIGINT, name VARCHAR); INSERT INTO ddl_test_table VALUES (1, 'a');
            ALTER TABLE ddl_test_table ADD COLUMN score DOUBLE; ALTER TABLE ddl_test_table DROP COLUMN name;
            ALTER TABLE ddl_test_table RENAME TO ddl_renamed_table; DROP TABLE ddl_renamed_table;
            INSERT INTO sensors VALUES (100, 'sensor_new', 20, 50, '2025-01-03 10:00:00');
            """)
    }

    // MARK: Cases

    private static func text(_ path: String) throws -> String {
        here(String(decoding: try Data(contentsOf: folder.appending(path: path)), as: UTF8.self))
    }

    private static func entries(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: path).path).sorted()
    }

    private static func cases() throws -> [String] {
        try entries("queries").flatMap { category in try entries("queries/\(category)").map { "\(category)/\($0)" } }
    }

    private struct Step {
        var operation: String
        var headers: Headers = [:]
        var expected: JSONValue
    }

    /// Nil for what is no GraphQL request, or not wholly recorded.
    private static func steps(of name: String) throws -> [Step]? {
        let files = try entries("queries/\(name)")
        if files.contains("query.graphql") {
            // Some were recorded twice; the nodes' core database is PostgreSQL, too.
            let answer = files.contains("expected_pg.json") ? "expected_pg.json" : "expected.json"
            return [Step(operation: try text("queries/\(name)/query.graphql"), expected: try recorded("\(name)/\(answer)"))]
        }
        var steps: [Step] = []
        for file in files where file.hasSuffix(".graphql") {
            let base = String(file.dropLast(".graphql".count))
            let answers = ["\(base).json", "\(base.split(separator: "_")[0])_expected.json"].filter(files.contains)
            guard let answer = answers.first else { return nil }
            var headers: Headers = [:]
            if files.contains("\(base).headers") {
                for line in try text("queries/\(name)/\(base).headers").split(separator: "\n") {
                    let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
                    if parts.count == 2 { headers[parts[0]] = parts[1] }
                }
            }
            steps.append(
                Step(operation: try text("queries/\(name)/\(file)"), headers: headers, expected: try recorded("\(name)/\(answer)")))
        }
        return steps.isEmpty ? nil : steps
    }

    private static func recorded(_ path: String) throws -> JSONValue { try JSONValue(parsing: Array(text("queries/\(path)").utf8)) }

    private static func problem(with name: String, _ nodes: [NodeProcess]) async throws -> String? {
        guard let steps = try steps(of: name) else { return "it is no case of GraphQL requests alone" }
        for step in steps {
            // A cluster's cases name the node that is asked.
            let isWorkers = step.operation.prefix { $0 != "\n" }.contains("@target: worker")
            let answer: (status: Int, body: JSONValue)
            do { answer = try await ask(nodes[isWorkers ? 1 : 0], step.operation, headers: step.headers) } catch let error as ApusError
                where error.code == .requestUnparsable
            { return "the answer is no JSON" }
            if normal(answer.body) != normal(step.expected) { return "\(answer.status) \(answer.body)" }
        }
        return nil
    }

    /// As the suite compares: arrays sorted, numbers to five places.
    private static func normal(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements):
            .array(elements.map(normal).sorted { $0["name"]?.description ?? $0.description < $1["name"]?.description ?? $1.description })
        case .object(let members): .object(JSONObject(members.map { ($0.key, normal($0.value)) }.sorted { $0.0 < $1.0 }))
        case .integer, .unsigned, .double: .double((value.asDouble.map { ($0 * 100_000).rounded() / 100_000 }) ?? 0)
        default: value
        }
    }
}
