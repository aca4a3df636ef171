import ApusCatalog
import ApusDatabase
import ApusTypes
import ApusVectorIndex
import FoundationEssentials
import Testing

@testable import ApusVectors

/// Needs the WordNet embeddings (`wordnet-minilm.f16.npy`, `queries.f16.npy`, `neighbours.i32.npy`) in the directory that `APUS_TEST_DATA`
/// names. `APUS_TEST_QUERIES` limits the number of queries.
@Suite("real embeddings", .serialized, .enabled(if: ProcessInfo.processInfo.environment["APUS_TEST_DATA"] != nil))
struct RealDataTests {
    static let directory = ProcessInfo.processInfo.environment["APUS_TEST_DATA"] ?? ""

    /// Rows and bytes of a NumPy file of version 1: the header's length is at byte 8.
    static func load(_ name: String, rowBytes: Int) throws -> [[UInt8]] {
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: "\(directory)/\(name)")))
        let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        return stride(from: start, to: bytes.count, by: rowBytes).map { Array(bytes[$0..<$0 + rowBytes]) }
    }

    static func floats(_ row: [UInt8]) -> [Float] {
        row.withUnsafeBytes { $0.withMemoryRebound(to: UInt16.self, convertHalfFloats) }
    }

    @Test("all 117,659 points come in, and an exact search finds what NumPy found", arguments: [Sharding.single, Sharding(shards: 6)])
    func recall(sharding: Sharding) async throws {
        let rows = try Self.load("wordnet-minilm.f16.npy", rowBytes: 768)
        let queries = try Self.load("queries.f16.npy", rowBytes: 768).map(Self.floats)
        let truth = try Self.load("neighbours.i32.npy", rowBytes: 400).map { row in
            row.withUnsafeBytes { $0.bindMemory(to: Int32.self).prefix(10).map(UInt64.init) }
        }
        let asked = ProcessInfo.processInfo.environment["APUS_TEST_QUERIES"].flatMap(Int.init) ?? queries.count
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                let service = node.service
                _ = try await service.createCollection("wordnet", .init(dimension: 384, metric: .dot, sharding: sharding), deadline: node.deadline)
                let start = node.clock.now
                for first in stride(from: 0, to: rows.count, by: 1000) {
                    let points = rows[first..<min(first + 1000, rows.count)].enumerated().map { offset, row in
                        Point(
                            id: .integer(UInt64(first + offset)), vector: Self.floats(row),
                            payload: Array(#"{"id":\#(first + offset),"even":\#((first + offset) % 2 == 0)}"#.utf8))
                    }
                    _ = try await service.upsert(points, into: "wordnet", deadline: node.deadline)
                }
                let imported = start.duration(to: node.clock.now)
                print("import: \(rows.count) points in \(imported.seconds) s, \(Int(Double(rows.count) / imported.seconds)) points/s")
                let searching = node.clock.now
                var found = 0
                for (query, truth) in zip(queries.prefix(asked), truth) {
                    let hits = try await service.search(SearchRequest(vector: query, limit: 10, isExact: true), in: "wordnet", deadline: node.deadline).hits
                    let points = try await service.points(truth.map { .integer($0) }, in: "wordnet", with: .vector, deadline: node.deadline)
                    let worst = points.map { zip($0.vector, query).reduce(0) { $0 + Double($1.0) * Double($1.1) } }.min() ?? 0
                    found += hits.count { Double($0.score) >= worst - 1e-6 }
                }
                let recall = Double(found) / Double(10 * asked)
                let perQuery = searching.duration(to: node.clock.now).seconds / Double(asked)
                print("recall@10 \(recall) over \(asked) queries, \(Int(1 / perQuery)) queries/s, memory \(try await service.collection("wordnet", deadline: node.deadline).memory)")
                #expect(recall >= 0.999)
                let half = try await service.count("wordnet", matching: .equals(PayloadPath("even"), .bool(true)), deadline: node.deadline)
                #expect(half == (rows.count + 1) / 2)
            }
        }
    }
}
