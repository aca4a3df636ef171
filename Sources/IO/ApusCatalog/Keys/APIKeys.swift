internal import ApusDatabase
public import ApusTypes

/// A key as it is shown: never its secret.
public struct APIKey: Sendable, Hashable {
    /// Public part, 16 hexadecimal digits.
    public var id: String
    /// What its owner called it.
    public var name: String
    public var role: APIKeyRole
    public var createdAt: WallTime
    public var revokedAt: WallTime?
}

public enum APIKeyRole: String, Sendable, Hashable, CaseIterable {
    case administrator, writer, reader
}

/// The keys that clients authenticate with. The catalog holds a SHA-256 of each secret only; 256 random bits need no slower hash.
/// Changes are published (`Topic.key`), so that a cache of verified keys can follow.
public final class APIKeys: Sendable {
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// Makes a key. Its secret, `apus_ID_SECRET`, is given here and never again.
    public func create(
        name: String, role: APIKeyRole, deadline: Instant
    ) async throws -> (key: APIKey, secret: Redacted<String>) {
        var generator = SystemRandomNumberGenerator()
        let id = String(ObjectKey.random(using: &generator).description.prefix(16))
        let secret = "apus_\(id)_\(ObjectKey.random(using: &generator))\(ObjectKey.random(using: &generator))"
        let createdAt = try await access.transaction(deadline: deadline) { transaction in
            let rows = try await transaction.run(
                Statement(
                    "INSERT INTO apus.api_key (id, name, digest, role, created_at) VALUES ($1, $2, $3, $4, " + transaction.dialect.clock
                        + ") RETURNING created_at",
                    [.text(id), .text(name), .blob(Digest(of: secret).bytes), .text(role.rawValue)]))
            transaction.publish(.key, key: id)
            return WallTime(millisecondsSinceEpoch: try rows[0].integer(0))
        }
        return (APIKey(id: id, name: name, role: role, createdAt: createdAt, revokedAt: nil), Redacted(secret))
    }

    /// The key that `secret` belongs to; nil if there is none, or it is revoked.
    public func verify(_ secret: Redacted<String>, deadline: Instant) async throws -> APIKey? {
        let parts = secret.reveal().split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "apus" else { return nil }
        let rows = try await access.read(
            Statement(Self.selection + " WHERE id = $1 AND revoked_at IS NULL", [.text(String(parts[1]))]), deadline: deadline)
        guard let row = rows.first, constantTimeEqual(try row.blob(5), Digest(of: secret.reveal()).bytes) else { return nil }
        return try Self.key(row: row)
    }

    /// By age, revoked ones too.
    public func list(deadline: Instant) async throws -> [APIKey] {
        try await access.read(Statement(Self.selection + " ORDER BY created_at, id"), deadline: deadline).map(Self.key(row:))
    }

    /// False if there is no such key, or it was revoked before.
    public func revoke(id: String, deadline: Instant) async throws -> Bool {
        try await access.transaction(deadline: deadline) { transaction in
            let rows = try await transaction.run(
                Statement(
                    "UPDATE apus.api_key SET revoked_at = " + transaction.dialect.clock + " WHERE id = $1 AND revoked_at IS NULL",
                    [.text(id)]))
            if rows.changed > 0 { transaction.publish(.key, key: id) }
            return rows.changed > 0
        }
    }

    private static let selection: StaticSQL = "SELECT id, name, role, created_at, revoked_at, digest FROM apus.api_key"

    private static func key(row: Row) throws -> APIKey {
        APIKey(
            id: try row.text(0), name: try row.text(1), role: APIKeyRole(rawValue: try row.text(2)) ?? .reader,
            createdAt: WallTime(millisecondsSinceEpoch: try row.integer(3)),
            revokedAt: row.isNull(4) ? nil : WallTime(millisecondsSinceEpoch: try row.integer(4)))
    }
}
