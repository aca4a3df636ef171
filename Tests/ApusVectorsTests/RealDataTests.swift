import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusTypes
import ApusVectorIndex
import DatabaseTestKit
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

    enum CatalogKind: Sendable, CaseIterable { case sqlite, postgreSQL }

    @Test(
        "all 117,659 points come in, an exact search finds what NumPy found, and a restart loads them", arguments: CatalogKind.allCases,
        [1, 6])
    func recall(kind: CatalogKind, shards: Int) async throws {
        let rows = try Self.load("wordnet-minilm.f16.npy", rowBytes: 768)
        try await withTemporaryDirectory { directory in
            let url = kind == .postgreSQL ? try await PostgreSQLServer.shared().newDatabase() : nil
            func onNode(_ body: (TestNode) async throws -> Void) async throws {
                if let url {
                    try await TestNode.onPostgreSQL(url, body)
                } else {
                    try await TestNode.onSQLite("\(directory)/catalog.db", body)
                }
            }
            try await onNode { node in
                _ = try await node.service.createCollection(
                    "wordnet", .init(dimension: 384, metric: .dot, sharding: .init(shards: shards)), deadline: node.deadline)
                let start = node.clock.now
                try await Self.importing(rows, into: node)
                let seconds = start.duration(to: node.clock.now).seconds
                print("\(kind), \(shards) shards: import \(Int(Double(rows.count) / seconds)) points/s")
                try await Self.searching(rows.count, on: node)
            }
            let start = BootClock.now
            try await onNode { node in
                print("\(kind), \(shards) shards: loaded in \(start.duration(to: node.clock.now).seconds) s")
                let half = try await node.service.count(
                    "wordnet", matching: .equals(PayloadPath("even"), .bool(true)), deadline: node.deadline)
                #expect(half == (rows.count + 1) / 2)
            }
        }
    }

    static func importing(_ rows: [[UInt8]], into node: TestNode) async throws {
        for first in stride(from: 0, to: rows.count, by: 1000) {
            let points = rows[first..<min(first + 1000, rows.count)].enumerated().map { offset, row in
                Point(
                    id: .integer(UInt64(first + offset)), vector: Self.floats(row),
                    payload: Array(#"{"id":\#(first + offset),"even":\#((first + offset) % 2 == 0)}"#.utf8))
            }
            _ = try await node.service.upsert(points, into: "wordnet", deadline: node.deadline)
        }
    }

    static func searching(_ points: Int, on node: TestNode) async throws {
        let queries = try Self.load("queries.f16.npy", rowBytes: 768).map(Self.floats)
        let truth = try Self.load("neighbours.i32.npy", rowBytes: 400).map { row in
            row.withUnsafeBytes { $0.bindMemory(to: Int32.self).prefix(10).map(UInt64.init) }
        }
        let asked = ProcessInfo.processInfo.environment["APUS_TEST_QUERIES"].flatMap(Int.init) ?? queries.count
        let start = node.clock.now
        var found = 0
        for (query, truth) in zip(queries.prefix(asked), truth) {
            let hits = try await node.service.search(
                SearchRequest(vector: query, limit: 10, isExact: true), in: "wordnet", deadline: node.deadline
            ).hits
            let nearest = try await node.service.points(truth.map { .integer($0) }, in: "wordnet", with: .vector, deadline: node.deadline)
            let worst = nearest.map { zip($0.vector, query).reduce(0) { $0 + Double($1.0) * Double($1.1) } }.min() ?? 0
            found += hits.count { Double($0.score) >= worst - 1e-6 }
        }
        let recall = Double(found) / Double(10 * asked)
        let memory = try await node.service.collection("wordnet", deadline: node.deadline).memory
        print(
            "recall@10 \(recall), \(Int(Double(asked) / start.duration(to: node.clock.now).seconds)) queries/s, \(memory.bytes / points) bytes for each point"
        )
        #expect(recall >= 0.999)
    }
}
