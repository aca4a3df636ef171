import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit
import Testing

/// Hugr's recorded end-to-end cases (`Suite/queries`) against a real node over a real PostgreSQL, compared as their own runner does.
@Suite("Hugr's recorded suite")
struct SuiteTests {
    /// What does not pass, and why. A case that is named here and passes fails the test: then it is to be taken off.
    static let notPassing: [String: String] = [
        "aggregations/sub_aggregation": "the recording has the number of categories where the sum of their products was asked for",
        "cluster/query_on_worker": needsManagement,
        "cluster/storage_via_worker": needsManagement, "cluster/unload_reload_broadcast": needsManagement,
        "cluster/worker_forward": needsManagement,
        "core/db_export_import": needsManagement, "core/db_import_descriptions": needsManagement, "core/load_unload": needsManagement,
        "core/schema_after_reload": needsManagement, "extensions/cross_source_contract": needsManagement,
        "functions/auth_me": needsManagement, "functions/auth_my_permissions": needsManagement,
        "metadata/catalog_sources": needsManagement, "metadata/describe_schema": needsManagement,
        "metadata/duckdb_columns": needsManagement, "metadata/duckdb_databases": needsManagement,
        "metadata/duckdb_tables": needsManagement,
        "permissions/apikey_custom_claim": needsManagement, "permissions/cache_per_user": needsManagement,
        "permissions/catalog_visibility": needsManagement,
        "permissions/insert_stamp": needsManagement,
        "ducklake/bucket_aggregation": needsDuckLake, "ducklake/management_checkpoint": needsDuckLake,
        "ducklake/management_expire": needsDuckLake, "ducklake/management_rewrite": needsDuckLake,
        "ducklake/management_set_option_table": needsDuckLake, "ducklake/management_snapshot": needsDuckLake,
        "ducklake/metadata_data_files": needsDuckLake, "ducklake/time_travel_version": needsDuckLake,
        "h3/basic": "needs PostGIS, which cannot be had here, and H3", "spatial/intersects": "needs PostGIS, which cannot be had here",
        "types/geometry": "needs PostGIS, which cannot be had here",
        "http/get": "there is no http source yet", "http/post": "there is no http source yet",
        "jq/transform": "jq is not built in yet",
    ]
    static let needsManagement = "needs the management API, which is not behind this face yet"
    static let needsDuckLake = "DuckLake's extension cannot be had here"

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Suite")

    @Test("cases pass that are not named with a reason")
    func suite() async throws {
        let cases = try Self.cases()
        #expect(cases.count == 64)
        let directory = try TemporaryDirectory()
        let node = try await Self.start(in: directory.path)
        var passed: [String] = []
        for name in cases {
            if name == "views/parameterized" { try await Self.changeAsWholeSuiteDoes() }
            let problem: String?
            do { problem = try await Self.problem(with: name, node) } catch { problem = "\(error)" }
            if problem == nil { passed.append(name) }
            switch (problem, Self.notPassing[name]) {
            case (nil, nil), (.some, .some): break
            case (let problem?, nil): Issue.record("\(name): \(problem)")
            case (nil, .some): Issue.record("\(name) passes; take it off the list")
            }
        }
        print("\(passed.count) of \(cases.count) recorded cases pass")
        for name in cases where Self.notPassing[name] != nil { print("  not \(name): \(Self.notPassing[name] ?? "")") }
        #expect(await node.terminate() == .status(0))
    }

    // MARK: The node and its sources

    private static let store = "hugr_store"
    private static let local = "hugr_local"

    private static func start(in directory: String) async throws -> NodeProcess {
        let server = try await PostgreSQLServer.shared()
        for (database, seed) in [(store, try storeSeed()), (local, try localSeed())] {
            try await server.execute("DROP DATABASE IF EXISTS \(database)")
            try await server.execute("CREATE DATABASE \(database)")
            try await server.execute(seed, database: database)
        }
        func source(_ name: String, _ database: String) -> String {
            """
                - {name: \(name), type: postgres, path: "[$\(name.uppercased())]", prefix: \(name), as_module: true,
                   schema: ["\(folder.path)/fixtures/schemas/\(name)"]}
            """
        }
        try SourceFiles.write(
            """
            query:
              sources:
            \(source("pg_store", store))
            \(source("local_db", local))
                - {name: ext_bridge, type: extension, schema: ["\(folder.path)/fixtures/schemas/ext_bridge"]}
            """, to: directory + "/apus.yml")
        return try await NodeProcess.start(
            directory: directory + "/data", arguments: ["--config", directory + "/apus.yml"],
            environment: [
                "PG_STORE": server.url(database: store).reveal(), "LOCAL_DB": server.url(database: local).reveal(),
            ], loops: TestLoops.shared)
    }

    /// Without PostGIS, which is not there: places are texts.
    private static func storeSeed() throws -> String {
        try text("fixtures/postgres/init.sql").split(separator: "\n", omittingEmptySubsequences: false).map { line in
            if line.contains("CREATE EXTENSION") { return "" }
            return String(line).replacing(/GEOMETRY\([A-Za-z]+, 4326\)/, with: "TEXT")
                .replacing(/ST_SetSRID\(ST_Make[A-Za-z]+\([^)]*\), 4326\)/, with: "'a place'")
        }.joined(separator: "\n")
    }

    /// DuckDB's data in PostgreSQL: structs are JSON there.
    private static func localSeed() throws -> String {
        try text("fixtures/duckdb/init.sql").replacing(/STRUCT\([^)]*\)/, with: "JSONB").replacing("DOUBLE,", with: "DOUBLE PRECISION,")
            .replacing(/\{'cpu': '([^']*)', 'ram_gb': (\d+), 'storage_gb': (\d+)\}/) { match in
                "'{\"cpu\":\"\(match.1)\",\"ram_gb\":\(match.2),\"storage_gb\":\(match.3)}'"
            }
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

    // MARK: Cases

    private static func text(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: folder.appending(path: path)), as: UTF8.self)
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
            return [Step(operation: try text("queries/\(name)/query.graphql"), expected: try recorded("\(name)/expected.json"))]
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

    private static func problem(with name: String, _ node: NodeProcess) async throws -> String? {
        guard let steps = try steps(of: name) else { return "it is no case of GraphQL requests alone" }
        for step in steps {
            // A cluster's cases name the node that is asked.
            if step.operation.prefix(while: { $0 != "\n" }).contains("@target: worker") { return "it asks a second node" }
            let body = JSONValue.object(["query": .string(step.operation)]).description
            let answer: (status: Int, body: JSONValue)
            do { answer = try await node.send(.post, "/query", body, headers: step.headers) } catch let error as ApusError
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
