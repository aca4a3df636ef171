import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit
import Testing

/// Rows by cells of H3 as tables, through a real node over a real PostGIS, told to the unmodified `hugr-client`.
@Suite("cells through a node")
struct CellsTests {
    @Test("a program that wants a table gets one, with geometry, whole and as a stream")
    func tables() async throws {
        let directory = try TemporaryDirectory()
        let server = try await PostgreSQLServer.shared()
        let database = "hugr_cells"
        try await server.execute("DROP DATABASE IF EXISTS \(database)")
        try await server.execute("CREATE DATABASE \(database)")
        try await server.execute(
            """
            CREATE EXTENSION postgis;
            CREATE TABLE places (id int PRIMARY KEY, size double precision, seen timestamptz, point geometry(Point, 4326));
            INSERT INTO places VALUES (1, 1.5, '2026-01-02 01:00:00+01', 'SRID=4326;POINT(-118.243685 34.052234)'),
              (2, 2.5, '2026-01-01 00:00:00+00', 'SRID=4326;POINT(-118.2 34.06)'), (3, NULL, NULL, 'SRID=4326;POINT(-73.935242 40.73061)');
            """, database: database)
        try SourceFiles.write(
            """
            type places @table(name: "places") {
              id: Int! @pk  size: Float  seen: Timestamp  point: Geometry @geometry_info(type: POINT, srid: 4326)
            }
            """, to: directory.path + "/geo.graphql")
        try SourceFiles.write(
            """
            query:
              sources:
                - {name: geo, type: postgres, path: "[$GEO]", prefix: geo, as_module: true, schema: ["\(directory.path)/geo.graphql"]}
            """, to: directory.path + "/apus.yml")
        let node = try await NodeProcess.start(
            directory: directory.path + "/data", arguments: ["--config", directory.path + "/apus.yml"],
            environment: ["GEO": server.url(database: database).reveal()], loops: TestLoops.shared)
        let (status, output) = try await HugrClient.shared.run("cells", [node.url, node.key])
        #expect(status == 0 && output.contains("PASS"), "\(output)\n\(node.log)")
        try await node.stopCleanly()
    }
}
