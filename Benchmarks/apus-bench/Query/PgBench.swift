import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation

/// PostgreSQL's own load generator with the very statements that Apus sends, prepared: what the database gives without anything before it.
struct PgBench {
    private let server: PostgreSQLServer
    private let database: String
    private let script: String
    private let directory: String
    private let loop: EventLoop

    init(_ test: QueryShop.Case, _ server: PostgreSQLServer, database: String, in directory: String, on loop: EventLoop) async throws {
        self.server = server
        self.database = database
        self.directory = directory
        self.loop = loop
        script = directory + "/pgbench.sql"
        var lines = ["\\set id random(\(test.ids.lowerBound), \(test.ids.upperBound))"]
        var count = 0
        let statements = try await QueryShop.statements(of: test)
        if test.isWrite { lines.append("BEGIN;") }
        for (sql, parameters) in statements {
            var sql = sql
            // From the last one, because $1 is the beginning of $10.
            for (number, value) in parameters.enumerated().reversed() {
                var name = ":id"
                if value != "4711" {
                    count += 1
                    name = ":p\(count)"
                    lines.append(Int(value).map { "\\set p\(count) \($0)" } ?? "\\set p\(count) 0")
                    if Int(value) == nil { name = "'\(value)'" }
                }
                sql = sql.replacing("$\(number + 1)", with: name)
            }
            lines.append(sql.replacing("\n", with: " ") + ";")
        }
        if test.isWrite { lines.append("COMMIT;") }
        try (lines.joined(separator: "\n") + "\n").write(toFile: script, atomically: true, encoding: .utf8)
    }

    /// Transactions per second.
    func run(connections: Int, seconds: Int) async throws -> Double {
        let log = directory + "/pgbench.log"
        unlink(log)
        let command = ChildProcess.Command(
            try PostgreSQLServer.program("pgbench"),
            [
                "-n", "-M", "prepared", "-f", script, "-c", "\(connections)", "-j", connections == 1 ? "1" : "2", "-T", "\(seconds)", "-h",
                "127.0.0.1", "-p", "\(server.port)", "-U", "apus", database,
            ], environment: ["LC_ALL": "C", "PGSSLMODE": "disable"], output: .file(log))
        _ = await (try ChildProcess.start(command, on: loop)).wait()
        let output = readText(log)
        guard let line = output.split(separator: "\n").first(where: { $0.hasPrefix("tps = ") }),
            let rate = line.split(separator: " ").dropFirst(2).first.flatMap({ Double($0) }), rate > 0
        else { throw ApusError(.processFailed, "pgbench has no result: \(output)") }
        return rate
    }
}
