import ApusGraphQL
import ApusTypes
import Synchronization
import Testing

@testable import ApusQueryPlan
@testable import ApusSchemas

@Suite("rows by cells")
struct CellsTests {
    /// In the cells 8429a1dffffffff and 842a101ffffffff of resolution 4.
    private static let losAngeles = point(-118.243685, 34.052234)
    private static let newYork = point(-73.935242, 40.73061)
    /// Six hours by car from each other, and in three cells of resolution 4.
    private static let line = "010200000002000000" + coordinates(-118.243685, 34.052234) + coordinates(-117.6, 34.4)

    private static func point(_ longitude: Double, _ latitude: Double) -> String { "0101000000" + coordinates(longitude, latitude) }

    private static func coordinates(_ numbers: Double...) -> String {
        numbers.map { number in
            (0..<8).map { byte in
                let digits = String(number.bitPattern >> (8 * UInt64(byte)) & 255, radix: 16)
                return digits.count == 1 ? "0" + digits : digits
            }.joined()
        }.joined()
    }

    struct Answer {
        /// Names and geometries.
        var geometries: [TextRow]
        /// Of the statement that is asked with their cells.
        var rows: [TextRow]
    }

    /// Tells `data.h3` and the values of the parameters that batches were given; `answers` by the response keys of members.
    private static func run(
        _ text: String, _ answers: [String: Answer], limits: PlanLimits = PlanLimits()
    ) async throws -> (h3: JSONValue, lists: [String: [String]]) {
        let plan = try Store.plan(text, over: try Store.api(), limits: limits)
        let lists = Mutex<[String: [String]]>([:])
        let reply = try await PlanRunner(plan, limits: limits).reply { calls in
            for call in calls {
                let key = call.path.last ?? ""
                guard let answer = answers[key] else { continue }
                if call.statement.isBatch {
                    lists.withLock {
                        $0[key] = call.parameters.prefix(3).map { String(decoding: $0.postgreSQLText ?? [], as: UTF8.self) }
                    }
                }
                for row in call.statement.isBatch ? answer.rows : answer.geometries { call.rows.add(row) }
            }
        }
        return (try JSONValue(parsing: reply.data)["h3"] ?? .null, lists.withLock { $0 })
    }

    private static let counted = "a: pg_store_locations_aggregation(field: \"point\") { _rows_count id { sum } }"

    @Test("each cell comes once, in ascending order, with what each field has there")
    func merged() async throws {
        let text = """
            { h3(resolution: 4) { cell level: resolution geom __typename data { __typename \(Self.counted) b: pg_store_locations(field: "area") { name } } } }
            """
        let (cells, lists) = try await Self.run(
            text,
            [
                "a": Answer(
                    geometries: [["NY", Self.newYork], ["LA", Self.losAngeles], ["LA2", Self.losAngeles], ["none", nil]],
                    rows: [["0", "2", "7"], ["1", "1", "5"]]),
                "b": Answer(geometries: [["road", Self.line]], rows: [["x", "0"], ["y", "0"], ["z", "1"]]),
            ])
        #expect(lists["a"] == [#"{"LA","LA2","NY"}"#, "{0,0,1}", "{1,1,1}"])
        let parts = lists["b"]?[1].split(separator: ",").count ?? 0
        #expect(parts > 1 && lists["b"]?[2] == "{" + Array(repeating: "\(parts)", count: parts).joined(separator: ",") + "}")
        let all = cells.asArray ?? []
        #expect(all.map { $0["cell"]?.asString ?? "" } == all.map { $0["cell"]?.asString ?? "" }.sorted())
        let first = try #require(all.first { $0["cell"] == "8429a1dffffffff" })
        #expect(first["level"] == 4 && first["__typename"] == "_h3_query" && first["data"]?["__typename"] == "_h3_data_query")
        #expect(first["data"]?["a"] == ["_rows_count": 2, "id": ["sum": 7]])
        #expect(
            first["geom"]?.description
                == #"{"type":"Polygon","coordinates":[[[-118.040386,33.946172],[-117.816239,34.115728],[-117.876668,34.357406],[-118.162155,34.429144],[-118.386047,34.25924],[-118.324712,34.017948],[-118.040386,33.946172]]]}"#
        )
        #expect(all.filter { $0["data"]?["b"] != .null }.map { $0["data"]?["b"]?.asArray?.count } == [2, 1])
        let last = try #require(all.last)
        #expect(
            last["cell"] == "842a101ffffffff"
                && last["data"] == ["__typename": "_h3_data_query", "a": ["_rows_count": 1, "id": ["sum": 5]], "b": .null])
    }

    @Test("fields that are inner leave out cells without their rows, and so do rows that have gone")
    func inner() async throws {
        func cells(_ a: String, _ b: String, rows: [TextRow] = [["0", "1"], ["1", "1"]]) async throws -> [String] {
            let text = """
                { h3(resolution: 4) { cell data {
                  a: pg_store_locations_aggregation(field: "point", inner: \(a)) { _rows_count }
                  b: pg_store_locations_aggregation(field: "point", inner: \(b)) { _rows_count } } } }
                """
            let answers = [
                "a": Answer(geometries: [["1", Self.losAngeles], ["2", Self.newYork]], rows: rows),
                "b": Answer(geometries: [["2", Self.newYork], ["3", Self.point(0, 0)]], rows: [["0", "1"], ["1", "1"]]),
            ]
            return try await Self.run(text, answers).h3.asArray?.compactMap { $0["cell"]?.asString } ?? []
        }
        #expect(try await cells("false", "false") == ["8429a1dffffffff", "842a101ffffffff", "84754a9ffffffff"])
        #expect(try await cells("true", "false") == ["8429a1dffffffff", "842a101ffffffff"])
        #expect(try await cells("false", "true") == ["842a101ffffffff", "84754a9ffffffff"])
        #expect(try await cells("true", "true") == ["842a101ffffffff"])
        #expect(try await cells("true", "false", rows: [["1", "1"]]) == ["842a101ffffffff"])
        #expect(try await cells("false", "false", rows: []) == ["842a101ffffffff", "84754a9ffffffff"])
    }

    @Test("without rows there are no cells, and nothing more is asked")
    func empty() async throws {
        let (cells, lists) = try await Self.run(
            "{ h3(resolution: 4) { data { \(Self.counted) } } }", ["a": Answer(geometries: [], rows: [])])
        #expect(cells == [] && lists.isEmpty)
    }

    @Test("a value is shared out by another one's part of all cells")
    func distribution() async throws {
        let text = """
            { h3(resolution: 4) { cell data {
              people: pg_store_locations_aggregation(field: "area", inner: true) { id { sum } }
              houses: pg_store_locations_aggregation(field: "point") { _rows_count }
            } by: distribution_by(numerator: "data.people.id.sum", denominator: "data.houses._rows_count") {
              value ratio numerator denominator all: denominator_total __typename } } }
            """
        let both: [TextRow] = [["1", Self.losAngeles], ["2", Self.newYork], ["3", Self.point(0, 0)]]
        let (cells, _) = try await Self.run(
            text,
            [
                "people": Answer(geometries: both, rows: [["0", "1000"], ["1", "600"], ["2", "50"]]),
                "houses": Answer(geometries: Array(both.prefix(2)), rows: [["0", "30"], ["1", "10"]]),
            ])
        #expect(
            cells.asArray?.map { $0["by"] ?? .null } == [
                [
                    "value": 750.0, "ratio": 0.75, "numerator": 1000.0, "denominator": 30.0, "all": 40.0,
                    "__typename": "_distribution_by",
                ],
                ["value": 150.0, "ratio": 0.25, "numerator": 600.0, "denominator": 10.0, "all": 40.0, "__typename": "_distribution_by"],
                .null,
            ])
    }

    @Test("so is one by buckets, each by its part of the same bucket in all cells")
    func bucketDistribution() async throws {
        let text = """
            { h3(resolution: 4) { data {
              people: pg_store_locations_aggregation(field: "area") { id { sum } }
              houses: pg_store_locations_bucket_aggregation(field: "point") { kind: key { name } sums: aggregations { _rows_count } }
            } distribution_by_bucket(
              numerator: "data.people.id.sum", denominator_key: "data.houses.kind", denominator: "data.houses.sums._rows_count"
            ) { denominator_key numerator_key value denominator_total } } }
            """
        let both: [TextRow] = [["1", Self.losAngeles], ["2", Self.newYork]]
        let answers = [
            "people": Answer(geometries: [["1", Self.losAngeles]], rows: [["0", "100"]]),
            "houses": Answer(geometries: both, rows: [["0", "flat", "3"], ["0", "villa", "1"], ["1", "flat", "1"]]),
        ]
        var limits = PlanLimits()
        limits.cells = 2
        let error = await #expect(throws: GraphQLError.self) { try await Self.run(text, answers, limits: limits) }
        #expect(error?.message.contains("come to more than 2 numbers") == true)
        let (cells, _) = try await Self.run(text, answers)
        let shares = cells.asArray?.map { $0["distribution_by_bucket"] ?? .null }
        #expect(
            shares == [
                [
                    ["denominator_key": ["name": "flat"], "numerator_key": .null, "value": 75.0, "denominator_total": 4.0],
                    ["denominator_key": ["name": "villa"], "numerator_key": .null, "value": 100.0, "denominator_total": 1.0],
                ],
                [["denominator_key": ["name": "flat"], "numerator_key": .null, "value": .null, "denominator_total": 4.0]],
            ])
    }

    @Test(
        "what cannot become cells is an error with the field and what to do",
        arguments: [
            (Self.point(500_000, 4_000_000), "name its system in transform_from"), ("0108000000", "of a kind that has no cells"),
            (Self.line, "limit"),
        ])
    func refused(geometry: String, message: String) async throws {
        var limits = PlanLimits()
        limits.cells = 1
        let error = await #expect(throws: GraphQLError.self) {
            try await Self.run(
                "{ h3(resolution: 4) { data { \(Self.counted) } } }", ["a": Answer(geometries: [["1", geometry]], rows: [])], limits: limits
            )
        }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        #expect(error?.path == [.key("h3"), .key("data"), .key("a")])
    }

    static let mistakes: [(String, String)] = [
        ("{ h3(resolution: 16) { cell data { A } } }", "0 to 15"),
        ("{ h3(resolution: -1) { cell data { A } } }", "0 to 15"),
        ("{ h3(resolution: 4) { cell } }", "ask for some in \"data\""),
        ("{ h3(resolution: 4) { data { __typename } } }", "ask for some in \"data\""),
        ("{ h3(resolution: 4) { data { pg_store_locations_aggregation(field: \"name\") { _rows_count } } } }", "\"name\" is no geometry"),
        ("{ h3(resolution: 4) { data { pg_store_locations_aggregation(field: \"nothing\") { _rows_count } } } }", "is no geometry"),
        (
            "{ h3(resolution: 4) { data { pg_store_locations_aggregation(field: \"point\", nested_limit: 2) { _rows_count } } } }",
            "without nested_limit"
        ),
        (
            "{ h3(resolution: 4) { data { A } distribution_by(numerator: \"data.b.id.sum\", denominator: \"data.a._rows_count\") { value } } }",
            "Argument \"numerator\" is \"data.b.id.sum\", which leads to no aggregation"
        ),
        (
            "{ h3(resolution: 4) { data { A } distribution_by(numerator: \"data.a.id\", denominator: \"data.a._rows_count\") { value } } }",
            "which is no number"
        ),
        (
            "{ h3(resolution: 4) { data { A } distribution_by_bucket(numerator: \"data.a.id.sum\", denominator: \"data.a._rows_count\", denominator_key: \"\") { value } } }",
            "needs a numerator or denominator in buckets"
        ),
        (
            "{ h3(resolution: 4) { data { A B } distribution_by(numerator: \"data.a.id.sum\", denominator: \"data.b.aggregations._rows_count\") { value } } }",
            "distribution_by_bucket takes those"
        ),
        (
            "{ h3(resolution: 4) { data { A B } distribution_by_bucket(numerator: \"data.a.id.sum\", denominator: \"data.b.aggregations._rows_count\", denominator_key: \"data.b.aggregations\") { value } } }",
            "Argument \"denominator_key\" must be the key"
        ),
        (
            "{ h3(resolution: 4) { data { L } distribution_by(numerator: \"data.l.id\", denominator: \"data.l.id\") { value } } }",
            "is a list of rows"
        ),
        ("{ h3(resolution: 4) { data { A } } pg_store { locations @add_h3(field: \"point\", res: 4) { id } } }", "Unknown directive"),
    ]

    @Test("a mistake is told with the place that it is in", arguments: mistakes)
    func isTold(text: String, message: String) throws {
        let text = text.replacing("A ", with: Self.counted + " ")
            .replacing(
                "B ", with: "b: pg_store_locations_bucket_aggregation(field: \"point\") { key { name } aggregations { _rows_count } } "
            )
            .replacing("L ", with: "l: pg_store_locations(field: \"point\") { id } ")
        do {
            _ = try Store.plan(text, over: try Store.api())
            Issue.record("planned: \(text)")
        } catch let error as GraphQLError {
            #expect(error.message.contains(message) && !error.locations.isEmpty, "\(error.message)")
        } catch let errors as GraphQLErrors {
            #expect(errors.errors[0].message.contains(message), "\(errors.errors[0].message)")
        }
    }

    @Test("as a table it has a row for each cell, whose lists are JSON")
    func table() async throws {
        let plan = try Store.plan(
            """
            { h3(resolution: 4) @stats { cell resolution geom __typename data { __typename \(Self.counted) b: pg_store_locations(field: "area") { name } }
              distribution_by(numerator: "data.a.id.sum", denominator: "data.a._rows_count") { value } } }
            """, over: try Store.api())
        #expect(plan.measuredFields.map(\.path) == [["h3"]] && plan.isMeasured)
        let answers = ["a": [["0", "2", "7"], ["1", "1", nil]], "b": [["x \"y\"", "0"]]]
        func run(_ calls: [StatementCall]) {
            for call in calls {
                let key = call.path.last ?? ""
                let rows = key == "a" ? [["1", Self.losAngeles], ["2", Self.newYork]] : [["1", Self.losAngeles]]
                for row in call.statement.isBatch ? answers[key] ?? [] : rows { call.rows.add(row) }
            }
        }
        for isSocket in [false, true] {
            var form = TableForm()
            form.hasRowsOnly = isSocket
            let parts = try await PlanRunner(plan).parts(form) { run($0) }
            #expect(parts.count == 1 && parts[0].path == ["h3"])
            #expect(parts[0].geometry == [GeometryColumn(path: ["geom"], srid: 4326, format: .binary)])
            guard case .made(let pieces) = parts[0].content else { throw GraphQLError("no table") }
            #expect(pieces.count == 2 && pieces[0].starts(with: [0xff, 0xff, 0xff, 0xff]))
        }
        // What is in the columns.
        var roots: [PlanRunner.Root?] = []
        for statement in plan.statements {
            let node = PlanRunner.Node(try StatementCall(statement, plan.values, [], PlanLimits()))
            run([node.call])
            node.call.rows.finish()
            let batch = PlanRunner.Node(
                try StatementCall(
                    statement.batches[0], plan.values, [], lists: node.call.rows.cells?.lists ?? [], PlanLimits(), for: statement.path))
            run([batch.call])
            batch.call.rows.finish()
            node.batches = [batch]
            roots.append(.asked(node))
        }
        let cells = try #require(plan.template.data.cells.first)
        let reply = try #require(try await CellsReply(cells, roots, PlanRunner(plan)))
        let columns = CellsTable(cells, plan.statements)
        let rows = try columns.rows(of: reply, 0..<2)
        let texts = (0..<rows.rowCount).map { row in rows.withRow(row) { $0.map(\.text) } }
        #expect(texts[0].contains(#"[{"name":"x \"y\""}]"#))
        #expect(texts.map { $0[0] } == ["8429a1dffffffff", "842a101ffffffff"] && texts.map { $0[1] } == ["4", "4"])
        #expect(texts.map { $0[$0.count - 1] } == ["\(7.0 * (2.0 / 3))", nil])
        #expect(texts[0].contains("7") && !texts[1].contains("7"))
    }
}
