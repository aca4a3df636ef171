import ApusGraphQL
import ApusQueryPlan
import ApusSchemas
import ApusTypes
import Testing

/// Rows by cells of H3, over PostGIS. Numbers of cells are those of h3 4.5.0 for Python.
@Suite("cells over PostGIS")
struct CellsTests {
    private static let tables = Tables(
        schema: """

            type shapes @table(name: "shapes") {
              id: Int! @pk
              kind: String
              people: Int
              weight: Float
              geom: Geometry @geometry_info(srid: 4326)
              flat: Geometry @geometry_info(srid: 3857)
              unknown: Geometry
              parts: [parts] @join(references_name: "parts", source_fields: ["id"], references_fields: ["shape"])
            }
            type parts @table(name: "parts") {
              id: Int! @pk
              shape: Int @field_references(references_name: "shapes", field: "id", query: "whole", references_query: "pieces")
            }
            type spots @view(name: "spots", sql: "SELECT kind, geom FROM shapes") { kind: String  geom: Geometry @geometry_info(srid: 4326) }
            """,
        otherSchema: """

            type stations @table(name: "stations") { id: Int! @pk  place: Geometry }
            """,
        statements: [
            "CREATE EXTENSION postgis",
            """
            CREATE TABLE shapes (id int PRIMARY KEY, kind text, people int, weight double precision, geom geometry, flat geometry(Geometry, 3857),
              unknown geometry)
            """,
            "CREATE TABLE parts (id int PRIMARY KEY, shape int)",
            "CREATE TABLE stations (id int PRIMARY KEY, place geography)",
            // Los Angeles twice, New York, and a district that is a square.
            """
            INSERT INTO shapes (id, kind, people, weight, geom) VALUES
              (1, 'a', 10, 1.5, 'SRID=4326;POINT(-118.243685 34.052234)'), (2, 'b', 20, 2.5, 'SRID=4326;POINT(-118.243685 34.052234)'),
              (3, 'a', 30, 4, 'SRID=4326;POINT(-73.935242 40.73061)'), (4, 'd', 1000, 1000, ST_MakeEnvelope(-118.5, 33.8, -118, 34.2, 4326)),
              (5, 'n', 1, 1, NULL), (6, 'n', 1, 1, 'SRID=4326;POINT EMPTY'), (7, 'n', 1, 1, 'SRID=4326;GEOMETRYCOLLECTION EMPTY'),
              (8, 'c', 7, 7, 'SRID=4326;CIRCULARSTRING(0 0, 1 1, 2 0)'),
              (9, 'z', 9, 9, 'SRID=4326;POINT Z (-118.243685 34.052234 80)')
            """,
            "UPDATE shapes SET flat = ST_Transform(geom, 3857), unknown = ST_SetSRID(geom, 0) WHERE id <= 4",
            "INSERT INTO parts VALUES (1, 1), (2, 1), (3, 3)",
            "INSERT INTO stations VALUES (1, 'POINT(-73.935242 40.73061)'), (2, 'POINT(0 0)')",
        ])

    /// The value of `h3`, of resolution 4 where none is said.
    private static func ask(
        _ store: StoreDatabase, _ data: String, resolution: Int = 4, more: String = "", permissions: RolePermissions = RolePermissions(),
        limits: PlanLimits = PlanLimits(), variables: JSONObject = [:], declared: String = ""
    ) async throws -> [JSONValue] {
        let text = "query\(declared) { h3(resolution: \(resolution)) { cell data { \(data) } \(more) } }"
        return try await store.run(text, variables: variables, permissions: permissions, limits: limits).data["h3"]?.asArray ?? []
    }

    private static let points = "filter: {kind: {in: [\"a\", \"b\"]}}"

    @Test("rows are counted, listed and grouped by the cells of their points")
    func points() async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.tables) { store in
            let cells = try await Self.ask(
                store,
                """
                one: pg_store_shapes_aggregation(field: "geom", \(Self.points), order_by: [{field: "people", direction: DESC}]) {
                  _rows_count people { sum avg list }
                }
                all: pg_store_shapes(field: "geom", \(Self.points), order_by: [{field: "id", direction: DESC}]) {
                  id pieces(nested_order_by: [{field: "id"}]) { id } parts(nested_order_by: [{field: "id"}]) { id }
                }
                some: pg_store_shapes(field: "geom", \(Self.points), nested_limit: 1, nested_order_by: [{field: "id"}]) { id }
                by: pg_store_shapes_bucket_aggregation(field: "geom", \(Self.points)) { key { kind } aggregations { _rows_count } }
                """)
            #expect(
                cells == [
                    [
                        "cell": "8429a1dffffffff",
                        "data": [
                            "one": ["_rows_count": 2, "people": ["sum": 30, "avg": 15, "list": [20, 10]]],
                            "all": [
                                ["id": 2, "pieces": .null, "parts": .null],
                                ["id": 1, "pieces": [["id": 1], ["id": 2]], "parts": [["id": 1], ["id": 2]]],
                            ],
                            "some": [["id": 1]],
                            "by": [
                                ["key": ["kind": "a"], "aggregations": ["_rows_count": 1]],
                                ["key": ["kind": "b"], "aggregations": ["_rows_count": 1]],
                            ],
                        ],
                    ],
                    [
                        "cell": "842a101ffffffff",
                        "data": [
                            "one": ["_rows_count": 1, "people": ["sum": 30, "avg": 30, "list": [30]]],
                            "all": [["id": 3, "pieces": [["id": 3]], "parts": [["id": 3]]]], "some": [["id": 3]],
                            "by": [["key": ["kind": "a"], "aggregations": ["_rows_count": 1]]],
                        ],
                    ],
                ])
        }
    }

    @Test(
        "a polygon is in all cells that it touches, and its values are shared out where that is asked for",
        arguments: [(4, 4), (6, 69), (7, 402)])
    func polygons(resolution: Int, count: Int) async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.tables) { store in
            func cells(_ divides: String) async throws -> [JSONValue] {
                try await Self.ask(
                    store,
                    """
                    d: pg_store_shapes_aggregation(field: "geom", filter: {kind: {eq: "d"}}, divide_values: \(divides)) {
                      _rows_count people { sum count } weight { sum avg max }
                    }
                    """, resolution: resolution
                ).compactMap { $0["data"]?["d"] }
            }
            let whole = try await cells("false")
            #expect(whole.count == count)
            #expect(
                Set(whole) == [
                    ["_rows_count": 1, "people": ["sum": 1000, "count": 1], "weight": ["sum": 1000, "avg": 1000, "max": 1000]]
                ])
            let parts = try await cells("true")
            #expect(parts.count == count)
            let sum = parts.reduce(0) { $0 + ($1["weight"]?["sum"]?.asDouble ?? 0) }
            #expect(abs(sum - 1000) < 1e-6)
            #expect(
                parts.allSatisfy { $0["weight"]?["avg"] == $0["weight"]?["sum"] && $0["weight"]?["max"] == 1000 && $0["_rows_count"] == 1 })
            #expect(Set(parts.map { $0["people"]?["sum"] }) == [.integer(Int64((1000 / Double(count)).rounded()))])
        }
    }

    @Test("a geometry is taken from its system, from the one that is named, or as degrees")
    func systems() async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.tables) { store in
            func cells(_ arguments: String, resolution: Int = 7) async throws -> [String] {
                try await Self.ask(
                    store, "p: pg_store_shapes_aggregation(\(arguments), \(Self.points)) { _rows_count }", resolution: resolution
                )
                .compactMap { $0["cell"]?.asString }
            }
            let expected = ["8729a1d75ffffff", "872a100d1ffffff"]
            #expect(try await cells("field: \"geom\"") == expected)
            #expect(try await cells("field: \"flat\"") == expected)
            #expect(try await cells("field: \"unknown\"") == expected)
            #expect(try await cells("field: \"unknown\", transform_from: 4326") == expected)
            #expect(try await cells("field: \"geom\", transform_from: 4326, simplify: false") == expected)
            let error = await #expect(throws: GraphQLError.self) {
                try await Self.ask(
                    store, "p: pg_store_shapes_aggregation(field: \"flat\", transform_from: $from) { _rows_count }",
                    variables: ["from": 4326],
                    declared: "($from: Int)")
            }
            #expect(error?.message.contains("transform_from") == true, "\(error?.message ?? "")")
            // Five kilometers around, whose cells have their centers at most some more away.
            let buffered = try await cells("field: \"geom\", buffer: 5000")
            #expect(buffered.filter { $0.hasPrefix("8729") }.count > 14 && buffered.filter { $0.hasPrefix("8729") }.count < 26)
            #expect(try await cells("field: \"geom\", buffer: 0.5").count == 2)
        }
    }

    @Test("lines, curves, heights, and geometries smaller than what is left out have cells; empty ones have none")
    func kinds() async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.tables) { store in
            func cells(_ kind: String, _ arguments: String = "", resolution: Int = 4) async throws -> [String] {
                try await Self.ask(
                    store,
                    "p: pg_store_shapes_aggregation(field: \"geom\", filter: {kind: {eq: \"\(kind)\"}} \(arguments)) { _rows_count }",
                    resolution: resolution
                ).compactMap { $0["cell"]?.asString }
            }
            #expect(try await cells("n") == [])
            #expect(try await cells("z") == ["8429a1dffffffff"])
            let curve = try await cells("c")
            #expect(curve.count > 4)
            // At resolution 0 a tenth of an edge is more than a degree.
            #expect(try await cells("d", resolution: 0) == ["8029fffffffffff"])
            #expect(try await cells("d", "simplify: false", resolution: 0) == ["8029fffffffffff"])
        }
    }

    @Test("fields of several sources, rows without a key, and limits that mean the same rows twice")
    func several() async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.tables) { store in
            let cells = try await Self.ask(
                store,
                """
                spots: pg_store_spots_aggregation(field: "geom", \(Self.points)) { _rows_count }
                stations: local_db_stations(field: "place") { id }
                """)
            #expect(
                cells == [
                    ["cell": "8429a1dffffffff", "data": ["spots": ["_rows_count": 2], "stations": .null]],
                    ["cell": "842a101ffffffff", "data": ["spots": ["_rows_count": 1], "stations": [["id": 1]]]],
                    ["cell": "84754a9ffffffff", "data": ["spots": .null, "stations": [["id": 2]]]],
                ])
            for (limit, counts) in [
                ("limit: 1", [1]), ("limit: 2", [2]), ("limit: 2, offset: 1", [1, 1]), ("distinct_on: [\"kind\"]", [2]),
            ] {
                for field in ["pg_store_shapes", "pg_store_spots"] {
                    let found = try await Self.ask(
                        store, "s: \(field)_aggregation(field: \"geom\", \(Self.points), \(limit)) { _rows_count }"
                    )
                    .compactMap { $0["data"]?["s"]?["_rows_count"]?.asInteger }
                    #expect(found.reduce(0, +) == Int64(counts.reduce(0, +)), "\(field) \(limit)")
                    if field == "pg_store_shapes" { #expect(found == counts.map { Int64($0) }, "\(limit)") }
                }
            }
            // Without a geometry it is no field there.
            await #expect(throws: GraphQLErrors.self) {
                try await Self.ask(store, "s: pg_store_parts_aggregation(field: \"id\") { _rows_count }")
            }
        }
    }

    @Test("a value is shared out over cells by another's")
    func distribution() async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.tables) { store in
            let cells = try await Self.ask(
                store,
                """
                people: pg_store_shapes_aggregation(field: "geom", filter: {kind: {eq: "d"}}) { people { sum } }
                houses: pg_store_shapes_aggregation(field: "geom", \(Self.points), inner: true) { weight { sum } }
                """,
                more: "by: distribution_by(numerator: \"data.people.people.sum\", denominator: \"data.houses.weight.sum\") { value ratio }")
            #expect(
                cells.map { $0["by"] ?? .null } == [["value": 500.0, "ratio": 0.5], ["value": .null, "ratio": 0.5]])
        }
    }

    @Test("what a role may not see has no cells, whatever the way")
    func permissions() async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.tables) { store in
            func rules(_ rules: RolePermissions.Rule...) -> RolePermissions { RolePermissions(rules) }
            func cells(_ permissions: RolePermissions) async throws -> [String: JSONValue] {
                let found = try await Self.ask(
                    store,
                    """
                    n: pg_store_shapes_aggregation(field: "geom", \(Self.points)) { _rows_count }
                    l: pg_store_shapes(field: "geom", \(Self.points)) { id }
                    b: pg_store_shapes_bucket_aggregation(field: "geom", \(Self.points)) { key { id } }
                    """, permissions: permissions)
                return Dictionary(uniqueKeysWithValues: found.map { ($0["cell"]?.asString ?? "", $0["data"] ?? .null) })
            }
            let seen = try await cells(rules(.init(type: "data-object:query", field: "pg_store_shapes", filter: ["id": ["eq": 2]])))
            #expect(seen == ["8429a1dffffffff": ["n": ["_rows_count": 1], "l": [["id": 2]], "b": [["key": ["id": 2]]]]])
            let field = try await cells(
                rules(.init(type: "_h3_data_query", field: "pg_store_shapes_aggregation", filter: ["id": ["eq": 3]])))
            #expect(field["8429a1dffffffff"]?["n"] == .null && field["842a101ffffffff"]?["n"] == ["_rows_count": 1])
            #expect(field["8429a1dffffffff"]?["l"]?.asArray?.count == 2)
            for (type, name) in [
                ("Query", "h3"), ("_h3_data_query", "pg_store_shapes"), ("pg_store_shapes", "geom"),
                ("data-object:query", "pg_store_shapes"),
                ("pg_store_shapes", "kind"),
            ] {
                let error = await #expect(throws: GraphQLError.self, "\(type).\(name)") {
                    try await cells(rules(.init(type: type, field: name, isDisabled: true)))
                }
                #expect(error?.message == "forbidden")
            }
            await #expect(throws: GraphQLError.self) { try await cells(RolePermissions([], deniesByDefault: true)) }
        }
    }

    @Test("more cells than the limit are an error that says so")
    func limits() async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.tables) { store in
            func cells(most: Int) async throws -> Int {
                var limits = PlanLimits()
                limits.cells = most
                let data = "d: pg_store_shapes_aggregation(field: \"geom\", filter: {kind: {eq: \"d\"}}) { _rows_count }"
                return try await Self.ask(store, data, resolution: 7, limits: limits).count
            }
            let all = try await cells(most: 402)
            #expect(all == 402)
            let error = await #expect(throws: GraphQLError.self) { try await cells(most: 401) }
            #expect(error?.message.contains("more than 401 cells") == true)
            #expect(error?.path == [.key("h3"), .key("data"), .key("d")])
        }
    }
}
