import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit
import Testing

/// The wire contract's check list through the unmodified `hugr-client`, which `client/suite.py` drives; rows by their numbers.
@Suite("hugr-client", .serialized)
struct ClientTests {
    /// Those that need no fault.
    static let rows =
        (1...9).map(String.init)
        + [
            "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "22", "23", "24", "25", "28", "29", "30", "31", "32", "33", "types",
            "batches",
        ]
    /// One that may ask in any role.
    static let serviceKey = "a service key of these tests"

    static func withNode(_ environment: [String: String] = [:], _ body: (NodeProcess) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let server = try await ClientSource.make()
        try SourceFiles.write(ClientSource.configuration(in: directory.path), to: directory.path + "/apus.yml")
        let node = try await NodeProcess.start(
            directory: directory.path + "/data", arguments: ["--config", directory.path + "/apus.yml"],
            environment: environment.merging([
                "SHOP": server.url(database: ClientSource.database).reveal(), "APUS_QUERY_SERVICE_KEY": serviceKey,
            ]) { $1 },
            loops: TestLoops.shared)
        try await body(node)
    }

    static func run(_ rows: [String], on node: NodeProcess, other: NodeProcess? = nil) async throws {
        let (status, output) = try await HugrClient.shared.run(
            "suite", [node.url, node.key, (other ?? node).url, node.url] + rows,
            environment: ["SUITE_PID": String(node.identifier), "SUITE_SERVICE_KEY": serviceKey])
        print(output)
        #expect(status == 0, "\(output)\n\(node.log)")
        #expect(output.split(separator: "\n").count { $0.hasPrefix("PASS") } == rows.count)
    }

    @Test("the check list passes on one node")
    func checkList() async throws {
        try await Self.withNode { node in
            try await Self.run(Self.rows, on: node)
            try await node.stopCleanly()
        }
    }

    @Test("a million rows come whole, over both ways, and the node holds none of them")
    func manyRows() async throws {
        try await Self.withNode { node in
            try await Self.run(["1"], on: node)
            let before = try Self.memory(of: node)
            try await Self.run(["20"], on: node)
            let grown = try Self.memory(of: node) - before
            print("memory grew by \(grown >> 20) MiB")
            #expect(grown < 64 << 20, "a debugging build with 60 MB of rows")
            try await node.stopCleanly()
        }
    }

    @Test("a stream that is slower than the client's pings comes whole")
    func slowStream() async throws {
        try await Self.withNode { node in
            try await Self.run(["26"], on: node)
            try await node.stopCleanly()
        }
    }

    @Test("a node that is killed while it sends gives no short table")
    func killed() async throws {
        try await Self.withNode { node in
            try await Self.run(["21"], on: node)
            _ = await node.terminate()
        }
    }

    @Test("a node that drains says so in a stream, which does not end as if it were whole")
    func drained() async throws {
        try await Self.withNode(["APUS_HTTP_DRAIN_TIMEOUT_SECONDS": "3"]) { node in
            try await Self.run(["27"], on: node)
            try await node.stopCleanly()
        }
    }

    @Test("a field that fails takes the others with it, unless its client asks for what there is")
    func partialData() async throws {
        try await Self.withNode { node in
            let body = #"{"query":"{ good: t(limit: 1) { id } bad: t(filter: {name: {regex: \"(\"}}) { id } }"}"#
            let whole = try await node.send(.post, "/query", body)
            #expect(whole.body["data"] == nil && whole.body["errors"] != nil, "\(whole)")
            let part = try await node.send(.post, "/query", body, headers: ["X-Apus-Partial-Data": "true"])
            #expect(part.body["data"] == ["good": [["id": 1]], "bad": nil], "\(part)")
            #expect(part.body["errors"]?.asArray?.map { $0["path"] } == [["bad"]], "\(part)")
            try await node.stopCleanly()
        }
    }

    @Test("graphql-transport-ws at /subscribe, credentials and close codes among it")
    func transport() async throws {
        try await Self.withNode { node in
            let (status, output) = try await HugrClient.shared.run("transport", [node.url, node.key])
            print(output)
            #expect(status == 0 && output.split(separator: "\n").count { $0.hasPrefix("PASS") } == 14, "\(output)\n\(node.log)")
            try await node.stopCleanly()
        }
    }

    @Test("the check list passes through nginx over three nodes, and when one is killed only what it was answering may fail")
    func frontDoor() async throws {
        let server = try await ClientSource.make()
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        let added = try await nodes[0].ask(
            "mutation($d: core_data_sources_mut_input_data!) { core { insert_data_sources(data: $d) { name } } }",
            [
                "d": [
                    "name": "shop", "prefix": "", "type": "postgres", "as_module": false,
                    "path": .string(server.url(database: ClientSource.database).reveal()),
                    "catalogs": [["name": "shop", "type": "text", "path": .string(ClientSource.schema)]],
                ]
            ])
        #expect(added["errors"] == nil, "\(added)")
        let loaded = try await nodes[1].ask(#"mutation { function { core { load_data_source(name: "shop") { success message } } } }"#)
        #expect(loaded["data"]?["function"]?["core"]?["load_data_source"]?["success"] == true, "\(loaded)")
        let door = try await FrontDoor(to: nodes, loops: cluster.loops)
        let all = nodes.map(\.url).joined(separator: ",")
        // Nodes of a cluster are started without a key that is their configuration's.
        let rows = Self.rows.filter { $0 != "11" } + ["20", "killed_beside"]
        let (status, output) = try await HugrClient.shared.run(
            "suite", ["http://127.0.0.1:\(door.port)", nodes[0].key, nodes[2].url, all] + rows,
            environment: ["SUITE_PID": String(nodes[1].identifier)])
        print(output)
        #expect(status == 0 && output.split(separator: "\n").count { $0.hasPrefix("PASS") } == rows.count, "\(output)")
        await door.stop()
        for number in [0, 2] { try await nodes[number].stopCleanly() }
    }

    /// The most that the process has held.
    private static func memory(of node: NodeProcess) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(node.identifier)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(Int(line.split(separator: " ").dropFirst().first.map(String.init) ?? "")) << 10
    }
}

/// The data that the check list asks for.
enum ClientSource {
    static let database = "hugr_client"

    static func make() async throws -> PostgreSQLServer {
        let server = try await PostgreSQLServer.shared()
        try await server.execute("DROP DATABASE IF EXISTS \(database) WITH (FORCE)")
        try await server.execute("CREATE DATABASE \(database)")
        try await server.execute(seed, database: database)
        return server
    }

    static func configuration(in directory: String) throws -> String {
        try SourceFiles.write(schema, to: directory + "/shop.graphql")
        return """
            query:
              sources:
                - {name: shop, type: postgres, path: "[$SHOP]", schema: ["\(directory)/shop.graphql"]}
            """
    }

    /// PostGIS cannot be had here: a geometry is its GeoJSON, and the one function that is asked for gives that back.
    private static let seed = """
        CREATE DOMAIN geometry AS text;
        CREATE FUNCTION st_asgeojson(geometry) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text';
        CREATE TABLE t (id bigint PRIMARY KEY, name text, v double precision);
        INSERT INTO t VALUES (1, 'a', 1.5), (2, NULL, NULL), (3, 'ü', -0.25);
        CREATE TABLE t2 (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text);
        CREATE TABLE types (
          id bigint PRIMARY KEY, i bigint, f double precision, s text, b boolean, d date, tm time, ts timestamptz, dt timestamp, iv interval,
          j jsonb, xs integer[], u uuid, small integer
        );
        INSERT INTO types VALUES
          (1, 9007199254740993, 0.5, 'text', true, '2026-01-31', '09:30:00.25', '2026-01-31 12:00:00.5+00', '2026-01-31 12:00:00',
           'P1Y2M3DT4H0.5S', '{"a": [1, "ü"]}', '{1,NULL,3}', '00000000-0000-0000-0000-000000000001', 7),
          (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        CREATE TABLE child (id bigint PRIMARY KEY, types_id bigint REFERENCES types, w integer);
        INSERT INTO child VALUES (1, 1, 10), (2, 1, 20);
        CREATE TABLE g (id bigint PRIMARY KEY, geom geometry);
        INSERT INTO g VALUES (1, '{"type":"Point","coordinates":[1,2]}'), (2, NULL),
          (3, '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}');
        CREATE TABLE site (id bigint PRIMARY KEY, n text, geom geometry);
        INSERT INTO site VALUES (1, 'x', '{"type":"Point","coordinates":[1,2]}'), (2, 'y', NULL);
        CREATE TABLE d (id bigint PRIMARY KEY, site_id bigint REFERENCES site);
        INSERT INTO d VALUES (1, 1), (2, NULL), (3, 2);
        CREATE TABLE big AS SELECT i AS id, 'text ' || i AS s, timestamptz '2026-01-01' + i * interval '1 second' AS ts
          FROM generate_series(1, 1000000::bigint) AS i;
        """

    static let schema = """
        type t @table(name: "t") { id: BigInt! @pk name: String v: Float }
        type t2 @table(name: "t2") { id: BigInt! @pk @default(sequence: "t2_id_seq") name: String }
        type types @table(name: "types") {
          id: BigInt! @pk i: BigInt f: Float s: String b: Boolean d: Date tm: Time ts: Timestamp dt: DateTime iv: Interval
          j: JSON xs: [Int] u: String small: Int
        }
        type child @table(name: "child") {
          id: BigInt! @pk
          types_id: BigInt @field_references(field: "id", references_name: "types", query: "back", references_query: "child")
          w: Int
        }
        type g @table(name: "g") { id: BigInt! @pk geom: Geometry @geometry_info(type: POINT, srid: 4326) }
        type site @table(name: "site") { id: BigInt! @pk n: String geom: Geometry @geometry_info(type: POINT, srid: 4326) }
        type d @table(name: "d") {
          id: BigInt! @pk
          site_id: BigInt @field_references(field: "id", references_name: "site", query: "site", references_query: "ds")
        }
        type big @table(name: "big") { id: BigInt! @pk s: String ts: Timestamp }
        type slow @view(name: "slow", sql: "SELECT i AS id FROM (SELECT i, pg_sleep(0.01) FROM generate_series(1, 100000::bigint) AS i) AS x") {
          id: BigInt! @pk
        }
        type each_second @view(
          name: "each_second", sql: "SELECT i AS id FROM (SELECT i, pg_sleep(1) FROM generate_series(1, 1000::bigint) AS i) AS x"
        ) { id: BigInt! @pk }
        """
}

extension NodeProcess {
    fileprivate func ask(_ text: String, _ variables: JSONObject = [:]) async throws -> JSONValue {
        try await send(.post, "/query", JSONValue.object(["query": .string(text), "variables": .object(variables)]).description).body
    }
}
