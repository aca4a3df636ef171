internal import ApusDatabase
public import ApusTypes

/// A key as it is shown: never its secret.
public struct APIKey: Sendable, Hashable {
    /// Public part, 16 hexadecimal digits.
    public var id: String
    /// What its owner called it.
    public var name: String
    public var role: APIKeyRole
    /// The collections that it is for.
    public var scope: CollectionScope
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

    /// Makes a key. Its secret, `apus_ID_SECRET`, is given here and never again. Throws `request.invalid` for an administrator's key for
    /// some collections: administrators make keys.
    public func create(
        name: String, role: APIKeyRole, scope: CollectionScope = .everything, deadline: Instant
    ) async throws -> (key: APIKey, secret: Redacted<String>) {
        guard scope.isEverything || role != .administrator else {
            throw ApusError(
                .requestInvalid, "an administrator's key is for all collections", hint: "choose the role reader or writer",
                context: ["field": "collections"])
        }
        var generator = SystemRandomNumberGenerator()
        let id = String(ObjectKey.random(using: &generator).description.prefix(16))
        let secret = "apus_\(id)_\(ObjectKey.random(using: &generator))\(ObjectKey.random(using: &generator))"
        let createdAt = try await access.transaction(deadline: deadline) { transaction in
            let rows = try await transaction.run(
                Statement(
                    "INSERT INTO apus.api_key (id, name, digest, role, collections, created_at) VALUES ($1, $2, $3, $4, $5, "
                        + transaction.dialect.clock + ") RETURNING created_at",
                    [
                        .text(id), .text(name), .blob(Self.digest(of: secret, for: scope)), .text(role.rawValue),
                        scope.patterns.map { .text(Self.text($0)) } ?? .null,
                    ]))
            transaction.publish(.key, key: id)
            return WallTime(millisecondsSinceEpoch: try rows[0].integer(0))
        }
        return (APIKey(id: id, name: name, role: role, scope: scope, createdAt: createdAt, revokedAt: nil), Redacted(secret))
    }

    /// The key that `secret` belongs to; nil if there is none, or it is revoked.
    public func verify(_ secret: Redacted<String>, deadline: Instant) async throws -> APIKey? {
        let parts = secret.reveal().split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "apus" else { return nil }
        let rows = try await access.read(
            Statement(Self.selection + " WHERE id = $1 AND revoked_at IS NULL", [.text(String(parts[1]))]), deadline: deadline)
        guard let row = rows.first else { return nil }
        let key = try Self.key(row: row)
        return constantTimeEqual(try row.blob(5), Self.digest(of: secret.reveal(), for: key.scope)) ? key : nil
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

    private static let selection: StaticSQL = "SELECT id, name, role, created_at, revoked_at, digest, collections FROM apus.api_key"

    /// What the catalog keeps of a secret. That of a key for some collections covers them, so that a node of a release that does not know
    /// of them finds no such key, and does not take it for one for all.
    private static func digest(of secret: String, for scope: CollectionScope) -> [UInt8] {
        Digest(of: scope.patterns.map { secret + "\n" + text($0) } ?? secret).bytes
    }

    private static func text(_ patterns: [String]) -> String { JSONValue.array(patterns.map(JSONValue.string)).description }

    private static func scope(_ text: String) throws -> CollectionScope {
        try CollectionScope(JSONValue(parsing: Array(text.utf8)).asArray?.compactMap(\.asString) ?? [])
    }

    private static func key(row: Row) throws -> APIKey {
        APIKey(
            id: try row.text(0), name: try row.text(1), role: APIKeyRole(rawValue: try row.text(2)) ?? .reader,
            scope: row.isNull(6) ? .everything : try scope(row.text(6)),
            createdAt: WallTime(millisecondsSinceEpoch: try row.integer(3)),
            revokedAt: row.isNull(4) ? nil : WallTime(millisecondsSinceEpoch: try row.integer(4)))
    }
}
