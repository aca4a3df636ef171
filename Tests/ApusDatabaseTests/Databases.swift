import ApusDatabase
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import TestKit
import Testing

/// The implementations that the laws hold for.
enum Implementation: String, CaseIterable, CustomTestStringConvertible {
    case sqlite, postgreSQL

    var testDescription: String { rawValue }

    /// Runs `body` with a new, empty database, and closes it.
    func with(_ body: (any Database) async throws -> Void) async throws {
        switch self {
        case .sqlite:
            let directory = try TemporaryDirectory()
            let database = try await SQLiteDatabase.open(path: directory.path + "/catalog.db")
            try await use(database, body)
            withExtendedLifetime(directory) {}
        case .postgreSQL:
            let url = try await PostgreSQLServer.shared().newDatabase()
            let database = try await PostgreSQLDatabase.open(url: url, loops: TestLoops.shared, deadline: soon())
            try await database.transaction(.write, on: .write, deadline: soon()) { transaction in
                _ = try await transaction.run([.once("CREATE SCHEMA apus")])
            }
            try await use(database, body)
        }
    }
}

func use(_ database: any Database, _ body: (any Database) async throws -> Void) async throws {
    do {
        try await body(database)
    } catch {
        await database.close()
        throw error
    }
    await database.close()
}

func soon(_ seconds: Double = 30) -> Instant { BootClock.now.advanced(by: .milliseconds(Int64(seconds * 1000))) }

extension Database {
    @discardableResult
    func write(_ statements: Statement..., deadline: Instant = soon()) async throws -> [Rows] {
        try await transaction(.write, on: .write, deadline: deadline) { try await $0.run(statements) }
    }

    func read(_ sql: StaticSQL, _ parameters: [SQLValue] = [], deadline: Instant = soon()) async throws -> Rows {
        try await run([Statement(sql, parameters)], on: .read, deadline: deadline)[0]
    }
}

/// The code that `body` fails with; records an issue if it does not fail, or with something else than an `ApusError`.
func code(
    sourceLocation: SourceLocation = #_sourceLocation, of body: () async throws -> Void
) async -> ErrorCode? {
    do {
        try await body()
        Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    } catch let error as ApusError {
        return error.code
    } catch {
        Issue.record("thrown: \(error)", sourceLocation: sourceLocation)
    }
    return nil
}
