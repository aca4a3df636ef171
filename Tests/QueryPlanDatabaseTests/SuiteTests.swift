import ApusGraphQL
import ApusSchemas
import ApusTypes
import HugrSuiteKit
import Testing

/// Read operations of Hugr's end-to-end suite over a real PostgreSQL, SQLite and DuckDB, against the answers that are recorded there.
@Suite("the suite's operations over real databases")
struct SuiteTests {
    static let cases = [
        "aggregations/basic", "aggregations/json_aggregation", "aggregations/sub_aggregation", "extensions/cross_source_join",
        "extensions/references_aggregation", "fields/timestamp_extract", "filters/by_reference", "filters/by_reference_reverse",
        "filters/eq", "filters/json_filter", "filters/range_contains", "joins/cross_source",
        "references/back_ref_parameterized_view/01_query", "references/back_ref_parameterized_view/03_aggregation",
        "references/forward_join", "references/nested_deep", "tables/select_list", "tables/select_one", "types/json_struct",
        "types/struct_duckdb", "types/struct_pg",
    ]

    /// Where the answer is another than the recorded one, and why.
    static let others: [String: (reason: String, data: JSONValue)] = [
        "aggregations/sub_aggregation": (
            "the recording has the number of categories where the sum of their products was asked for",
            [
                "pg_store": [
                    "categories_aggregation": [
                        "_rows_count": 3,
                        "products_aggregation": ["_rows_count": ["sum": 5], "price": ["avg": ["avg": 966.6566666666665]]],
                    ]
                ]
            ]
        )
    ]
    /// What PostgreSQL alone can do.
    static let withoutRanges: Set = ["filters/range_contains"]

    @Test("answers are the recorded ones", arguments: [SQLEngine.postgreSQL, .sqlite, .duckDB])
    func answers(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            for name in Self.cases where engine == .postgreSQL || !Self.withoutRanges.contains(name) {
                let text = try HugrSuite.operation(name)
                let recorded = try JSONValue(parsing: Array(try HugrSuite.expected(name).utf8))
                let expected = Self.others[name]?.data ?? recorded["data"] ?? .null
                do {
                    let answer = try await store.run(text)
                    #expect(Self.normal(answer.data) == Self.normal(expected), "\(name)")
                } catch {
                    Issue.record("\(name): \(error)")
                }
            }
        }
    }

    /// As the suite compares: arrays sorted, numbers to five places.
    static func normal(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements):
            .array(elements.map(normal).sorted { $0["name"]?.description ?? $0.description < $1["name"]?.description ?? $1.description })
        case .object(let members): .object(JSONObject(members.map { ($0.key, normal($0.value)) }.sorted { $0.0 < $1.0 }))
        case .integer, .unsigned, .double: .double((value.asDouble.map { ($0 * 100_000).rounded() / 100_000 }) ?? 0)
        default: value
        }
    }
}
