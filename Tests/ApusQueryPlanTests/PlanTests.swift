import ApusGraphQL
import ApusTypes
import Foundation
import HugrSuiteKit
import Testing

@testable import ApusQueryPlan
@testable import ApusSchemas

/// Operations as text in, SQL out. A case is `Cases/NAME.graphql`, its plan `Cases/NAME.ENGINE.sql`; `suite-a-b` is the operation `a/b` of Hugr's
/// suite. With `APUS_RECORD=1` plans are written anew, to be read before they are committed.
@Suite("plans")
struct PlanTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Cases")
    static let cases =
        (try? FileManager.default.contentsOfDirectory(atPath: folder.path))?
        .filter { $0.hasSuffix(".postgres.sql") }.map { String($0.dropLast(13)) }.sorted() ?? []
    static let engines = SQLEngine.allCases

    @Test("the plan is what was recorded", arguments: cases, engines)
    func matches(name: String, engine: SQLEngine) throws {
        let text =
            name.hasPrefix("suite-")
            ? try HugrSuite.operation(String(name.dropFirst(6)).replacing("-", with: "/"))
            : try String(contentsOf: Self.folder.appending(path: "\(name).graphql"), encoding: .utf8)
        let plan: String
        do {
            plan = try Store.plan(text, over: try Store.api(engine), identity: ["auth.user_id_int": 2]).description
        } catch let error as GraphQLError {
            plan = "-- refused: \(error.message)\n"
        } catch let errors as GraphQLErrors {
            plan = errors.errors.map { "-- invalid: \($0.message)\n" }.joined()
        }
        let file = Self.folder.appending(path: "\(name).\(engine.rawValue).sql")
        if ProcessInfo.processInfo.environment["APUS_RECORD"] != nil { try plan.write(to: file, atomically: true, encoding: .utf8) }
        #expect(plan == (try? String(contentsOf: file, encoding: .utf8)))
    }

    @Test("there are cases")
    func casesAreFound() { #expect(Self.cases.count > 20) }
}

@Suite("SQL is made of literals, quoted names and parameters")
struct InjectionTests {
    /// What would break out of a text, a name or a comment.
    static let hostile = [
        "'; DROP TABLE products; --", "\"; DROP TABLE products; --", "\\'; DROP", "$1", "${1}", "[$auth.user_id]", "*/ DROP /*", "\u{0}x",
        "} , DROP", "a.b\"c",
    ]

    /// Where a client can put a text of its own.
    static let operations = [
        "query($s: String) { pg_store { products(filter: {name: {eq: $s}}) { id } } }",
        "query($s: String) { pg_store { products(filter: {name: {like: $s}}) { id } } }",
        "query($s: String!) { pg_store { products(filter: {name: {in: [$s]}}) { id } } }",
        "query($s: String) { pg_store { products(filter: {tags: {has: $s}}) { id } } }",
        "query($s: String!) { pg_store { products(filter: {tags: {has_all: [$s]}}) { id } } }",
        "query($s: JSON) { pg_store { products(filter: {tags: {contains: $s}}) { id } } }",
        "query($s: String) { pg_store { categories(filter: {products: {any_of: {name: {regex: $s}}}}) { id } } }",
        "query($s: String!) { pg_store { products(order_by: [{field: $s}]) { id } } }",
        "query($s: String!) { pg_store { products(distinct_on: [$s]) { id } } }",
        "query($s: String!) { pg_store { products { _join(fields: [$s]) { pg_store_categories(fields: [\"id\"]) { id } } } } }",
        "query($s: String!) { pg_store { products { _join(fields: [\"id\"]) { pg_store_categories(fields: [$s]) { id } } } } }",
        "query($s: String!) { pg_store { locations { _spatial(field: $s, type: INTERSECTS) { pg_store_locations(field: \"area\") { id } } } } }",
        "query($s: String!) { pg_store { products_aggregation { name { string_agg(sep: $s) } } } }",
        "query($s: String!) { local_db { events_aggregation { metadata { sum(path: $s) list(path: $s) } } } }",
        "query($s: JSON) { pg_store { products { tags(struct: $s) } } }",
        "query($s: IntRange) { pg_store { price_ranges(filter: {valid_price: {intersects: $s}}) { id } } }",
        "query($s: Geometry) { pg_store { locations(filter: {point: {intersects: $s}}) { id } } }",
        "query($s: Interval) { pg_store { products { created_at(bucket_interval: $s) } } }",
        "query($s: String!) { h3(resolution: 4) { data { pg_store_locations_aggregation(field: $s) { _rows_count } } } }",
        "query($s: String) { h3(resolution: 4) { data { pg_store_locations(field: \"point\", filter: {name: {eq: $s}}) { id } } } }",
    ]

    @Test("a hostile text changes nothing in a statement but its parameters", arguments: operations, [SQLEngine.postgreSQL, .sqlite])
    func sameText(operation: String, engine: SQLEngine) throws {
        let api = try Store.api(engine)
        func plan(_ text: String) throws -> [String]? {
            let isJSON = operation.contains("$s: JSON")
            let value: JSONValue = isJSON ? .object([text: .string(text)]) : .string(text)
            do {
                return try Store.plan(operation, over: api, variables: ["s": value]).statements.map(\.sql.text)
            } catch is GraphQLError {
                return nil
            }
        }
        let expected = try plan("harmless")
        for text in Self.hostile { #expect(try plan(text) == expected, "\(text)") }
    }

    @Test("names of the model are quoted, whatever they are")
    func names() {
        let name = SQLFragment.identifier("a\"; DROP TABLE b; --")
        #expect(SQLStatement(name, for: .postgreSQL).text == "\"a\"\"; DROP TABLE b; --\"")
        #expect(SQLStatement(.path("app.users"), for: .postgreSQL).text == "\"app\".\"users\"")
    }

    @Test("a list goes as one parameter whose elements cannot end it")
    func lists() {
        let list = BoundParameter.list(["a\"},{\"b", "\\", .null, "NULL", ""])
        #expect(list.postgreSQLText.map { String(decoding: $0, as: UTF8.self) } == #"{"a\"},{\"b","\\",NULL,"NULL",""}"#)
    }

    @Test("the author's SQL keeps its brackets; placeholders become parameters")
    func templates() throws {
        let plan = try Store.plan(
            "{ pg_store { products_in_price_range(args: {min_price: 1, max_price: 2}) { id } products_for_current_user { id } } }",
            over: try Store.api(), identity: ["auth.user_id_int": 7])
        #expect(plan.statements[0].sql.text.contains("price >= $1::double precision AND price <= $2::double precision"))
        #expect(plan.statements[1].sql.text.contains("category_id = $1::bigint"))
        #expect(plan.statements[1].sql.parameters.first == .identity("auth.user_id_int"))
    }
}
