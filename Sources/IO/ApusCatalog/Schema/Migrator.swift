internal import ApusDatabase
internal import ApusRuntime
internal import ApusTypes

/// Brings the schema to what this program knows, or says why it may not be used.
struct Migrator {
    let database: any Database
    let migrations: [Migration]
    /// Of this program, for the row that the next one reads.
    let version: String

    private var format: Int64 { migrations.last?.number ?? 0 }

    /// Stands for "somebody migrates". Heartbeats and appends do not take it.
    private static let lock = Statement("SELECT pg_advisory_xact_lock(4707210917)")

    private static let applied = Statement("SELECT number, checksum, version FROM apus.migration ORDER BY number")
    private static let formats = Statement("SELECT version, min_reader, min_writer, written_by FROM apus.format WHERE name = 'catalog'")

    /// Whether the catalog has a schema of ours at all.
    private func exists(_ run: (Statement) async throws -> Rows) async throws -> Bool {
        switch database.dialect {
        case .postgreSQL:
            // Not to_regclass(): it asks a cache, which may not have heard yet of what another node has just made.
            try await run(
                Statement(
                    """
                    SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                                   WHERE n.nspname = 'apus' AND c.relname = 'migration')
                    """))[0].bool(0)
        case .sqlite: try await run(Statement("SELECT count(*) > 0 FROM apus.sqlite_schema WHERE name = 'migration'"))[0].bool(0)
        }
    }

    /// For readers: changes nothing.
    func check(deadline: Instant) async throws {
        func run(_ statement: Statement) async throws -> Rows {
            try await database.run([statement], on: .read, deadline: deadline)[0]
        }
        guard try await exists(run) else {
            throw ApusError(
                .catalogIncompatible, "this database holds no catalog", hint: "start a node that may write to it once, or check its address"
            )
        }
        try verify(applied: try await run(Self.applied), formats: try await run(Self.formats), writing: false)
    }

    /// For writers: applies what is missing, each migration in a transaction of its own.
    func migrate(deadline: Instant) async throws {
        // Looking first keeps the usual start free of locks.
        func look(_ statement: Statement) async throws -> Rows {
            try await database.run([statement], on: .write, deadline: deadline)[0]
        }
        var current: Int64 = 0
        if try await exists(look) { current = try await state(look) }
        while current < format {
            let patience = BootClock.now.duration(to: deadline)
            current = try await database.transaction(.write.lockTimeout(patience), on: .write, deadline: deadline) { transaction in
                func run(_ statement: Statement) async throws -> Rows { try await transaction.run([statement])[0] }
                if database.dialect == .postgreSQL {
                    // Waits for another migration as long as it takes; what waits for a table longer than this gives up, because
                    // everybody else who wants the table queues behind it.
                    _ = try await transaction.run([Self.lock, Statement("SET LOCAL lock_timeout = 500")])
                }
                if try await !exists(run) { _ = try await transaction.run(foundations) }
                // Somebody else may have migrated while this one waited.
                let current = try await state(run)
                guard let next = migrations.first(where: { $0.number > current }) else { return current }
                _ = try await transaction.run(next.steps.compactMap { $0.sql(for: database.dialect) }.map { .once($0) } + bookkeeping(next))
                return next.number
            }
        }
    }

    private func state(_ run: (Statement) async throws -> Rows) async throws -> Int64 {
        let applied = try await run(Self.applied)
        try verify(applied: applied, formats: try await run(Self.formats), writing: true)
        return try applied.last?.integer(0) ?? 0
    }

    private var foundations: [Statement] {
        let tables: [Statement] = [
            Statement(
                """
                CREATE TABLE apus.migration (
                    number bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, version text NOT NULL, applied_at bigint NOT NULL)
                """),
            Statement(
                """
                CREATE TABLE apus.format (
                    name text PRIMARY KEY, version bigint NOT NULL, min_reader bigint NOT NULL, min_writer bigint NOT NULL,
                    written_by text NOT NULL)
                """),
        ]
        return database.dialect == .postgreSQL ? [Statement("CREATE SCHEMA IF NOT EXISTS apus")] + tables : tables
    }

    private func bookkeeping(_ migration: Migration) -> [Statement] {
        [
            Statement(
                "INSERT INTO apus.migration (number, name, checksum, version, applied_at) VALUES ($1, $2, $3, $4, " + database.dialect.clock
                    + ")",
                [.integer(migration.number), .text(migration.name), .text(migration.checksum), .text(version)]),
            Statement(
                """
                INSERT INTO apus.format (name, version, min_reader, min_writer, written_by) VALUES ('catalog', $1, $2, $3, $4)
                ON CONFLICT (name) DO UPDATE SET version = excluded.version, min_reader = excluded.min_reader,
                    min_writer = excluded.min_writer, written_by = excluded.written_by
                """,
                [.integer(migration.number), .integer(migration.minReader), .integer(migration.minWriter), .text(version)]),
        ]
    }

    /// Throws `catalog.incompatible` unless this program knows every migration that it must know, with the contents that were applied.
    private func verify(applied: Rows, formats: Rows, writing: Bool) throws {
        if let row = formats.first {
            let found = try row.integer(0)
            let needed = try row.integer(writing ? 2 : 1)
            guard needed <= format else {
                let writer = try row.text(3)
                throw ApusError(
                    .catalogIncompatible,
                    "this catalog has format \(found), which needs format \(needed) to \(writing ? "write" : "read"); this is apus \(version) with format \(format)",
                    hint: "run apus \(writer) or newer on this node", context: ["written_by": writer])
            }
        }
        for row in applied {
            let number = try row.integer(0)
            guard let known = migrations.first(where: { $0.number == number }) else { continue }
            guard try row.text(1) == known.checksum else {
                throw ApusError(
                    .catalogIncompatible, "migration \(number) (\(known.name)) was applied to this catalog with other contents",
                    hint: "run the apus that created it (\(try row.text(2))), or point this node to another catalog")
            }
        }
        if !writing, (try applied.last?.integer(0) ?? 0) < format {
            // A reader of this format may rely on what the missing migrations add.
            throw ApusError(
                .catalogIncompatible, "this catalog has not been migrated to format \(format)",
                hint: "start a node that may write to it once with apus \(version)")
        }
    }
}
