internal import ApusDatabase
public import ApusTypes

/// Values that the whole cluster shares; published (`Topic.setting`, the name as key).
public final class Settings: Sendable {
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    public func all(deadline: Instant) async throws -> [String: String] {
        let rows = try await access.read(Statement("SELECT name, value FROM apus.setting"), deadline: deadline)
        return Dictionary(uniqueKeysWithValues: try rows.map { (try $0.text(0), try $0.text(1)) })
    }

    /// Nil removes it.
    public func set(_ name: String, to value: String?, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            let statement =
                if let value {
                    Statement(
                        "INSERT INTO apus.setting (name, value, changed_at) VALUES ($1, $2, " + transaction.dialect.clock
                            + ") ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at",
                        [.text(name), .text(value)])
                } else {
                    Statement("DELETE FROM apus.setting WHERE name = $1", [.text(name)])
                }
            _ = try await transaction.run(statement)
            transaction.publish(.setting, key: name)
        }
    }

    /// Sets a value that is set once. Returns the one that holds: another's where that was first. Not published.
    public func claim(_ name: String, _ value: String, deadline: Instant) async throws -> String {
        try await access.transaction(deadline: deadline) { transaction in
            _ = try await transaction.run(
                Statement(
                    "INSERT INTO apus.setting (name, value, changed_at) VALUES ($1, $2, " + transaction.dialect.clock
                        + ") ON CONFLICT (name) DO NOTHING", [.text(name), .text(value)]))
            return try await transaction.run(Statement("SELECT value FROM apus.setting WHERE name = $1", [.text(name)]))[0].text(0)
        }
    }

    /// Removes those whose names begin with `prefix` and that were set longer ago than `age`.
    public func forget(prefix: String, age: Duration, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            _ = try await transaction.run(
                Statement(
                    "DELETE FROM apus.setting WHERE substr(name, 1, $2) = $1 AND changed_at < " + transaction.dialect.clock + " - $3",
                    [.text(prefix), .integer(Int64(prefix.count)), .integer(age.nanoseconds / 1_000_000)]))
        }
    }

    /// The catalog's time.
    public func now(deadline: Instant) async throws -> WallTime {
        let rows = try await access.read(Statement("SELECT " + access.dialect.clock), deadline: deadline)
        return WallTime(millisecondsSinceEpoch: try rows[0].integer(0))
    }
}
