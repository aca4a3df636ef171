import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit

/// The whole way of a user's points: `apus import` into a real node over HTTP, on SQLite and on PostgreSQL in turn, then exact searches
/// whose answers are compared with the true neighbours.
///
/// `APUS_BENCH_DATA` names a folder with `points.f16.npy`, `points.jsonl`, `queries.f16.npy` and, if they are known, the exact nearest rows
/// of each query by inner product in `neighbours.i32.npy`. Without it the points are made up and their neighbours found by comparing all.
enum ImportBench {
    static let rounds = BenchOptions.rounds(3)
    static let limit = 10

    static func run() async throws {
        var report = BenchReport("import")
        let directory = try TemporaryDirectory()
        let data = try Vectors.Files(of: BenchOptions.given?.data, orIn: directory.path)
        let points = try Vectors(float16: data.points)
        let queries = try Vectors(float16: data.queries)
        let truth = try data.neighbours.map { try Vectors.rows($0) } ?? queries.indices.map { points.nearest(to: queries[$0], limit) }
        print(
            "\(points.count) points of \(points.dimension) dimensions, \(rounds) rounds on each database, in turn; \(queries.count) searches"
        )

        let loops = EventLoops(count: 2)
        let server = try await PostgreSQLServer.start(
            name: "bench", settings: ["shared_buffers": "256MB", "max_wal_size": "4GB"], isDurable: true)
        var rates: [String: [Double]] = [:]
        report.row("", "points/s, min", "median", "max", "recall@\(limit)", "exact searches/s")
        for round in 0..<rounds {
            for database in ["sqlite", "postgresql"] {
                let place = "\(directory.path)/\(database)-\(round)"
                var arguments: [String] = []
                if database == "postgresql" {
                    let url = try await server.newDatabase()
                    try url.reveal().write(toFile: place + ".url", atomically: true, encoding: .utf8)
                    arguments = ["--catalog", place + ".url"]
                }
                let node = try await NodeProcess.start(directory: place, arguments: arguments, loops: loops)
                rates[database, default: []].append(Double(points.count) / (try await importing(data, into: node, on: loops.first)))
                if round == rounds - 1 {
                    let (recall, searchRate) = try await search(node, queries, points, truth)
                    let spread = Spread(rates[database] ?? [])
                    report.row(
                        database, BenchReport.short(spread.min), BenchReport.short(spread.median), BenchReport.short(spread.max),
                        String(format: "%.4f", recall), BenchReport.short(searchRate))
                    report.figure("\(database)_points_per_second", rates[database] ?? [])
                    report.figure("\(database)_recall_at_\(limit)", recall)
                    report.figure("\(database)_exact_searches_per_second", searchRate)
                }
                _ = await node.terminate()
            }
        }
        await server.stop()
        report.ratio("postgresql_to_sqlite", zip(rates["postgresql"] ?? [], rates["sqlite"] ?? []).map { $0 / $1 })
        try report.finish()
    }

    /// Seconds from the start of `apus import` to its end.
    private static func importing(_ data: Vectors.Files, into node: NodeProcess, on loop: EventLoop) async throws -> Double {
        let command = ChildProcess.Command(
            try NodeProcess.program(),
            ["import", "bench", data.points, "--payload", data.payloads, "--create", "--metric", "dot", "--url", node.url],
            environment: ["PATH": "/usr/bin:/bin", "HOME": node.directory], output: .file(node.directory + "-import.log"))
        let start = BootClock.now
        let exit = await (try ChildProcess.start(command, on: loop)).wait()
        guard exit == .status(0) else {
            throw ApusError(.processFailed, "the import failed: \(readText(node.directory + "-import.log").suffix(2000))")
        }
        return start.duration(to: BootClock.now).seconds
    }

    /// How much of the truth is found, and searches per second from four clients.
    private static func search(
        _ node: NodeProcess, _ queries: Vectors, _ points: Vectors, _ truth: [[Int]]
    ) async throws -> (recall: Double, perSecond: Double) {
        let start = BootClock.now
        let hits = try await withThrowingTaskGroup(of: Int.self) { group in
            for client in 0..<4 {
                group.addTask {
                    var hits = 0
                    for index in stride(from: client, to: queries.count, by: 4) {
                        let query = queries[index]
                        let body = "{\"vector\": \(query), \"limit\": \(limit), \"exact\": true, \"with_payload\": false}"
                        let reply = try await node.send(.post, "/collections/bench/search", body)
                        let found = (reply.body["results"]?.asArray ?? []).compactMap {
                            $0["id"].flatMap { Int("\($0)".filter(\.isNumber)) }
                        }
                        let exact = truth[index].prefix(limit)
                        // A point as near as the last of the true ones is as true: ties have no order.
                        let bound = exact.last.map { points.dot($0, query) - 1e-6 } ?? 0
                        hits += Set(found).count { exact.contains($0) || points.dot($0, query) >= bound }
                    }
                    return hits
                }
            }
            return try await group.reduce(0, +)
        }
        let seconds = start.duration(to: BootClock.now).seconds
        return (Double(hits) / Double(queries.count * limit), Double(queries.count) / seconds)
    }
}
