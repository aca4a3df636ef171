import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit

/// GraphQL over HTTP beside what PostgreSQL gives to its own load generator: the same statements, in turn, in one run.
enum QueryBench {
    private static let rounds = 3
    private static let seconds = 3
    private static let connections = [1, 16, 64]

    private struct Round {
        var own: SearchLoad.Result
        var database: Double
        /// Of the node, microseconds for each request.
        var cpu: Double
    }

    static func run() async throws {
        let loops = EventLoops(count: 1)
        let directory = try TemporaryFolder()
        defer { directory.remove() }
        progress("making the shop")
        let server = try await PostgreSQLServer.start(
            settings: ["shared_buffers": "512MB", "max_connections": "200"], isDurable: true)
        try await server.execute("CREATE DATABASE shop")
        for statement in QueryShop.tables.split(separator: ";\n") { try await server.execute(String(statement), database: "shop") }
        let node = try await start(server, in: directory, loops: loops)
        var report = BenchReport("query")
        report.row(
            "operation", "connections", "pgbench, per s", "Apus, per s", "ratio: min", "median", "max", "p50, ms", "p99, ms",
            "CPU µs each", "peak, MB")
        let only = ProcessInfo.processInfo.environment["APUS_BENCH_CASES"].map { $0.split(separator: ",").map(String.init) }
        for test in QueryShop.cases where only?.contains(test.name) != false {
            for connections in connections {
                progress("\(test.name), \(connections) connections")
                var found: [Round] = []
                for number in 0..<BenchOptions.rounds(rounds) {
                    found.append(
                        try await measure(test, connections, node, server, directory, loops.first, isDatabaseFirst: number % 2 == 0))
                }
                add(found, of: test, connections, peak: processMemory("VmHWM", of: node.identifier), to: &report)
            }
        }
        _ = await node.terminate()
        await server.stop()
        try report.finish()
    }

    private static func start(_ server: PostgreSQLServer, in directory: TemporaryFolder, loops: EventLoops) async throws -> NodeProcess {
        try directory.write(QueryShop.schema, to: "shop.graphql")
        try directory.write(
            """
            query:
              sources:
                - {name: shop, type: postgres, path: "[$SHOP]", schema: ["\(directory.path)/shop.graphql"]}
            """, to: "apus.yml")
        return try await NodeProcess.start(
            directory: directory.path + "/data", arguments: ["--config", directory.path + "/apus.yml"],
            environment: ["SHOP": server.url(database: "shop").reveal()], loops: loops)
    }

    private static func measure(
        _ test: QueryShop.Case, _ connections: Int, _ node: NodeProcess, _ server: PostgreSQLServer, _ directory: TemporaryFolder,
        _ loop: EventLoop, isDatabaseFirst: Bool
    ) async throws -> Round {
        var random = SeededGenerator(seed: UInt64(connections))
        let bodies = (0..<5000).map { _ in
            JSONValue.object(["query": .string(test.text), "variables": ["id": .integer(Int64(Int.random(in: test.ids, using: &random)))]])
                .description
        }
        let load = try SearchLoad(bodies, to: "/query", of: node, in: directory.path, on: loop)
        let bench = try await PgBench(test, server, database: "shop", in: directory.path, on: loop)
        try await expectAnswer(to: bodies[0], node)
        var database = 0.0
        if isDatabaseFirst { database = try await bench.run(connections: connections, seconds: seconds) }
        _ = try await load.run(connections: connections, seconds: 1)
        let before = ProcessTimes.seconds(of: node.identifier)
        let own = try await load.run(connections: connections, seconds: seconds)
        let cpu = (ProcessTimes.seconds(of: node.identifier) - before) / (own.perSecond * Double(seconds)) * 1e6
        if !isDatabaseFirst { database = try await bench.run(connections: connections, seconds: seconds) }
        return Round(own: own, database: database, cpu: cpu)
    }

    /// An error is an answer, too: one look at it before it is counted as one.
    private static func expectAnswer(to body: String, _ node: NodeProcess) async throws {
        let reply = try await node.send(.post, "/query", body)
        guard reply.status == 200, reply.body["errors"] == nil else {
            throw ApusError(.processFailed, "a request was answered with \(reply.status): \(reply.body)")
        }
    }

    private static func add(_ found: [Round], of test: QueryShop.Case, _ connections: Int, peak: Int, to report: inout BenchReport) {
        let key = "\(test.name.replacing(" ", with: "_"))_\(connections)"
        let ratios = found.map { $0.own.perSecond / $0.database }
        report.ratio("\(key)_to_pgbench", ratios)
        report.figure("\(key)_per_second", found.map(\.own.perSecond))
        report.figure("\(key)_pgbench_per_second", found.map(\.database))
        report.figure("\(key)_p50_ms", found.map(\.own.median))
        report.figure("\(key)_p99_ms", found.map(\.own.p99))
        report.figure("\(key)_cpu_us", found.map(\.cpu))
        let spread = Spread(ratios)
        report.row(
            [test.name, "\(connections)"]
                + [
                    Spread(found.map(\.database)).median, Spread(found.map(\.own.perSecond)).median, spread.min, spread.median, spread.max,
                    Spread(found.map(\.own.median)).median, Spread(found.map(\.own.p99)).median, Spread(found.map(\.cpu)).median,
                    Double(peak) / 1e6,
                ].map(BenchReport.short))
    }
}
