import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit
import Testing

/// DuckDB through a real node: with its engine, and without.
@Suite("DuckDB")
struct DuckDBTests {
    private static func with(_ library: String, _ body: (NodeProcess, String) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        try await SourceFiles.sqlite(in: directory.path)
        try await DuckDBFiles.make(
            directory.path + "/sales.duckdb",
            """
            CREATE TYPE mood AS ENUM ('sad', 'ok');
            CREATE TABLE shops (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE);
            CREATE TABLE sales (id BIGINT PRIMARY KEY, shop INTEGER REFERENCES shops(id), amount DECIMAL(10,2), total HUGEINT, sold TIMESTAMPTZ,
              day DATE, moment TIMESTAMP, span INTERVAL, code UUID, mood mood, note VARCHAR, flag BOOLEAN, ratio FLOAT, tags VARCHAR[], t TIME);
            INSERT INTO shops VALUES (1, 'north'), (2, 'south');
            INSERT INTO sales VALUES (1, 1, -12.05, 170141183460469231731687303715884105727, '2026-01-02 03:04:05.25+01', '1969-12-31',
              '0001-01-01 00:00:00', INTERVAL '14 months 3 days -90 seconds', '00112233-4455-6677-8899-aabbccddeeff', 'ok', 'a text of more than twelve bytes',
              true, 0.1, ['a', 'b'], '23:59:59.5'),
              (2, 2, 0.5, -1, 'infinity', '9999-12-31', '2026-01-01 00:00:00.000001', INTERVAL '0 seconds', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL, '', false, 2, [], '00:00:00'),
              (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
            COMMENT ON TABLE sales IS 'What was sold';
            COPY (SELECT i AS id, 'name ' || i AS name FROM range(3) t(i)) TO '\(directory.path)/people.parquet';
            """)
        try SourceFiles.write("id,size\n1,2.5\n2,7\n", to: directory.path + "/sizes.csv")
        try SourceFiles.write(
            """
            type people @view(name: "people", sql: "SELECT * FROM read_parquet('\(directory.path)/people.parquet')") { id: BigInt! @pk name: String }
            type sizes @view(name: "sizes", sql: "SELECT * FROM read_csv('\(directory.path)/sizes.csv')") {
              id: BigInt! @field_references(references_name: "people", field: "id", query: "person", references_query: "sizes")
              size: Float
            }
            """, to: directory.path + "/files.graphql")
        try SourceFiles.write(
            """
            query:
              duckdb_library: "\(library)"
              sources:
                - {name: sales, type: duckdb, path: "\(directory.path)/sales.duckdb", self_defined: true, as_module: true, prefix: s}
                - {name: files, type: duckdb, path: "", as_module: true, prefix: f, schema: ["\(directory.path)/files.graphql"]}
                - {name: notes, type: sqlite, path: "\(directory.path)/notes.db", self_defined: true}
            """, to: directory.path + "/apus.yml")
        let node = try await NodeProcess.start(
            directory: directory.path + "/data", arguments: ["--config", directory.path + "/apus.yml"], loops: TestLoops.shared)
        try await body(node, directory.path + "/apus.yml")
        try await node.stopCleanly()
    }

    private static func ask(_ node: NodeProcess, _ query: String) async throws -> String {
        let body = JSONValue.object(["query": .string(query)]).description
        return try await AuditTests().exchange(node, .post, "/query", body: body).text
    }

    @Test("values of every type are told as PostgreSQL's are, tables describe themselves, and files are read by views")
    func engine() async throws {
        try await Self.with(DuckDBFiles.library) { node, _ in
            let answer = try await Self.ask(
                node,
                "{ sales { sales(order_by: [{field: \"id\"}]) { id amount total sold day moment span code mood note flag ratio tags t ref_shops_1 { name } } } }"
            )
            #expect(
                answer.replacing(/ref_shops_\d+/, with: "shop")
                    == #"{"data":{"sales":{"sales":[{"id":1,"amount":-12.05,"total":170141183460469231731687303715884105727,"sold":"2026-01-02T02:04:05.25Z","day":"1969-12-31","moment":"0001-01-01T00:00:00Z","span":"P1Y2M3DT-1M-30S","code":"00112233-4455-6677-8899-aabbccddeeff","mood":"ok","note":"a text of more than twelve bytes","flag":true,"ratio":0.1,"tags":["a","b"],"t":"23:59:59.500000000","shop":{"name":"north"}},{"id":2,"amount":0.50,"total":-1,"sold":"infinity","day":"9999-12-31","moment":"2026-01-01T00:00:00.000001Z","span":"PT0S","code":"ffffffff-ffff-ffff-ffff-ffffffffffff","mood":null,"note":"","flag":false,"ratio":2.0,"tags":[],"t":"00:00:00.000000000","shop":{"name":"south"}},{"id":3,"amount":null,"total":null,"sold":null,"day":null,"moment":null,"span":null,"code":null,"mood":null,"note":null,"flag":null,"ratio":null,"tags":null,"t":null,"shop":null}]}}}"#
            )
            #expect(
                try await Self.ask(node, "{ files { people(order_by: [{field: \"id\"}]) { name sizes { size } } } }")
                    == #"{"data":{"files":{"people":[{"name":"name 0","sizes":null},{"name":"name 1","sizes":[{"size":2.5}]},{"name":"name 2","sizes":[{"size":7.0}]}]}}}"#
            )
            #expect(
                try await Self.ask(
                    node,
                    "{ sales { sales_aggregation(filter: {id: {in: [1, 2]}, mood: {in: [\"ok\", \"sad\"]}}) { _rows_count amount { sum } } } }"
                )
                    == #"{"data":{"sales":{"sales_aggregation":{"_rows_count":1,"amount":{"sum":-12.05}}}}}"#)
            #expect(
                try await Self.ask(node, "mutation { sales { delete_sales(filter: {id: {eq: 1}}) { success } } }").contains(
                    "Cannot query field"))
        }
    }

    @Test("without the engine its sources say how to get it, the doctor too, and everything else is served")
    func missing() async throws {
        try await Self.with("/nowhere/libduckdb.so") { node, configuration in
            #expect(
                try await Self.ask(node, "{ notes_aggregation { _rows_count } }") == #"{"data":{"notes_aggregation":{"_rows_count":2}}}"#)
            let told = try await Self.ask(node, "{ files { people { id } } }")
            #expect(told.contains("DuckDB's engine cannot be loaded") && told.contains("/nowhere/libduckdb.so"), "\(told)")
            let finding = try Self.doctor(configuration)
            #expect(finding?["remedy"]?.asString?.contains("scripts/setup --duckdb") == true, "\(finding ?? .null)")
        }
    }

    /// A lake whose metadata are in a file, or in a database, as a node with the engine at `library` serves it.
    private static func withLake(
        _ library: String, path: (String) -> String = { "\($0)/meta.duckdb?data_path=\($0)/lake/" }, describing: Bool = true,
        database: String? = nil,
        _ body: (NodeProcess, String) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let lake = DuckDBFiles.attaching(database ?? directory.path + "/meta.duckdb", data: directory.path + "/lake/")
        try await DuckDBFiles.run(
            lake + """
                CREATE TABLE facts (id INTEGER NOT NULL, said VARCHAR);
                INSERT INTO facts VALUES (1, 'old'); UPDATE facts SET said = 'new'; INSERT INTO facts VALUES (2, 'newer');
                CREATE VIEW words AS SELECT said FROM facts;
                """, in: directory.path + "/lake")
        try SourceFiles.write("type facts @table(name: \"facts\") { id: Int! }", to: directory.path + "/facts.graphql")
        let schema = describing ? "self_defined: true" : "schema: [\"\(directory.path)/facts.graphql\"]"
        try SourceFiles.write(
            """
            query:
              duckdb_library: "\(library)"
              sources:
                - {name: lake, type: ducklake, path: "\(path(directory.path))", \(schema), as_module: true}
            """, to: directory.path + "/apus.yml")
        let node = try await NodeProcess.start(
            directory: directory.path + "/data", arguments: ["--config", directory.path + "/apus.yml"],
            environment: ["LAKE_WORD": "hidden-word", "LAKE_DATABASE": database ?? ""], loops: TestLoops.shared)
        try await body(node, directory.path + "/apus.yml")
        try await node.stopCleanly()
    }

    @Test("a lake's tables are served as they are, and as they were at a version or time")
    func lake() async throws {
        try await Self.withLake(DuckDBFiles.library) { node, _ in
            func told(_ query: String) async throws -> String { try await Self.ask(node, query) }
            let rows = "facts(order_by: [{field: \"id\"}])"
            #expect(
                try await told("{ lake { \(rows) { id said } words(order_by: [{field: \"said\"}]) { said } } }")
                    == #"{"data":{"lake":{"facts":[{"id":1,"said":"new"},{"id":2,"said":"newer"}],"words":[{"said":"new"},{"said":"newer"}]}}}"#
            )
            #expect(
                try await told("{ lake { \(rows) @at(version: 2) { said } now: facts_aggregation @at(version: 3) { _rows_count } } }")
                    == #"{"data":{"lake":{"facts":[{"said":"old"}],"now":{"_rows_count":1}}}}"#)
            #expect(
                try await told("{ lake { \(rows) @at(timestamp: \"2999-01-01T00:00:00Z\") { said } } }")
                    == #"{"data":{"lake":{"facts":[{"said":"new"},{"said":"newer"}]}}}"#)
            for (query, problem) in [
                ("{ lake { facts @at(timestamp: \"2026'); DROP TABLE facts; --\") { id } } }", "is no time such as"),
                ("{ lake { facts @at { id } } }", "give it a version or a timestamp"),
                ("{ lake { facts @at(version: 1, timestamp: \"2999-01-01\") { id } } }", "give it a version or a timestamp"),
                ("{ lake { words @at(version: 2) { said } } }", "is a view"),
                ("{ lake { facts @at(version: 99) { id } } }", "99"),
                ("{ core { data_sources @at(version: 1) { name } } }", "has its rows of now alone"),
                ("mutation { function { core { ducklake { checkpoint(name: \"lake\") { success } } } } }", "metadata in a file"),
                ("{ function { core { ducklake { current_snapshot(name: \"pond\") } } } }", "there is no lake"),
                ("{ core { ducklake { snapshots(args: {name: \"pond\"}) { snapshot_id } } } }", "there is no lake"),
            ] {
                let answer = try await told(query)
                #expect(answer.contains(problem) && answer.contains("errors"), "\(query) \(answer)")
            }
            #expect(
                try await told(
                    """
                    { core { ducklake { snapshots_aggregation(args: {name: "lake"}) { _rows_count snapshot_id { max } }
                      table_stats(args: {name: "lake"}) { table_name } data_files(args: {name: "lake", table_name: "facts"}) { data_file } } }
                      function { core { ducklake { current_snapshot(name: "lake") info(name: "lake") { table_count view_count metadata_backend } } } } }
                    """)
                    == #"{"data":{"core":{"ducklake":{"snapshots_aggregation":{"_rows_count":6,"snapshot_id":{"max":5}},"table_stats":[{"table_name":"facts"}],"data_files":[]}},"function":{"core":{"ducklake":{"current_snapshot":5,"info":{"table_count":1,"view_count":1,"metadata_backend":"duckdb"}}}}}}"#
            )
        }
    }

    @Test("a lake with its metadata in PostgreSQL is kept up through the API, and told as it is then")
    func upkeep() async throws {
        let database = try await PostgreSQLServer.shared().newDatabase().reveal()
        try await Self.withLake(
            DuckDBFiles.library, path: { "[$LAKE_DATABASE]&data_path=\($0)/lake/" }, database: database
        ) { node, _ in
            func told(_ query: String) async throws -> String { try await Self.ask(node, query) }
            let done = try await told(
                """
                mutation { function { core { ducklake {
                  expire_snapshots(name: "lake", versions: "[2, 3]") { success }
                  old: expire_snapshots(name: "lake", older_than: "2020-01-01T00:00:00Z") { message }
                  flush_inlined_data(name: "lake") { success }
                  merge_adjacent_files(name: "lake", table_name: "facts", schema_name: "main") { success }
                  rewrite_data_files(name: "lake", table_name: "facts", delete_threshold: 0.1) { success }
                  cleanup_old_files(name: "lake", cleanup_all: true, dry_run: true) { success }
                  set_option(name: "lake", option: parquet_compression, value: "zstd", schema_name: "main") { success }
                } } } }
                """)
            #expect(!done.contains("errors") && !done.contains("false"), "\(done)")
            let snapshots = try await told("{ core { ducklake { snapshots(args: {name: \"lake\"}) { snapshot_id } } } }")
            #expect(!snapshots.contains(":2}") && !snapshots.contains(":3}") && snapshots.contains(":5}"), "\(snapshots)")
            #expect(
                try await told("{ lake { facts(order_by: [{field: \"id\"}]) { said } facts_aggregation { _rows_count } } }")
                    == #"{"data":{"lake":{"facts":[{"said":"new"},{"said":"newer"}],"facts_aggregation":{"_rows_count":2}}}}"#)
            for (call, problem) in [
                ("expire_snapshots(name: \"lake\", versions: \"1; DROP\")", "numbers of snapshots"),
                ("merge_adjacent_files(name: \"lake\", schema_name: \"main\")", "give table_name"),
                ("flush_inlined_data(name: \"x' , 'y\")", "there is no lake"),
                ("rewrite_data_files(name: \"lake\", table_name: \"no'ne\")", "no'ne"),
            ] {
                let answer = try await told("mutation { function { core { ducklake { \(call) { success } } } } }")
                #expect(answer.contains("errors") && answer.contains(problem), "\(answer)")
            }
        }
    }

    @Test("without DuckLake's extension its sources and the doctor say how to get it; passwords of its metadata are never told")
    func missingExtension() async throws {
        let directory = try TemporaryDirectory()
        for name in ["libduckdb.so", "libduckdb-python.so"] {
            try FileManager.default.createSymbolicLink(
                atPath: directory.path + "/" + name, withDestinationPath: DuckDBFiles.root.path + "/.deps/duckdb/" + name)
        }
        try FileManager.default.createDirectory(atPath: directory.path + "/extensions", withIntermediateDirectories: false)
        try await Self.withLake(directory.path + "/libduckdb.so", describing: false) { node, configuration in
            let told = try await Self.ask(node, "{ lake { facts { id } } }")
            #expect(told.contains("DuckDB's extension \\\"ducklake\\\" cannot be loaded"), "\(told)")
            let finding = try Self.doctor(configuration)
            #expect(finding?["remedy"]?.asString?.contains("scripts/setup --duckdb") == true, "\(finding ?? .null)")
        }
        let away: (String) -> String = { "postgres://me:[$LAKE_WORD]@127.0.0.1:1/meta?data_path=\($0)/lake/" }
        try await Self.withLake(DuckDBFiles.library, path: away, describing: false) { node, _ in
            let told = try await Self.ask(node, "{ lake { facts { id } } }")
            #expect(told.contains("127.0.0.1") && told.contains("refused") && !told.contains("hidden-word"), "\(told)")
        }
    }

    /// What it says last of the machine; it must not be content.
    private static func doctor(_ configuration: String) throws -> JSONValue? {
        let doctor = Process()
        let output = Pipe()
        doctor.executableURL = URL(fileURLWithPath: try BuiltProgram.path("apus"))
        doctor.arguments = ["doctor", "machine", "--config", configuration, "--json"]
        doctor.standardOutput = output
        try doctor.run()
        let report = try JSONValue(parsing: Array(output.fileHandleForReading.readDataToEndOfFile()))
        doctor.waitUntilExit()
        #expect(doctor.terminationStatus == 1)
        let finding = report["findings"]?["machine"]?.asArray?.last
        #expect(finding?["verdict"] == "bad")
        return finding
    }
}
