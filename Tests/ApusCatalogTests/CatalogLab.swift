import ApusDatabase
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Glibc
import TestKit
import Testing

@testable import ApusCatalog

/// Which database a law runs on.
enum Backend: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite = "SQLite"
    case postgreSQL = "PostgreSQL"

    var testDescription: String { rawValue }
}

/// An empty database of its own for one test, and the catalogs ("nodes") that the test opens on it.
final class CatalogLab: Sendable {
    let backend: Backend
    /// What the first node uses; on SQLite all of them do, because one process owns the writer.
    let database: any Database
    /// For other processes; nil on SQLite.
    let url: Redacted<String>?

    private init(backend: Backend, database: any Database, url: Redacted<String>?) {
        self.backend = backend
        self.database = database
        self.url = url
    }

    let clock = BootClock()
    var deadline: Instant { deadline(in: .seconds(60)) }
    func deadline(in duration: Duration) -> Instant { clock.now.advanced(by: duration) }

    static func with(_ backend: Backend, _ body: (CatalogLab) async throws -> Void) async throws {
        switch backend {
        case .sqlite:
            let directory = try TemporaryDirectory()
            let database = try await SQLiteDatabase.open(path: directory.path + "/catalog.db")
            try await closing(database) { try await body(CatalogLab(backend: backend, database: database, url: nil)) }
            withExtendedLifetime(directory) {}
        case .postgreSQL:
            try await on(try await PostgreSQLServer.shared().newDatabase(), body)
        }
    }

    /// A lab on a database of a server that the test has to itself.
    static func on(_ url: Redacted<String>, _ body: (CatalogLab) async throws -> Void) async throws {
        let database = try await connect(url)
        try await closing(database) { try await body(CatalogLab(backend: .postgreSQL, database: database, url: url)) }
    }

    static func connect(_ url: Redacted<String>) async throws -> PostgreSQLDatabase {
        try await PostgreSQLDatabase.open(url: url, loops: TestLoops.shared, deadline: BootClock.now.advanced(by: .seconds(30)))
    }

    static func closing(_ database: any Database, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }

    /// The first node.
    func open(_ options: Catalog.Options = .init()) async throws -> Catalog {
        try await Catalog.open(database, clock: clock, options: options)
    }

    /// Another node, with connections of its own where the database allows it.
    func withAnother(_ options: Catalog.Options = .init(), _ body: (Catalog) async throws -> Void) async throws {
        guard let url else { return try await body(try await open(options)) }
        let database = try await Self.connect(url)
        try await Self.closing(database) { try await body(try await Catalog.open(database, clock: clock, options: options)) }
    }

    @discardableResult
    func run(_ sql: StaticSQL, _ parameters: [SQLValue] = []) async throws -> Rows {
        try await database.run([.once(sql, parameters)], on: .write, deadline: deadline)[0]
    }

    /// A collection's shards.
    func shards(_ count: Int, of catalog: Catalog) async throws -> [ShardID] {
        try await catalog.collections.create("c", configuration: "{}", shardCount: count, deadline: deadline).shards
    }
}

/// The error that `body` throws; a failure if it throws none, or one of another type.
func apusError(_ body: () async throws -> Void) async throws -> ApusError {
    do {
        try await body()
    } catch let error as ApusError {
        return error
    }
    throw BrokenExpectation()
}

struct BrokenExpectation: Error, CustomStringConvertible {
    var description: String { "an error was expected, and there was none" }
}
