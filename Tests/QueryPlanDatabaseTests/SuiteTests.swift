import ApusGraphQL
import ApusSchemas
import ApusTypes
import Foundation
import Testing

/// Read operations of Hugr's end-to-end suite (`ApusQueryPlanTests/Cases/suite-*`) over a real PostgreSQL and a real SQLite, against the
/// answers that are recorded there.
@Suite("the suite's operations over real databases")
struct SuiteTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    static let cases =
        (try? FileManager.default.contentsOfDirectory(atPath: folder.appending(path: "Expected").path))?
        .filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.sorted() ?? []

    /// Where the answer is another than the recorded one, and why.
    static let others: [String: (reason: String, data: JSONValue)] = [
        "suite-aggregations-sub_aggregation": (
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
    static let withoutRanges: Set = ["suite-filters-range_contains"]

    @Test("answers are the recorded ones", arguments: [SQLEngine.postgreSQL, .sqlite, .duckDB])
    func answers(_ engine: SQLEngine) async throws {
        #expect(Self.cases.count >= 18)
        try await StoreDatabase.with(engine) { store in
            for name in Self.cases where engine == .postgreSQL || !Self.withoutRanges.contains(name) {
                let operations = Self.folder.deletingLastPathComponent().appending(path: "ApusQueryPlanTests/Cases/\(name).graphql")
                let text = try String(contentsOf: operations, encoding: .utf8)
                let recorded = try JSONValue(
                    parsing: Array(try Data(contentsOf: Self.folder.appending(path: "Expected/\(name).json"))))
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
