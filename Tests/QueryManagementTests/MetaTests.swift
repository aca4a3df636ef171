import ApusDatabase
import ApusRuntime
import ApusSchemas
import ApusTypes
import DatabaseTestKit
import TestKit
import Testing

@testable import ApusQuery

/// `core.meta` over real databases: what they say of themselves is what is told, and nothing else.
@Suite("core.meta")
struct MetaTests {
    private static func with(_ body: (QueryService, @escaping @Sendable (Bool) async throws -> Void) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let server = try await PostgreSQLServer.shared()
        let url = try await server.newDatabase()
        let name = String(url.reveal().split(separator: "/").last?.prefix { $0 != "?" } ?? "")
        try await server.execute(
            """
            CREATE SCHEMA sales;
            CREATE TYPE mood AS ENUM ('sad', 'ok');
            CREATE TABLE customers (id int PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'nobody', CHECK (id > 0));
            CREATE TABLE sales.orders (id bigint, part smallint, customer int REFERENCES customers, total numeric(10,2), ratio numeric,
              placed timestamptz, tags text[], extra jsonb, mood mood, PRIMARY KEY (id, part), UNIQUE (placed));
            CREATE VIEW dear AS SELECT id FROM customers;
            COMMENT ON TABLE customers IS 'Who buys';
            COMMENT ON COLUMN customers.name IS 'In full';
            COMMENT ON SCHEMA sales IS 'What is sold';
            """, database: name)
        let path = directory.path + "/notes.db"
        let file = try await SQLiteDatabase.open(path: path)
        _ = try await file.run(
            [
                .once("CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)"),
                .once("CREATE TABLE notes (id INTEGER PRIMARY KEY, author INTEGER REFERENCES authors(id), body TEXT DEFAULT 'x')"),
                .once("CREATE VIEW few AS SELECT id FROM notes"),
            ], on: .write, deadline: BootClock.now.advanced(by: .seconds(20)))
        await file.close()
        let opener = SourceOpener(loops: TestLoops.shared, environment: [:])
        var notes = SourceDefinition("notes", kind: .sqlite, path: path)
        notes.isReadOnly = true
        let sources = [
            try #require(try await opener.open(SourceDefinition("shop", kind: .postgres, path: url.reveal())) as? any SQLSource),
            try #require(try await opener.open(notes) as? any SQLSource),
        ]
        let meta = MetaSource { sources.map { .init(name: $0.name, source: $0, isReadOnly: $0.name == "notes") } }
        let output = SchemaCompiler().compile([MetaModule.input])
        let schema = ServedSchema(version: 1, api: output.api, sources: [meta.name: meta])
        try await body(QueryService(schemas: SchemaHolder(schema), loops: 1)) { isGone in
            if isGone { try await server.execute("DROP DATABASE \(name) WITH (FORCE)") }
        }
        for source in sources { await source.close() }
    }

    private static func ask(_ service: QueryService, _ text: String) async -> String {
        let request = QueryRequest(Array("{ core { meta { \(text) } } }".utf8), deadline: BootClock.now.advanced(by: .seconds(20)))
        let reply = String(decoding: await service.answer(request).json(), as: UTF8.self)
        return reply.replacing(#"{"data":{"core":{"meta":"#, with: "")
    }

    @Test("databases, schemas, tables, views, columns and constraints are those of the databases, in the types that DuckDB has for them")
    func contents() async throws {
        try await Self.with { service, leave in
            #expect(
                await Self.ask(service, "databases(order_by: [{field: \"name\"}]) { name type readonly internal }")
                    == #"{"databases":[{"name":"notes","type":"sqlite","readonly":true,"internal":false},{"name":"shop","type":"postgres","readonly":false,"internal":false}]}}}}"#
            )
            #expect(
                await Self.ask(
                    service,
                    "databases_by_name(name: \"shop\") { schemas(order_by: [{field: \"name\"}]) { name comment tables(order_by: [{field: \"name\"}]) { name comment has_primary_key column_count index_count } } }"
                )
                    == #"{"databases_by_name":{"schemas":[{"name":"public","comment":"standard public schema","tables":[{"name":"customers","comment":"Who buys","has_primary_key":true,"column_count":2,"index_count":1},{"name":"dear","comment":null,"has_primary_key":false,"column_count":1,"index_count":0}]},{"name":"sales","comment":"What is sold","tables":[{"name":"orders","comment":null,"has_primary_key":true,"column_count":9,"index_count":2}]}]}}}}}"#
            )
            #expect(
                await Self.ask(service, "views(order_by: [{field: \"name\"}]) { database_name name column_count columns { name } }")
                    == #"{"views":[{"database_name":"shop","name":"dear","column_count":1,"columns":[{"name":"id"}]},{"database_name":"notes","name":"few","column_count":1,"columns":[{"name":"id"}]}]}}}}"#
            )
            #expect(
                await Self.ask(
                    service,
                    "columns(filter: {table_name: {in: [\"orders\", \"customers\"]}}, order_by: [{field: \"table_name\"}, {field: \"ordinal_position\"}]) { name data_type is_nullable default comment }"
                )
                    == #"{"columns":[{"name":"id","data_type":"INTEGER","is_nullable":false,"default":null,"comment":null},{"name":"name","data_type":"VARCHAR","is_nullable":false,"default":"'nobody'::character varying","comment":"In full"},{"name":"id","data_type":"BIGINT","is_nullable":false,"default":null,"comment":null},{"name":"part","data_type":"SMALLINT","is_nullable":false,"default":null,"comment":null},{"name":"customer","data_type":"INTEGER","is_nullable":true,"default":null,"comment":null},{"name":"total","data_type":"DECIMAL(10,2)","is_nullable":true,"default":null,"comment":null},{"name":"ratio","data_type":"DOUBLE","is_nullable":true,"default":null,"comment":null},{"name":"placed","data_type":"TIMESTAMP WITH TIME ZONE","is_nullable":true,"default":null,"comment":null},{"name":"tags","data_type":"VARCHAR[]","is_nullable":true,"default":null,"comment":null},{"name":"extra","data_type":"VARCHAR","is_nullable":true,"default":null,"comment":null},{"name":"mood","data_type":"VARCHAR","is_nullable":true,"default":null,"comment":null}]}}}}"#
            )
            #expect(
                await Self.ask(
                    service,
                    "constraints(filter: {table_name: {in: [\"orders\", \"notes\", \"authors\"]}}, order_by: [{field: \"name\"}]) { name type columns references_table_name references_columns table { name } }"
                )
                    == #"{"constraints":[{"name":"authors_pkey","type":"PRIMARY KEY","columns":["id"],"references_table_name":null,"references_columns":null,"table":{"name":"authors"}},{"name":"notes_0_fkey","type":"FOREIGN KEY","columns":["author"],"references_table_name":"authors","references_columns":["id"],"table":{"name":"notes"}},{"name":"notes_pkey","type":"PRIMARY KEY","columns":["id"],"references_table_name":null,"references_columns":null,"table":{"name":"notes"}},{"name":"orders_customer_fkey","type":"FOREIGN KEY","columns":["customer"],"references_table_name":"customers","references_columns":["id"],"table":{"name":"orders"}},{"name":"orders_pkey","type":"PRIMARY KEY","columns":["id","part"],"references_table_name":null,"references_columns":null,"table":{"name":"orders"}},{"name":"orders_placed_key","type":"UNIQUE","columns":["placed"],"references_table_name":null,"references_columns":null,"table":{"name":"orders"}},{"name":"sqlite_autoindex_authors_1","type":"UNIQUE","columns":["name"],"references_table_name":null,"references_columns":null,"table":{"name":"authors"}}]}}}}"#
            )
            #expect(
                await Self.ask(
                    service,
                    "tables_bucket_aggregation(order_by: [{field: \"key.database_name\"}]) { key { database_name } aggregations { _rows_count } }"
                )
                    == #"{"tables_bucket_aggregation":[{"key":{"database_name":"notes"},"aggregations":{"_rows_count":3}},{"key":{"database_name":"shop"},"aggregations":{"_rows_count":3}}]}}}}"#
            )
            // A list without what one of them has would look whole; names alone are known without asking.
            try await leave(true)
            #expect(await Self.ask(service, "tables { name }").contains("data source \\\"shop\\\""))
            #expect(await Self.ask(service, "databases { name }").contains("shop"))
        }
    }
}
