import ApusTypes
import Foundation
import TestKit
import Testing

@Suite("docs/benchmarks.md")
struct BenchmarkTests {
    @Test("the tables of bench-query are what the results say that stand above them")
    func query() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let document = try String(contentsOf: root.appending(path: "docs/benchmarks.md"), encoding: .utf8)
        let line = try #require(document.split(separator: "\n").first { $0.hasPrefix("<!-- query-") }, "which results the tables are of")
        let results = try line.split(separator: " ").filter { $0.hasSuffix(".json") }.map { name in
            try JSONValue(parsing: Array(try Data(contentsOf: root.appending(path: "Benchmarks/results/\(name)"))))
        }
        #expect(document.contains(QueryTables(results).markdown))
    }
}
