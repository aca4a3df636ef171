import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit

/// A million rows of eight columns from PostgreSQL into a DataFrame: through a node and the unmodified hugr-client, and by drivers of
/// PostgreSQL without anything between.
enum ArrowBench {
    private static let rows = 1_000_000
    private static let systems = ["hugr", "canned", "adbc", "adbc_text", "psycopg"]

    private static let schema = """
        type wide @table(name: "wide") {
          id: BigInt! @pk  customer_id: Int  score: Float  price: Float  name: String  placed: Timestamp  is_paid: Boolean  note: String
        }
        """

    private static let tables = """
        CREATE TABLE wide (id bigint PRIMARY KEY, customer_id int NOT NULL, score float8 NOT NULL, price numeric(10,2) NOT NULL,
            name text NOT NULL, placed timestamptz NOT NULL, is_paid boolean NOT NULL, note text);
        INSERT INTO wide SELECT i, i % 10000, sqrt(i), (i % 100000) / 7.0, 'a row of the table, it has number ' || i,
            timestamptz '2026-01-01' + i * interval '1 second', i % 3 = 0, CASE WHEN i % 4 > 0 THEN 'note ' || i % 1000 END
            FROM generate_series(1, \(rows)) i;
        VACUUM ANALYZE wide;
        """

    private struct Measurement {
        var seconds: Double
        /// Of the node: seconds, and bytes above what it had before.
        var cpu = Double.nan
        var grown = Double.nan
    }

    static func run() async throws {
        let loops = EventLoops(count: 1)
        let directory = try TemporaryFolder()
        defer { directory.remove() }
        var report = BenchReport("arrow")
        report.describeMachine()
        let python = try PythonPackages.install("requirements-arrow.txt", in: ".deps/arrow-peer")
        progress("making the table")
        let server = try await PostgreSQLServer.start(settings: ["shared_buffers": "512MB"], isDurable: true)
        try await server.execute("CREATE DATABASE shop")
        for statement in tables.split(separator: ";\n") { try await server.execute(String(statement), database: "shop") }
        let node = try await ShopNodes.node("own", schema: schema, server, in: directory, loops: loops)
        var found: [String: [Measurement]] = [:]
        for round in 0..<BenchOptions.rounds(5) {
            for turn in systems.indices {
                let system = systems[(turn + round) % systems.count]
                progress("round \(round + 1), \(system)")
                let measured = try await measure(system, python, node, server, in: directory, on: loops.first)
                found[system, default: []].append(measured)
            }
        }
        report.row("", "s: min", "median", "max", "node's CPU, s", "node's memory above idle, MB", "hugr to it: min", "median", "max")
        let own = found["hugr"] ?? []
        for system in systems {
            guard let all = found[system] else { continue }
            let seconds = Spread(all.map(\.seconds))
            report.figure("\(system)_seconds", all.map(\.seconds))
            var cells = [system] + [seconds.min, seconds.median, seconds.max].map(BenchReport.short)
            if system == "hugr" {
                report.figure("node_cpu_seconds", all.map(\.cpu))
                report.figure("node_grown_mb", all.map(\.grown))
                cells += [Spread(all.map(\.cpu)).median, Spread(all.map(\.grown)).max].map(BenchReport.short)
            } else {
                let ratios = zip(own, all).map { $0.seconds / $1.seconds }
                report.ratio("seconds_to_\(system)", ratios)
                let spread = Spread(ratios)
                cells += ["", ""] + [spread.min, spread.median, spread.max].map(BenchReport.short)
            }
            report.row(cells)
        }
        _ = await node.terminate()
        await server.stop()
        try report.finish()
    }

    private static func measure(
        _ system: String, _ python: String, _ node: NodeProcess, _ server: PostgreSQLServer, in directory: TemporaryFolder,
        on loop: EventLoop
    ) async throws -> Measurement {
        let log = directory.path + "/arrow.log"
        unlink(log)
        resetPeakMemory(of: node.identifier)
        let before = (ProcessTimes.seconds(of: node.identifier), processMemory("VmRSS", of: node.identifier))
        let command = ChildProcess.Command(
            FileManager.default.currentDirectoryPath + "/" + python,
            ["-B", "Benchmarks/peers/arrow.py", system, node.url, node.key, server.url(database: "shop").reveal()],
            environment: ["PATH": "/usr/bin:/bin", "HOME": directory.path], output: .file(log))
        _ = await (try ChildProcess.start(command, on: loop)).wait()
        let output = readText(log)
        guard let reply = output.split(separator: "\n").last, let json = try? JSONValue(parsing: Array(reply.utf8)),
            let seconds = json["seconds"]?.asDouble, json["rows"]?.asInteger == Int64(rows), json["columns"]?.asInteger == 8,
            json["sum"]?.asDouble == 7_142_785_714.3
        else { throw ApusError(.processFailed, "\(system) did not give the table: \(output)") }
        return Measurement(
            seconds: seconds, cpu: ProcessTimes.seconds(of: node.identifier) - before.0,
            grown: Double(processMemory("VmHWM", of: node.identifier) - before.1) / 1e6)
    }
}
