import ApusGraphQL
import ApusTypes
import Foundation

/// Reading operations: parsed, validated, found in the cache; and building a large schema. Beside graphql-core (Python), which is asked
/// the same on the same texts. One thread.
enum GraphQLBench {
    private static let rounds = 7

    /// What each round measures, in microseconds.
    private struct Round {
        var parse = 0.0
        var validate = 0.0
        var cached = 0.0
    }

    static func run() throws {
        var report = BenchReport("graphql")
        let schemaText = GraphQLTexts.schema
        let schema = try GraphQLSchema(building: schemaText)
        let rounds = BenchOptions.rounds(rounds)
        report.row([
            "µs: min, median, max", "bytes", "parse", "", "", "graphql-core", "validate", "", "", "graphql-core", "found in the cache", "",
            "",
        ])
        for (name, text) in GraphQLTexts.operations {
            progress(name)
            let problems = schema.problems(with: try GraphQLDocument(parsing: text))
            guard problems.isEmpty else { throw ApusError(.usage, "the benchmark's own operation is invalid: \(problems[0].message)") }
            var own: [Round] = []
            var peers: [GraphQLPeer.Answer] = []
            for _ in 0..<rounds {
                own.append(try measure(Array(text.utf8), schema))
                peers.append(try GraphQLPeer.measure(schema: schemaText, operation: text))
            }
            let key = name.replacing(" ", with: "_")
            report.figure("\(key)_parse_us", own.map(\.parse))
            report.figure("\(key)_validate_us", own.map(\.validate))
            report.figure("\(key)_cached_us", own.map(\.cached))
            report.ratio("\(key)_parse_to_graphql_core", zip(own, peers).map { $1.parse / $0.parse })
            report.ratio("\(key)_validate_to_graphql_core", zip(own, peers).map { $1.validate / $0.validate })
            report.row(
                [name, String(text.utf8.count)] + cells(own.map(\.parse)) + [BenchReport.short(Spread(peers.map(\.parse)).median)]
                    + cells(own.map(\.validate)) + [BenchReport.short(Spread(peers.map(\.validate)).median)] + cells(own.map(\.cached)))
        }
        try buildLarge(&report, rounds)
        try report.finish()
    }

    /// GitHub's schema, among graphql-core's own fixtures.
    private static func buildLarge(_ report: inout BenchReport, _ rounds: Int) throws {
        let path = GraphQLPeer.folder + "/sources/tests/fixtures/github_schema.graphql"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        progress("GitHub's schema, \(text.utf8.count) bytes")
        var own: [Double] = []
        var peers: [Double] = []
        for _ in 0..<rounds {
            own.append(try time(repeating: 3) { _ = try GraphQLSchema(building: text) } / 1000)
            peers.append(try GraphQLPeer.build(schema: text) / 1000)
        }
        report.figure("github_schema_build_ms", own)
        report.ratio("github_schema_build_to_graphql_core", zip(own, peers).map { $1 / $0 })
        report.row(["GitHub's schema, built, ms", String(text.utf8.count)] + cells(own) + [BenchReport.short(Spread(peers).median)])
    }

    private static func cells(_ values: [Double]) -> [String] {
        let spread = Spread(values)
        return [spread.min, spread.median, spread.max].map(BenchReport.short)
    }

    private static func measure(_ text: [UInt8], _ schema: GraphQLSchema) throws -> Round {
        let times = max(20, 2_000_000 / text.count)
        let document = try GraphQLDocument(parsing: text)
        var cache = DocumentCache(capacity: 1 << 20)
        return Round(
            parse: try time(repeating: times) { _ = try GraphQLDocument(parsing: text) },
            validate: time(repeating: times) { _ = schema.problems(with: document) },
            cached: try time(repeating: times) { _ = try cache.document(text, schema: schema, version: 1) })
    }

    /// Microseconds of one, on average.
    private static func time(repeating times: Int, _ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        for _ in 0..<times { try body() }
        return (ContinuousClock.now - start) / .microseconds(1) / Double(times)
    }
}
