internal import ApusDatabase
public import ApusTypes

/// A data source as it is served: the definition and the texts that it was loaded with. Every node makes its schema of these alone, so that
/// all have the same.
public struct ServedSource: Sendable, Hashable {
    public var name: String
    /// JSON that the service understands.
    public var definition: String
    /// A JSON array of texts with their names.
    public var files: String
    /// What stands for a password in the definition, sealed.
    public var secret: String?

    public init(name: String, definition: String, files: String, secret: String? = nil) {
        self.name = name
        self.definition = definition
        self.files = files
        self.secret = secret
    }
}

/// All that is served, in the order in which it was registered, as of a version.
public struct ServedSet: Sendable, Hashable {
    public var versions: QueryVersions
    public var sources: [ServedSource]
    /// How long ago the version was made when this was read, by the catalog's clock.
    public var age: Duration

    public init(versions: QueryVersions, sources: [ServedSource], age: Duration = .zero) {
        self.versions = versions
        self.sources = sources
        self.age = age
    }
}

/// One version of what is served.
public struct ServedVersion: Sendable, Hashable {
    public var version: Int64
    public var at: WallTime
    /// What was done.
    public var summary: String
}

/// The data sources that the query service serves, each change of which is a version. The last 100 can be gone back to.
public final class ServedSources: Sendable {
    static let kept: Int64 = 100
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// In one state of the catalog.
    public func current(deadline: Instant) async throws -> ServedSet {
        try await access.database.transaction(.snapshot, on: .read, deadline: deadline) { [clock = access.dialect.clock] transaction in
            let rows = try await transaction.run([
                Statement("SELECT schema_version, permission_version FROM apus.query_state"),
                Statement("SELECT name, definition, files, secret FROM apus.served_source ORDER BY coalesce(since, version), name"),
                Statement("SELECT " + clock + " - coalesce(max(at), " + clock + ") FROM apus.served_version"),
            ])
            return ServedSet(
                versions: QueryVersions(schema: try rows[0][0].integer(0), access: try rows[0][0].integer(1)),
                sources: try rows[1].map(Self.source), age: .milliseconds(max(0, try rows[2][0].integer(0))))
        }
    }

    /// What was served at an earlier version: without secrets. Throws `schema.version_unknown` for one that is not kept, or is yet to come.
    public func sources(at version: Int64, deadline: Instant) async throws -> [ServedSource] {
        try await access.database.transaction(.snapshot, on: .read, deadline: deadline) { transaction in
            let rows = try await transaction.run([
                Statement("SELECT schema_version FROM apus.query_state"),
                Statement("SELECT name, definition, files, secret FROM apus.served_source"),
                // The oldest change after the version tells what was there.
                Statement(
                    """
                    SELECT c.name, c.definition, c.files FROM apus.served_change AS c
                    WHERE c.version = (SELECT min(version) FROM apus.served_change WHERE name = c.name AND version > $1)
                    """, [.integer(version)]),
                Statement("SELECT coalesce(min(version), 0) FROM apus.served_version"),
            ])
            let (now, oldest) = (try rows[0][0].integer(0), try rows[3][0].integer(0))
            guard version <= now, version >= max(0, oldest - 1) else {
                throw ApusError(
                    .schemaVersionUnknown, "there is no version \(version) of the schema to go back to",
                    hint: "versions \(max(0, oldest - 1)) to \(now) are kept: apus query schema list")
            }
            var found = Dictionary(uniqueKeysWithValues: try rows[1].map(Self.source).map { ($0.name, $0) })
            for row in rows[2] {
                let name = try row.text(0)
                found[name] =
                    row.isNull(1) ? nil : ServedSource(name: name, definition: try row.text(1), files: try row.text(2), secret: nil)
            }
            return found.values.sorted { $0.name < $1.name }
        }
    }

    /// The newest first.
    public func history(limit: Int = 100, deadline: Instant) async throws -> [ServedVersion] {
        try await access.read(
            Statement("SELECT version, at, summary FROM apus.served_version ORDER BY version DESC LIMIT $1", [.integer(Int64(limit))]),
            deadline: deadline
        ).map {
            ServedVersion(
                version: try $0.integer(0), at: WallTime(millisecondsSinceEpoch: try $0.integer(1)), summary: try $0.text(2))
        }
    }

    /// Serves sources, or ceases to (nil), as the version after `expected`, which is returned. Throws `schema.moved_on` when that is not the
    /// newest any more: what fits together must be looked at again.
    public func change(
        _ changes: [String: ServedSource?], after expected: Int64, summary: String, deadline: Instant
    ) async throws -> Int64 {
        try await access.transaction(deadline: deadline) { transaction in
            let now = try await transaction.run(
                Statement("SELECT schema_version FROM apus.query_state" + transaction.dialect.forUpdate))[0].integer(0)
            guard now == expected else {
                throw ApusError(
                    .schemaMovedOn, "the schema has version \(now) meanwhile, and \(expected) was to be changed", hint: "try again")
            }
            let version = try await transaction.serve(changes, summary)
            transaction.publish(.querySchema, key: String(version))
            return version
        }
    }

    /// Seals each secret anew by `seal`, which gives nil for one that stays. How many were changed. The schema's version stays.
    public func reseal(deadline: Instant, _ seal: (String) throws -> String?) async throws -> Int {
        try await access.transaction(deadline: deadline) { transaction in
            var count = 0
            for table: StaticSQL in ["apus.data_source", "apus.catalog_source", "apus.object_storage", "apus.served_source"] {
                let rows = try await transaction.run(
                    Statement(
                        "SELECT name, secret FROM " + table + " WHERE secret IS NOT NULL ORDER BY name" + transaction.dialect.forUpdate))
                for row in rows {
                    guard let sealed = try seal(try row.text(1)) else { continue }
                    _ = try await transaction.run(
                        Statement("UPDATE " + table + " SET secret = $2 WHERE name = $1", [.text(try row.text(0)), .text(sealed)]))
                    count += 1
                }
            }
            if count > 0 { transaction.publish(.queryDefinition, key: "secrets") }
            return count
        }
    }

    /// All secrets of definitions and of what is served.
    public func secrets(deadline: Instant) async throws -> [String] {
        try await access.read(
            Statement(
                """
                SELECT secret FROM apus.data_source WHERE secret IS NOT NULL UNION SELECT secret FROM apus.catalog_source
                WHERE secret IS NOT NULL UNION SELECT secret FROM apus.object_storage WHERE secret IS NOT NULL
                UNION SELECT secret FROM apus.served_source WHERE secret IS NOT NULL
                """), deadline: deadline
        ).map { try $0.text(0) }
    }

    private static func source(_ row: Row) throws -> ServedSource {
        ServedSource(
            name: try row.text(0), definition: try row.text(1), files: try row.text(2), secret: row.isNull(3) ? nil : try row.text(3))
    }
}

extension CatalogTransaction {
    func isServed(_ name: String) async throws -> Bool {
        try await !run(Statement("SELECT 1 FROM apus.served_source WHERE name = $1", [.text(name)])).isEmpty
    }

    /// The next version, in which these are served otherwise. Holds the row of versions.
    func serve(_ changes: [String: ServedSource?], _ summary: String) async throws -> Int64 {
        let version = try await run(
            Statement("UPDATE apus.query_state SET schema_version = schema_version + 1 RETURNING schema_version"))[0].integer(0)
        var statements = [
            Statement(
                "INSERT INTO apus.served_version (version, at, summary) VALUES ($1, " + dialect.clock + ", $2)",
                [.integer(version), .text(summary)])
        ]
        for (name, source) in changes.sorted(by: { $0.key < $1.key }) {
            statements += [
                Statement(
                    """
                    INSERT INTO apus.served_change (version, name, definition, files)
                    SELECT CAST($1 AS bigint), CAST($2 AS text), (SELECT definition FROM apus.served_source WHERE name = $2),
                        (SELECT files FROM apus.served_source WHERE name = $2)
                    """, [.integer(version), .text(name)])
            ]
            guard let source else {
                statements.append(Statement("DELETE FROM apus.served_source WHERE name = $1", [.text(name)]))
                continue
            }
            statements.append(
                Statement(
                    """
                    INSERT INTO apus.served_source AS s (name, version, definition, files, secret, since) VALUES ($1, $2, $3, $4, $5, $2)
                    ON CONFLICT (name) DO UPDATE SET version = excluded.version, definition = excluded.definition, files = excluded.files,
                        secret = excluded.secret, since = coalesce(s.since, s.version)
                    """,
                    [
                        .text(name), .integer(version), .text(source.definition), .text(source.files),
                        source.secret.map { .text($0) } ?? .null,
                    ]))
        }
        let oldest = SQLValue.integer(version - ServedSources.kept)
        statements += [
            Statement("DELETE FROM apus.served_change WHERE version <= $1", [oldest]),
            Statement("DELETE FROM apus.served_version WHERE version <= $1", [oldest]),
        ]
        _ = try await run(statements)
        return version
    }
}
