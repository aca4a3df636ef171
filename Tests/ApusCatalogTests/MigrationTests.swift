import ApusDatabase
import ApusRuntime
import ApusTypes
import CatalogTestKit
import Foundation
import Synchronization
import TestKit
import Testing

@testable import ApusCatalog

@Suite("migrations")
struct MigrationTests {
    private static func next(minReader: Int64 = 1, minWriter: Int64 = 1, sql: StaticSQL = "CREATE TABLE apus.later (x bigint)") -> Migration
    {
        Migration(
            number: Int64(Migration.all.count) + 1, name: "later", minReader: minReader, minWriter: minWriter,
            steps: [.both(sql)])
    }

    private static func migrator(_ lab: CatalogLab, adding: Migration, version: String = "9.9") -> Migrator {
        Migrator(database: lab.database, migrations: Migration.all + [adding], version: version)
    }

    @Test("opening twice, and five nodes at once, applies each migration once", arguments: Backend.allCases)
    func once(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let identities = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<5 {
                    group.addTask {
                        let id = Mutex("")
                        try await lab.withAnother { catalog in id.withLock { $0 = catalog.identity.id } }
                        return id.withLock { $0 }
                    }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(identities.count == 1)
            _ = try await lab.open()
            #expect(try await lab.run("SELECT count(*) FROM apus.migration")[0].integer(0) == Int64(Migration.all.count))
        }
    }

    @Test("a format that old programs cannot write is refused, naming the version to run", arguments: Backend.allCases)
    func refusesNext(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            _ = try await lab.open()
            let next = Self.next(minReader: 1, minWriter: Int64(Migration.all.count) + 1)
            try await Self.migrator(lab, adding: next).migrate(deadline: lab.deadline)
            let error = try await apusError { _ = try await lab.open() }
            #expect(error.code == .catalogIncompatible)
            #expect(error.hint?.contains("9.9") == true)
            // Old readers may go on, because the migration says so.
            try await Migrator(database: lab.database, migrations: Migration.all, version: "0.1").check(deadline: lab.deadline)
        }
    }

    @Test("a format that old programs can write is used by both side by side", arguments: Backend.allCases)
    func sideBySide(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let old = try await lab.open()
            try await Self.migrator(lab, adding: Self.next()).migrate(deadline: lab.deadline)
            try await lab.withAnother { stillOld in
                try await old.settings.set("a", to: "1", deadline: lab.deadline)
                #expect(try await stillOld.settings.all(deadline: lab.deadline) == ["a": "1"])
            }
        }
    }

    @Test("a migration that was applied with other contents is refused", arguments: Backend.allCases)
    func checksum(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            _ = try await lab.open()
            try await Self.migrator(lab, adding: Self.next()).migrate(deadline: lab.deadline)
            let changed = Self.migrator(lab, adding: Self.next(sql: "CREATE TABLE apus.later (y bigint)"))
            let error = try await apusError { try await changed.migrate(deadline: lab.deadline) }
            #expect(error.code == .catalogIncompatible)
        }
    }

    @Test("a migration that fails leaves nothing of itself", arguments: Backend.allCases)
    func failure(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            _ = try await lab.open()
            var broken = Self.next()
            broken.steps.append(.both("CREATE TABLE apus.later (x bigint)"))
            _ = try await apusError { try await Self.migrator(lab, adding: broken).migrate(deadline: lab.deadline) }
            #expect(try await lab.run("SELECT count(*) FROM apus.migration")[0].integer(0) == Int64(Migration.all.count))
            try await Self.migrator(lab, adding: Self.next()).migrate(deadline: lab.deadline)
        }
    }

    @Test("a reader changes nothing, and says so when there is no catalog", arguments: Backend.allCases)
    func readOnly(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            var options = Catalog.Options()
            options.isReadOnly = true
            let missing = try await apusError { _ = try await lab.open(options) }
            #expect(missing.code == .catalogIncompatible)
            let writer = try await lab.open()
            try await writer.settings.set("a", to: "1", deadline: lab.deadline)
            let reader = try await lab.open(options)
            #expect(try await reader.settings.all(deadline: lab.deadline) == ["a": "1"])
            let refused = try await apusError { try await reader.settings.set("a", to: "2", deadline: lab.deadline) }
            #expect(refused.code == .catalogReadOnly)
            let appended = try await apusError {
                _ = try await reader.log.append(AppendRequest(appends: []), deadline: lab.deadline)
            }
            #expect(appended.code == .catalogReadOnly)
            #expect(try await reader.retention.sweep(deadline: lab.deadline).isEmpty)
        }
    }

    @Test("a prepared file serves read-only, and is not written to")
    func preparedFile() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/catalog.db"
        let deadline = BootClock.now.advanced(by: .seconds(60))
        var shard = ShardID(0)
        let writer = try await SQLiteDatabase.open(path: path)
        try await CatalogLab.closing(writer) {
            let catalog = try await Catalog.open(writer, clock: BootClock())
            shard = try await catalog.collections.create("c", configuration: "{}", shardCount: 1, deadline: deadline).shards[0]
            _ = try await catalog.log.append(AppendRequest(appends: [LogAppend(shard: shard, operation: [7])]), deadline: deadline)
        }
        let before = Digest(of: Array(try Data(contentsOf: URL(fileURLWithPath: path))))
        let files = TemporaryDirectory.entries(directory.path).sorted()
        let reader = try await SQLiteDatabase.open(path: path, mode: .readOnly)
        try await CatalogLab.closing(reader) {
            var options = Catalog.Options()
            options.isReadOnly = true
            let catalog = try await Catalog.open(reader, clock: BootClock(), options: options)
            var follower = LogFollower(shard: shard, incarnation: catalog.incarnation)
            try await follower.catchUp(with: catalog.log, deadline: deadline)
            #expect(follower.operations == [[7]])
            var events = catalog.feed.follow(from: nil).makeAsyncIterator()
            guard case .rebuild(let head, _)? = try await events.next() else { throw BrokenLaw("no rebuild") }
            #expect(head.version == 1)
            let refused = try await apusError { try await catalog.collections.delete("c", deadline: deadline) }
            #expect(refused.code == .catalogReadOnly)
        }
        #expect(Digest(of: Array(try Data(contentsOf: URL(fileURLWithPath: path)))) == before)
        #expect(TemporaryDirectory.entries(directory.path).sorted() == files)
    }

    @Test("migrating waits for nobody's heartbeat, and no heartbeat waits for it")
    func heartbeats() async throws {
        try await CatalogLab.with(.postgreSQL) { lab in
            let node = try await lab.open()
            try await lab.withAnother { other in
                let deadline = lab.deadline
                // Somebody holds the migration's lock and has created a table, as in the middle of a migration.
                try await other.database.transaction(.write, on: .write, deadline: deadline) { transaction in
                    _ = try await transaction.run([
                        .once("SELECT pg_advisory_xact_lock(4707210917)"), .once("CREATE TABLE apus.later (x bigint)"),
                    ])
                    _ = try await node.nodes.register(NodeRegistration(name: "n1", url: "http://n1"), deadline: deadline)
                    _ = try await lab.run(
                        "INSERT INTO apus.session (node, epoch, process, expires_at, renewals, report) VALUES ('n1', 1, 'p', 0, 0, '')")
                    _ = try await lab.run("UPDATE apus.session SET renewals = renewals + 1")
                    _ = try await lab.open()
                }
            }
        }
    }

    @Test("nothing else in the database is touched")
    func foreignTables() async throws {
        try await CatalogLab.with(.postgreSQL) { lab in
            for sql: StaticSQL in [
                "CREATE TABLE public.nodes (id bigint PRIMARY KEY, name text)", "INSERT INTO public.nodes VALUES (1, 'theirs')",
                "CREATE TABLE public.migration (version text)", "CREATE SCHEMA other", "CREATE TABLE other.shard_log (x bigint)",
                "CREATE FUNCTION public.clock() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
            ] {
                try await lab.run(sql)
            }
            let objects: StaticSQL = """
                SELECT string_agg(n.nspname || '.' || c.relname || ':' || c.relkind::text || ':' || c.relfilenode || ':' || c.xmin, ' ' ORDER BY c.oid)
                FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname IN ('public', 'other')
                """
            let before = try await lab.run(objects)[0].text(0)
            let catalog = try await lab.open()
            _ = try await catalog.nodes.register(NodeRegistration(name: "n1", url: "http://n1"), deadline: lab.deadline)
            _ = try await catalog.collections.create("c", configuration: "{}", shardCount: 2, deadline: lab.deadline)
            #expect(try await lab.run(objects)[0].text(0) == before)
            #expect(try await lab.run("SELECT name FROM public.nodes")[0].text(0) == "theirs")
            let schemas = try await lab.run(
                "SELECT DISTINCT n.nspname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relname = 'operation_3'"
            )
            #expect(try schemas.map { try $0.text(0) } == ["apus"])
        }
    }
}
