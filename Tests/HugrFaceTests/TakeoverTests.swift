import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit
import Testing

/// `apus import hugr` from a PostgreSQL core database as Hugr makes it (its `schema.sql`, 0.0.20; tables that are not read are left out).
@Suite("taking over a Hugr")
struct TakeoverTests {
    private static let core = """
        CREATE TABLE version (version varchar NOT NULL);
        CREATE TABLE catalog_sources (name varchar PRIMARY KEY, type varchar NOT NULL, description varchar, path varchar NOT NULL,
          created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now());
        CREATE TABLE data_sources (name varchar PRIMARY KEY, type varchar NOT NULL, description varchar, prefix varchar NOT NULL,
          as_module boolean NOT NULL DEFAULT false, path varchar NOT NULL, disabled boolean NOT NULL DEFAULT false,
          self_defined boolean NOT NULL DEFAULT false, read_only boolean NOT NULL DEFAULT false, created_at timestamp, updated_at timestamp);
        CREATE TABLE data_source_catalogs (data_source_name varchar, catalog_name varchar, PRIMARY KEY (data_source_name, catalog_name));
        CREATE TABLE roles (name varchar PRIMARY KEY, description varchar NOT NULL, disabled boolean NOT NULL DEFAULT false,
          can_impersonate boolean NOT NULL DEFAULT false);
        CREATE TABLE permissions (role varchar, type_name varchar, field_name varchar, hidden boolean NOT NULL DEFAULT false,
          disabled boolean NOT NULL DEFAULT false, filter jsonb, data jsonb, PRIMARY KEY (role, type_name, field_name));
        CREATE TABLE api_keys (name varchar PRIMARY KEY, key varchar NOT NULL UNIQUE, description varchar, default_role varchar NOT NULL,
          disabled boolean NOT NULL, is_temporal boolean NOT NULL, expires_at timestamp NOT NULL, headers jsonb, claims jsonb, created_at timestamp);
        INSERT INTO version VALUES ('0.0.20');
        INSERT INTO catalog_sources VALUES ('books_sdl', 'text', NULL, 'type books @table(name: "books") { id: BigInt! @pk title: String owner: String }'),
          ('far', 'uri', NULL, 's3://bucket/schemas');
        INSERT INTO data_sources (name, type, prefix, as_module, path, disabled) VALUES
          ('library', 'postgres', 'lib', true, '[$LIBRARY]', false), ('lake', 'mssql', 'lake', true, 'sqlserver://lake', false),
          ('old', 'sqlite', 'old', true, '/nowhere.db', true);
        INSERT INTO data_source_catalogs VALUES ('library', 'books_sdl'), ('lake', 'far');
        INSERT INTO roles VALUES ('admin', 'all', false, true), ('clerk', 'some', false, false);
        INSERT INTO permissions VALUES ('clerk', 'data-object:query', 'lib_books', false, false, '{"owner": {"eq": "[$auth.user_id]"}}', NULL);
        INSERT INTO api_keys VALUES ('front', 'front-0123456789', 'd', 'clerk', false, false, now(), NULL, '{"user_id": "u1"}', now());
        CREATE TABLE books (id bigint PRIMARY KEY, title text, owner text);
        INSERT INTO books VALUES (1, 'mine', 'u1'), (2, 'yours', 'u2');
        """

    private static func apus(_ arguments: [String], _ environment: [String: String]) async throws -> (status: Int32, output: String) {
        let directory = try TemporaryDirectory()
        let process = try await ChildProcess.start(
            .init(
                try NodeProcess.program(), arguments,
                environment: ["PATH": "/usr/bin:/bin", "HOME": directory.path].merging(environment) { $1 }, directory: directory.path,
                output: .file(directory.path + "/output")), on: TestLoops.shared.any)
        let status: Int32 = if case .status(let status) = await process.wait() { status } else { -1 }
        return (status, try String(contentsOfFile: directory.path + "/output", encoding: .utf8))
    }

    @Test(
        "sources, texts, roles, permissions and keys come over and are in force; the rest is told line by line; a second run changes nothing"
    )
    func takeover() async throws {
        let url = try await PostgreSQLServer.shared().newDatabase().reveal()
        let database = url.split(separator: "/").last.map { String($0.prefix { $0 != "?" }) } ?? ""
        try await PostgreSQLServer.shared().execute(Self.core, database: database)
        try await AccessNode.with(environment: ["LIBRARY": url]) { node in
            let environment = ["APUS_URL": node.node.url, "APUS_KEY": node.node.key]
            let tried = try await Self.apus(["import", "hugr", url, "--dry-run"], environment)
            #expect(tried.status == 1 && tried.output.contains("would take: data source library"), "\(tried)")
            #expect(
                try await node.ask("{ core { data_sources { name } } }", ["X-API-Key": node.node.key]).text.contains("library") == false)
            let first = try await Self.apus(["import", "hugr", url], environment)
            #expect(first.status == 1, "\(first)")
            for line in [
                "taken: role clerk", "taken: permission clerk data-object:query.lib_books", "taken: API key front",
                "taken: catalog source books_sdl",
                "taken: data source library", "taken: catalog books_sdl of library", "left: role admin: it is there already",
                "left: data source lake: sources of type mssql are not there",
                "left: catalog source far: its texts are not on this machine; copy them",
                "left: catalog far of lake: data source lake is left", "taken: data source old",
                "7 of 11 rows of Hugr's core database 0.0.20 taken",
            ] { #expect(first.output.contains(line + "\n") || first.output.hasSuffix(line), "\(line) in \(first.output)") }
            try await eventually("the key is known") { try await node.ask("{ __typename }", AccessNode.key("front")).status == 200 }
            let mine = try await node.ask("{ library { books { title } } }", AccessNode.key("front"))
            #expect(mine.data == ["library": ["books": [["title": "mine"]]]], "\(mine.text)")
            let again = try await Self.apus(["import", "hugr", url], environment)
            #expect(
                again.output.contains("left: data source library: it is there already") && again.output.contains("0 of 11 rows"), "\(again)"
            )
        }
    }
}
