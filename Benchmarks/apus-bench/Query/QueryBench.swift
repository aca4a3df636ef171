import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit

/// GraphQL over HTTP beside what PostgreSQL gives to its own load generator with the same statements, and beside a Python server; and replies
/// that are kept. All in turn, in one run.
struct QueryBench {
    private static let rounds = 3
    private static let seconds = 2
    private static let connections = [1, 16, 64]
    /// Different requests whose replies are kept: few enough that all are, before they are measured.
    private static let keptBodies = 100

    private enum System: String, CaseIterable {
        case database = "pgbench"
        case own = "apus"
        case python
        case kept = "l1"
        case shared = "redis"
    }

    private struct Measurement {
        var perSecond: Double
        var p50 = Double.nan
        var p99 = Double.nan
        /// Of the server, microseconds for each request; bytes at most.
        var cpu = Double.nan
        var peak = Double.nan
    }

    private let server: PostgreSQLServer
    private let nodes: ShopNodes
    private let python: PythonShop
    private let directory: TemporaryFolder
    private let loop: EventLoop

    static func run() async throws {
        let loops = EventLoops(count: 1)
        let directory = try TemporaryFolder()
        defer { directory.remove() }
        var report = BenchReport("query")
        report.describeMachine()
        progress("making the shop")
        let server = try await QueryShop.start()
        let bench = QueryBench(
            server: server, nodes: try await ShopNodes.start(server, in: directory, loops: loops),
            python: try await PythonShop.start(database: server.url(database: "shop"), in: directory, loops: loops),
            directory: directory, loop: loops.first)
        report.row(
            "operation", "connections", "server", "per s", "p50, ms", "p99, ms", "CPU µs each", "peak, MB", "Apus to it: min",
            "median", "max")
        for connections in Self.connections { try await bench.askNothing(connections, &report) }
        let only = ProcessInfo.processInfo.environment["APUS_BENCH_CASES"].map { $0.split(separator: ",").map(String.init) }
        for test in QueryShop.cases where only?.contains(test.name) != false {
            for connections in Self.connections { try await bench.compare(test, connections, &report) }
        }
        bench.python.process.send(signal: SIGTERM)
        _ = await bench.python.process.wait()
        await bench.nodes.stop()
        await server.stop()
        try report.finish()
    }

    /// What HTTP, the key and an operation take by themselves on this machine: no case can be below it.
    private func askNothing(_ connections: Int, _ report: inout BenchReport) async throws {
        progress("nothing, \(connections) connections")
        let load = try SearchLoad([#"{"query": "{ __typename }"}"#], to: "/query", of: nodes.own, in: directory.path, on: loop)
        var found: [Measurement] = []
        for round in 0..<BenchOptions.rounds(Self.rounds) {
            found.append(try await measure(load, of: nodes.own.identifier, connections, isFirst: round == 0))
        }
        report.figure("nothing_\(connections)_cpu_us", found.map(\.cpu))
        let (rate, p50, p99) = (Spread(found.map(\.perSecond)), Spread(found.map(\.p50)), Spread(found.map(\.p99)))
        let cells = [rate, p50, p99, Spread(found.map(\.cpu)), Spread(found.map(\.peak))].map { BenchReport.short($0.median) }
        report.row(["{ __typename }", "\(connections)", System.own.rawValue] + cells + ["", "", ""])
    }

    static func printTables() throws {
        let files = (BenchOptions.given?.data ?? "").split(separator: ",")
        guard !files.isEmpty else { throw ApusError(.usage, "--data takes the files of results") }
        let results = try files.map { try JSONValue(parsing: Array(try Data(contentsOf: URL(fileURLWithPath: String($0))))) }
        print(QueryTables(results).markdown, terminator: "")
    }

    private func compare(_ test: QueryShop.Case, _ connections: Int, _ report: inout BenchReport) async throws {
        progress("\(test.name), \(connections) connections")
        let systems = System.allCases.filter { !test.isWrite || ![.kept, .shared].contains($0) }
        var found: [System: [Measurement]] = [:]
        for round in 0..<BenchOptions.rounds(Self.rounds) {
            for turn in systems.indices {
                let system = systems[(turn + round) % systems.count]
                found[system, default: []].append(try await measure(system, test, connections, isFirst: round == 0))
            }
        }
        let own = found[.own] ?? []
        let key = "\(test.name.replacing(" ", with: "_"))_\(connections)"
        for system in systems {
            guard let all = found[system] else { continue }
            let name = key + (system == .own ? "" : "_" + system.rawValue)
            report.figure("\(name)_per_second", all.map(\.perSecond))
            var cells = [test.name, "\(connections)", system.rawValue, BenchReport.short(Spread(all.map(\.perSecond)).median)]
            let figures = [
                ("p50_ms", all.map(\.p50)), ("p99_ms", all.map(\.p99)), ("cpu_us", all.map(\.cpu)), ("peak_mb", all.map(\.peak)),
            ]
            for (figure, values) in figures {
                if system == .database {
                    cells.append("")
                } else {
                    report.figure("\(name)_\(figure)", values)
                    cells.append(BenchReport.short(Spread(values).median))
                }
            }
            if system != .own {
                let ratios = zip(own, all).map { $0.perSecond / $1.perSecond }
                if system == .database || system == .python { report.ratio("\(key)_to_\(system.rawValue)", ratios) }
                let spread = Spread(ratios)
                cells += [spread.min, spread.median, spread.max].map(BenchReport.short)
            }
            report.row(cells)
        }
    }

    private func measure(
        _ system: System, _ test: QueryShop.Case, _ connections: Int, isFirst: Bool
    ) async throws -> Measurement {
        switch system {
        case .database:
            let bench = try await PgBench(test, server, database: "shop", in: directory.path, on: loop)
            return Measurement(perSecond: try await bench.run(connections: connections, seconds: Self.seconds))
        case .own: return try await measure(nodes.own, test, test.text, connections, isFirst: isFirst)
        case .kept: return try await measure(nodes.own, test, test.keptText, connections, isFirst: isFirst, hits: "hit")
        case .shared: return try await measure(nodes.sharing, test, test.keptText, connections, isFirst: isFirst, hits: "shared_hit")
        case .python:
            let bodies = test.bodies(test.peerText, count: 5000, seed: UInt64(connections))
            let load = try SearchLoad(bodies, to: python.url, key: "none", in: directory.path, on: loop)
            return try await measure(load, of: python.process.identifier, connections, isFirst: isFirst)
        }
    }

    /// `hits`: where the replies must have come from.
    private func measure(
        _ node: NodeProcess, _ test: QueryShop.Case, _ text: String, _ connections: Int, isFirst: Bool, hits: String? = nil
    ) async throws -> Measurement {
        let bodies = test.bodies(text, count: hits == nil ? 5000 : Self.keptBodies, seed: UInt64(connections))
        // An error is an answer, too: one look at it before it is counted as one. What is kept is asked for now.
        for body in isFirst && hits != nil ? bodies : [bodies[0]] {
            let reply = try await node.send(.post, "/query", body)
            guard reply.status == 200, reply.body["errors"] == nil else {
                throw ApusError(.processFailed, "a request was answered with \(reply.status): \(reply.body)")
            }
        }
        let load = try SearchLoad(bodies, to: "/query", of: node, in: directory.path, on: loop)
        guard let hits else { return try await measure(load, of: node.identifier, connections, isFirst: isFirst) }
        let before = try await Self.kept(hits, node)
        let measured = try await measure(load, of: node.identifier, connections, isFirst: false)
        let asked = measured.perSecond * Double(Self.seconds), found = try await Self.kept(hits, node) - before
        guard found > 0.95 * asked else {
            throw ApusError(.processFailed, "\(Int(found)) of \(Int(asked)) replies of \(test.name) had been kept (\(hits))")
        }
        return measured
    }

    /// Whoever asks while another one looks into the shared cache for the same has its answer.
    private static func kept(_ result: String, _ node: NodeProcess) async throws -> Double {
        try await node.metrics().split(separator: "\n").reduce(0) { sum, line in
            let isCounted = [result, "joined"].contains { line.hasPrefix("apus_query_cache_requests_total{result=\"\($0)\"}") }
            return isCounted ? sum + (line.split(separator: " ").last.flatMap { Double($0) } ?? 0) : sum
        }
    }

    private func measure(_ load: SearchLoad, of process: Int32, _ connections: Int, isFirst: Bool) async throws -> Measurement {
        if isFirst { _ = try await load.run(connections: connections, seconds: 1) }
        let family = ProcessTimes.family(of: process)
        for member in family { resetPeakMemory(of: member) }
        let before = ProcessTimes.seconds(of: process)
        let result = try await load.run(connections: connections, seconds: Self.seconds)
        let cpu = (ProcessTimes.seconds(of: process) - before) / (result.perSecond * Double(Self.seconds)) * 1e6
        let peak = family.reduce(0) { $0 + processMemory("VmHWM", of: $1) }
        return Measurement(
            perSecond: result.perSecond, p50: result.median, p99: result.p99, cpu: cpu, peak: Double(peak) / 1e6)
    }
}
