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
}
