import ApusGraphQL
import ApusQueryPlan
import ApusRuntime
import ApusSchemas
import ApusTypes
import DatabaseTestKit
import Foundation
import HugrSuiteKit
import TestKit

@testable import ApusDatabase

/// Tables of a test's own.
struct Tables {
    /// Of source `pg_store`, and of source `local_db`.
    var schema = ""
    var otherSchema = ""
    var statements: [String] = []
}

/// The data of Hugr's end-to-end suite in a real database, and operations run over it.
struct StoreDatabase: Sendable {
    let engine: SQLEngine
    /// Of PostgreSQL and SQLite.
    private let database: (any Database)!
    private let duckDB: DuckDBDatabase?
    let api: DataAPI

    /// Runs `body` with the store in a new database.
    /// `more`: tables beside the store's.
    static func with(_ engine: SQLEngine, more: Tables = Tables(), _ body: (StoreDatabase) async throws -> Void) async throws {
        if engine == .duckDB { return try await withDuckDB(more, body) }
        let directory = try TemporaryDirectory()
        let database: any Database
        if engine == .sqlite {
            database = try await SQLiteDatabase.open(path: directory.path + "/store.db")
        } else {
            let url = try await PostgreSQLServer.shared().newDatabase()
            database = try await PostgreSQLDatabase.open(url: url, loops: TestLoops.shared, deadline: soon())
        }
        do {
            try await database.transaction(.write, on: .write, deadline: soon()) { transaction in
                _ = try await transaction.run((Seed.statements(for: engine) + more.statements).map { .once(StaticSQL(joined: $0)) })
            }
            try await body(StoreDatabase(engine: engine, database: database, duckDB: nil, api: try api(engine, more)))
        } catch {
            await database.close()
            throw error
        }
        await database.close()
        withExtendedLifetime(directory) {}
    }

    private static func withDuckDB(_ more: Tables, _ body: (StoreDatabase) async throws -> Void) async throws {
        let database = try await DuckDBDatabase.open(path: nil, library: DuckDBEngine.path)
        do {
            for statement in Seed.statements(for: .duckDB) + more.statements {
                _ = try await database.read(StaticSQL(joined: statement), [], deadline: soon())
            }
            try await body(StoreDatabase(engine: .duckDB, database: nil, duckDB: database, api: try api(.duckDB, more)))
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }

    static func soon() -> Instant { BootClock.now.advanced(by: .milliseconds(30_000)) }

    private static func api(_ engine: SQLEngine, _ more: Tables) throws -> DataAPI {
        var schemas: [SourceSchema] = []
        let notes = """

            type notes @table(name: "notes", soft_delete: true, soft_delete_cond: "gone = 0", soft_delete_set: "gone = 1") {
              id: Int! @pk
              value: Int
              doubled: Int @sql(exp: "[value] * 2")
              label(mode: String): String @function_call(references_name: "note_label", args: {id: "id"})
            }
            extend type Function { note_label(id: Int!, mode: String): String @function(name: "note_label") }
            extend type Function {
              cheaper_than(price: Float!): [products] @function(name: "cheaper_than", sql: "(SELECT * FROM products WHERE price < [price])")
              specs_of(id: Int!): ProductSpecs
                @function(name: "specs_of", sql: "(SELECT specs FROM product_details WHERE product_id = [id])", json_cast: true)
            }
            """
        // Both in one database here, each as a source of its own: what is asked of both is a join over sources.
        for name in ["pg_store", "local_db"] {
            var text = try HugrSuite.schema(name)
            text += name == "pg_store" ? notes + more.schema : more.otherSchema
            schemas.append(
                try SchemaReader.read(
                    [SchemaFile(name: name, text: text)],
                    of: SourceDescription(name: name, kind: .database(engine), prefix: name, isModule: true)))
        }
        let bridge = """
            extend type pg_store_products {
              matching_items: [local_db_items] @join(
                references_name: "local_db_items", source_fields: ["id"], references_fields: ["id"]
              )
            }
            extend type local_db_items
              @references(
                name: "item_event", references_name: "local_db_events", source_fields: ["id"], references_fields: ["id"]
                query: "event", references_query: "item"
              )
            """
        schemas.append(
            try SchemaReader.read(
                [SchemaFile(name: "bridge", text: bridge)], of: SourceDescription(name: "bridge", kind: .extension),
                beside: try DataModel(joining: schemas)))
        return try DataAPI(of: try DataModel(joining: schemas))
    }

    /// The value of `data`, and the paths of cut lists.
    func run(
        _ text: String, variables: JSONObject = [:], identity: JSONObject = [:], permissions: RolePermissions = RolePermissions(),
        limits: PlanLimits = PlanLimits()
    ) async throws -> (data: JSONValue, truncated: [[String]]) {
        let document = try GraphQLDocument(parsing: text)
        let problems = api.schema.problems(with: document)
        if !problems.isEmpty { throw GraphQLErrors(problems) }
        let operation = try PreparedOperation(document, schema: api.schema)
        let plan = try QueryPlanner(api, identity: identity, permissions: permissions, limits: limits)
            .plan(operation, variables: try operation.variables(from: variables))
        let runner = PlanRunner(plan, limits: limits)
        let reply =
            operation.kind == .mutation
            ? try await database.transaction(.write, on: .write, deadline: Self.soon()) { transaction in
                try await runner.reply { calls in
                    let answers = try await transaction.run(calls.map { sqlStatement($0) })
                    for (call, rows) in zip(calls, answers) { call.add(rows) }
                }
            }
            : try await runner.reply { calls in
                if let duckDB {
                    for call in calls {
                        let values = call.parameters.map { $0.duckDBValue }
                        call.add(try await duckDB.read(StaticSQL(call.statement.sql), values, deadline: Self.soon()))
                    }
                    return
                }
                let answers = try await database.run(calls.map { sqlStatement($0) }, on: .read, deadline: Self.soon())
                for (call, rows) in zip(calls, answers) { call.add(rows) }
            }
        return (try JSONValue(parsing: reply.data), reply.truncated)
    }

    private func sqlStatement(_ call: StatementCall) -> Statement {
        var sql = Statement(StaticSQL(call.statement.sql), call.parameters.map { sqlValue($0) })
        sql.tellsText = true
        return sql
    }

    private func sqlValue(_ parameter: BoundParameter) -> SQLValue {
        if engine == .sqlite, case .value(let value) = parameter {
            switch value {
            case .integer(let number): return .integer(number)
            case .double(let number): return .double(number)
            case .bool(let flag): return .bool(flag)
            default: break
            }
        }
        let text = engine == .sqlite ? parameter.sqliteText : parameter.postgreSQLText
        return text.map { .text(String(decoding: $0, as: UTF8.self)) } ?? .null
    }
}

extension BoundParameter {
    var duckDBValue: JSONValue {
        switch self {
        case .value(let value): value
        case .list(let values): .array(values)
        case .text(let text): .string(String(decoding: text, as: UTF8.self))
        case .points(let question): question
        }
    }
}

extension StatementCall {
    func add(_ packed: PackedRows) {
        packed.bytes.withUnsafeBytes { bytes in
            for row in 0..<packed.rowCount {
                let cells = (0..<packed.columnCount).map { column in
                    // There is one byte at least.
                    packed.place(row: row, column: column).map { RowCell(bytes.baseAddress! + $0.lowerBound, count: $0.count) } ?? .null
                }
                cells.withUnsafeBufferPointer { rows.add($0) }
            }
        }
    }

    /// Gives the rows that a database told to the assembler, as text.
    func add(_ answer: Rows) {
        for row in answer {
            var text: [UInt8] = []
            var places: [Range<Int>?] = []
            for value in row.values {
                let start = text.count
                switch value {
                case .null:
                    places.append(nil)
                    continue
                case .text(let value): text += Array(value.utf8)
                case .integer(let value): text += Array(String(value).utf8)
                case .double(let value): text += Array(String(value).utf8)
                case .bool(let value): text.append(UInt8(ascii: value ? "t" : "f"))
                case .blob(let bytes): text += bytes
                }
                places.append(start..<text.count)
            }
            // An empty text has an address, too.
            text.append(0)
            text.withUnsafeBytes { bytes in
                let cells = places.map { place in
                    // There is one byte at least.
                    place.map { RowCell(UnsafeRawPointer(bytes.baseAddress! + $0.lowerBound), count: $0.count) } ?? .null
                }
                cells.withUnsafeBufferPointer { rows.add($0) }
            }
        }
    }
}

/// DuckDB's engine as `scripts/setup --test` fetches it.
enum DuckDBEngine {
    static let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: ".deps/duckdb/libduckdb.so").path
}

/// The suite's data, without geometry: PostGIS need not be installed.
enum Seed {
    static func statements(for engine: SQLEngine) -> [String] {
        // DuckDB has PostgreSQL's types, but for serial numbers, JSON in binary form and ranges.
        let isPostgreSQL = engine != .sqlite
        let serial = engine == .postgreSQL ? "SERIAL PRIMARY KEY" : "INTEGER PRIMARY KEY"
        let json = engine == .postgreSQL ? "JSONB" : engine == .duckDB ? "JSON" : "TEXT"
        let instant = isPostgreSQL ? "TIMESTAMPTZ" : "TEXT"
        func type(_ postgreSQL: String) -> String { isPostgreSQL ? postgreSQL : "TEXT" }
        func range(_ postgreSQL: String) -> String { engine == .postgreSQL ? postgreSQL : "TEXT" }
        var statements = [
            "CREATE TABLE categories (id \(serial), name VARCHAR NOT NULL UNIQUE, parent_id INTEGER REFERENCES categories(id))",
            "INSERT INTO categories (id, name, parent_id) VALUES (1, 'Electronics', NULL), (2, 'Computers', 1), (3, 'Accessories', 1)",
            "CREATE TABLE tags (id \(serial), name VARCHAR NOT NULL UNIQUE)",
            "INSERT INTO tags (id, name) VALUES (1, 'sale'), (2, 'new'), (3, 'popular')",
            """
            CREATE TABLE products (id \(serial), name VARCHAR NOT NULL, price DOUBLE PRECISION NOT NULL, quantity INTEGER NOT NULL DEFAULT 0,
              is_active BOOLEAN DEFAULT true, tags \(json), created_at \(instant), updated_at \(instant), description TEXT,
              category_id INTEGER REFERENCES categories(id), release_date \(type("DATE")))
            """,
            """
            INSERT INTO products (id, name, price, quantity, is_active, tags, description, category_id, release_date) VALUES
              (1, 'Laptop Pro', 1299.99, 10, true, '{"color": "silver", "weight": 1.5}', 'High-performance laptop', 2, '2025-03-15'),
              (2, 'Wireless Mouse', 29.99, 50, true, '{"color": "black"}', 'Ergonomic wireless mouse', 3, '2025-03-16'),
              (3, 'USB-C Hub', 49.99, 30, true, NULL, 'Multi-port USB-C hub', 3, '2025-04-01'),
              (4, 'Old Keyboard', 19.99, 0, false, '{"color": "white"}', 'Discontinued keyboard', 3, '2025-04-10'),
              (5, 'Gaming Desktop', 2499.99, 5, true, '{"color": "black", "rgb": true}', 'High-end gaming desktop', 2, '2025-05-01')
            """,
            "CREATE TABLE product_tags (product_id INTEGER REFERENCES products(id), tag_id INTEGER REFERENCES tags(id), PRIMARY KEY (product_id, tag_id))",
            "INSERT INTO product_tags VALUES (1, 2), (1, 3), (2, 1), (2, 3), (5, 2), (5, 3)",
            "CREATE TABLE product_details (product_id INTEGER PRIMARY KEY REFERENCES products(id), specs \(json), metadata \(json))",
            """
            INSERT INTO product_details VALUES
              (1, '{"cpu": "M2", "ram_gb": 16, "storage_gb": 512}', '{"warranty_years": 2, "origin": "US"}'),
              (2, '{"dpi": 1600, "buttons": 5, "wireless": true}', '{"warranty_years": 1, "origin": "CN"}'),
              (5, '{"cpu": "i9", "ram_gb": 64, "storage_gb": 2000}', '{"warranty_years": 3, "origin": "US"}')
            """,
            "CREATE TABLE price_ranges (id \(serial), product_id INTEGER, valid_price \(range("INT4RANGE")), valid_period \(range("TSTZRANGE")))",
            """
            INSERT INTO price_ranges VALUES (1, 1, '[1000,1500)', '[2025-01-01, 2025-06-30)'), (2, 2, '[20,40)', '[2025-03-01, 2025-12-31)'),
              (3, 5, '[2000,3000)', '[2025-01-01, 2025-12-31)')
            """,
            """
            CREATE TABLE events (id BIGINT PRIMARY KEY, name VARCHAR, value DOUBLE PRECISION, event_date \(type("DATE")),
              event_time \(type("TIME")), duration \(type("INTERVAL")), metadata \(json), created_at \(instant))
            """,
            """
            INSERT INTO events VALUES
              (1, 'Conference', 100.50, '2025-03-15', '09:00:00', '2 hours', '{"type": "tech", "attendees": 500}', '2025-03-15 09:00:00+00:00'),
              (2, 'Workshop', 50.00, '2025-03-16', '14:00:00', '3 hours', '{"type": "hands-on", "attendees": 50}', '2025-03-16 14:00:00+00:00'),
              (3, 'Meetup', 0.00, '2025-04-01', '18:30:00', '1 hour', '{"type": "social", "attendees": 30}', '2025-04-01 18:30:00+00:00'),
              (4, 'Hackathon', 200.00, '2025-04-10', '08:00:00', '24 hours', '{"type": "competition", "attendees": 100}', '2025-04-10 08:00:00+00:00'),
              (5, 'Webinar', 25.00, '2025-05-01', '11:00:00', '45 minutes', '{"type": "online", "attendees": 200}', '2025-05-01 11:00:00+00:00')
            """,
            "CREATE TABLE event_tags (event_id BIGINT, tag VARCHAR, PRIMARY KEY (event_id, tag))",
            "INSERT INTO event_tags VALUES (1, 'technology'), (1, 'networking'), (2, 'technology'), (3, 'social'), (4, 'technology'), (4, 'competition')",
            "CREATE TABLE items (id BIGINT PRIMARY KEY, name VARCHAR, specs \(json), tags \(json), created_at \(instant))",
            """
            INSERT INTO items VALUES
              (1, 'Laptop', '{"cpu": "M2", "ram_gb": 16, "storage_gb": 512}', '{"color":"silver"}', '2025-01-15 10:00:00+00:00'),
              (2, 'Desktop', '{"cpu": "i9", "ram_gb": 64, "storage_gb": 2000}', '{"color":"black"}', '2025-02-20 14:00:00+00:00'),
              (3, 'Tablet', '{"cpu": "A15", "ram_gb": 8, "storage_gb": 256}', '{"color":"gray"}', '2025-03-10 09:00:00+00:00')
            """,
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, value INTEGER, gone INTEGER NOT NULL DEFAULT 0)",
            "INSERT INTO notes (id, value) VALUES (1, 1), (2, 2), (3, 3)",
            "CREATE VIEW active_products AS SELECT id, name, price, quantity FROM products WHERE is_active",
        ]
        if engine == .postgreSQL {
            statements.append(
                "CREATE FUNCTION note_label(id int, mode text) RETURNS text LANGUAGE sql AS 'SELECT id::text || coalesce(mode, ''?'')'")
        }
        // DuckDB looks for what a row refers to before it has the other rows of the statement.
        if engine == .duckDB { statements = statements.map { $0.replacing(/\ REFERENCES [a-z]+\(id\)/, with: "") } + structures }
        if engine == .postgreSQL {
            statements += ["categories", "tags", "products", "price_ranges"].map { "SELECT setval('\($0)_id_seq', 5)" }
        }
        return statements
    }

    /// Structs, which are JSON in the others, as DuckDB has them; and the function that PostgreSQL has.
    private static let structures = [
        """
        CREATE OR REPLACE TABLE product_details AS SELECT product_id, from_json(metadata, \
        '{"warranty_years": "INTEGER", "origin": "VARCHAR"}') AS metadata, from_json(specs, '{"cpu": "VARCHAR", "ram_gb": "INTEGER", \
        "storage_gb": "INTEGER", "dpi": "INTEGER", "buttons": "INTEGER", "wireless": "BOOLEAN"}') AS specs FROM product_details
        """,
        """
        CREATE OR REPLACE TABLE items AS SELECT id, name, tags, created_at, \
        from_json(specs, '{"cpu": "VARCHAR", "ram_gb": "INTEGER", "storage_gb": "INTEGER"}') AS specs FROM items
        """,
        "CREATE MACRO note_label(id, mode) AS id::varchar || coalesce(mode, '?')",
    ]
}
