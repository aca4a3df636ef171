import ApusGraphQL
import ApusSchemas
import ApusTypes
import Testing

/// Geometry in PostGIS: what is told, stored, found and computed.
@Suite("geometry")
struct GeometryTests {
    private static let places = Tables(
        statements: [
            "CREATE EXTENSION postgis",
            "CREATE TABLE locations (id serial PRIMARY KEY, name text NOT NULL, point geometry(Point, 4326), area geometry(Polygon, 4326))",
            """
            INSERT INTO locations (id, name, point, area) VALUES
              (1, 'A', 'SRID=4326;POINT(-73.935242 40.73061)', ST_MakeEnvelope(-73.94, 40.73, -73.93, 40.74, 4326)),
              (2, 'B', 'SRID=4326;POINT(-118.243685 34.052234)', ST_MakeEnvelope(-118.25, 34.05, -118.24, 34.06, 4326)),
              (3, 'C', NULL, NULL)
            """,
        ])

    static let cases: [(String, String)] = [
        (
            "{ locations_by_pk(id: 1) { point area(transforms: [Centroid]) } }",
            #"{"locations_by_pk":{"point":{"type":"Point","coordinates":[-73.935242,40.73061]},"area":{"type":"Point","coordinates":[-73.935,40.735]}}}"#
        ),
        ("{ locations(filter: {point: {is_null: true}}) { id point } }", #"{"locations":[{"id":3,"point":null}]}"#),
        // Well-known text is in the column's system, whatever else it does not say; as is GeoJSON.
        (
            "{ locations(filter: {area: {intersects: \"POINT(-73.935 40.735)\"}}) { id } }", #"{"locations":[{"id":1}]}"#
        ),
        (
            "{ locations(filter: {area: {contains: \"SRID=4326;POINT(-118.245 34.055)\"}}) { id } }", #"{"locations":[{"id":2}]}"#
        ),
        (
            "{ locations(filter: {area: {intersects: \"{\\\"type\\\":\\\"Point\\\",\\\"coordinates\\\":[-73.935,40.735]}\"}}) { id } }",
            #"{"locations":[{"id":1}]}"#
        ),
        ("{ locations(filter: {point: {eq: \"POINT(-118.243685 34.052234)\"}}) { id } }", #"{"locations":[{"id":2}]}"#),
        (
            "{ locations(filter: {id: {lt: 3}}, order_by: [{field: \"id\"}]) { id _spatial(field: \"point\", type: WITHIN) { pg_store_locations(field: \"area\") { id } } } }",
            #"{"locations":[{"id":1,"_spatial":{"pg_store_locations":[{"id":1}]}},{"id":2,"_spatial":{"pg_store_locations":[{"id":2}]}}]}"#
        ),
        (
            "{ locations_by_pk(id: 1) { _spatial(field: \"area\", type: CONTAINS) { pg_store_locations(field: \"point\") { id } } } }",
            #"{"locations_by_pk":{"_spatial":{"pg_store_locations":[{"id":1}]}}}"#
        ),
        (
            "{ locations_by_pk(id: 1) { _spatial(field: \"area\", type: DISJOIN) { pg_store_locations(field: \"area\") { id } } } }",
            #"{"locations_by_pk":{"_spatial":{"pg_store_locations":[{"id":2}]}}}"#
        ),
        (
            "{ locations_by_pk(id: 1) { _spatial(field: \"point\", type: DWITHIN, buffer: 100) { pg_store_locations(field: \"point\", order_by: [{field: \"id\"}]) { id } } } }",
            #"{"locations_by_pk":{"_spatial":{"pg_store_locations":[{"id":1},{"id":2}]}}}"#
        ),
        (
            "{ locations_aggregation(filter: {id: {eq: 1}}) { _rows_count point { count any list extent } } }",
            #"{"locations_aggregation":{"_rows_count":1,"point":{"count":1,"any":{"type":"Point","coordinates":[-73.935242,40.73061]},"list":[{"type":"Point","coordinates":[-73.935242,40.73061]}],"extent":{"type":"Point","coordinates":[-73.935242,40.73061]}}}}"#
        ),
    ]

    @Test("is told as GeoJSON, and asked about by WKT and GeoJSON", arguments: cases.indices)
    func answers(index: Int) async throws {
        let (text, expected) = Self.cases[index]
        try await StoreDatabase.with(.postgreSQL, more: Self.places) { store in
            let answer = try await store.run("{ pg_store \(text) }")
            #expect(answer.data["pg_store"]?.description == expected)
        }
    }

    @Test("is stored in the column's system and measured on the plane and on the earth")
    func stored() async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.places) { store in
            let inserted = try await store.run(
                """
                mutation($g: Geometry) { pg_store {
                  a: insert_locations(data: {id: 10, name: "d", area: "POLYGON((0 0, 0 1, 1 1, 1 0, 0 0))"}) { area }
                  b: insert_locations(data: {id: 11, name: "e", point: $g}) { point }
                } }
                """, variables: ["g": ["type": "Point", "coordinates": [3.5, 4]]])
            #expect(
                inserted.data.description
                    == #"{"pg_store":{"a":{"area":{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[1,0],[0,0]]]}},"b":{"point":{"type":"Point","coordinates":[3.5,4]}}}}"#
            )
            let measured = try await store.run(
                "{ pg_store { locations_by_pk(id: 10) { plane: _area_measurement(type: Area) around: _area_measurement(type: Perimeter) earth: _area_measurement(type: AreaSpheroid) } } }"
            )
            let row = measured.data["pg_store"]?["locations_by_pk"]
            #expect(row?["plane"]?.asDouble == 1 && row?["around"]?.asDouble == 4)
            // A square degree at the equator has some 12,309 km².
            #expect((1.22e10...1.24e10).contains(row?["earth"]?.asDouble ?? 0), "\(measured.data)")
        }
    }
}
