internal import ApusDatabase
public import ApusTypes

/// What the catalog says about collections besides what they are made with.
public struct CollectionAttributeRows: Sendable, Hashable {
    /// Other names, and whose they are.
    public var aliases: [CollectionName: CollectionID] = [:]
    /// JSON that the faces understand.
    public var settings: [CollectionID: String] = [:]
    /// By collection and path: JSON.
    public var payloadIndexes: [CollectionID: [String: String]] = [:]

    public init() {}
}

/// One step of a change of aliases.
public enum AliasChange: Sendable, Hashable {
    /// The alias becomes the collection's, whosever it was.
    case set(alias: CollectionName, collection: CollectionName)
    /// An alias that is not there is no error.
    case remove(alias: CollectionName)
    case rename(alias: CollectionName, to: CollectionName)
}

/// Aliases, settings and payload indexes of collections. Every change is one transaction with entries in the feed.
public final class CollectionAttributes: Sendable {
    /// Of one collection, and of the cluster.
    public static let mostAliases = 10_000
    public static let mostIndexes = 1000

    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// All of them.
    public func read(deadline: Instant) async throws -> CollectionAttributeRows {
        let rows = try await access.read(
            [
                Statement("SELECT name, collection FROM apus.alias"),
                Statement("SELECT collection, settings FROM apus.collection_settings"),
                Statement("SELECT collection, path, definition FROM apus.payload_index"),
            ], deadline: deadline)
        var found = CollectionAttributeRows()
        for row in rows[0] { found.aliases[CollectionName(try row.text(0))] = CollectionID(try row.integer(1)) }
        for row in rows[1] { found.settings[CollectionID(try row.integer(0))] = try row.text(1) }
        for row in rows[2] { found.payloadIndexes[CollectionID(try row.integer(0)), default: [:]][try row.text(1)] = try row.text(2) }
        return found
    }

    /// Makes all changes, in their order, or none. Throws `collection.unknown`, `collection.exists` (of the new alias), `alias.unknown`, and
    /// `auth.forbidden` where `scope` has not the collections that have the aliases now or then, or the new aliases as names.
    public func change(_ changes: [AliasChange], by scope: CollectionScope = .everything, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            // Whoever creates a collection at this moment waits here, or was first: its name is seen.
            _ = try await transaction.allocate("collection", count: 0)
            for change in changes {
                switch change {
                case .set(let alias, let name):
                    try scope.require(name)
                    try scope.require(alias)
                    try await requireHolder(of: alias, scope, in: transaction)
                    let found = try await transaction.run(Self.collection(name))
                    guard let collection = found.first else { throw Collections.unknown(name) }
                    try await requireFree(alias, in: transaction)
                    _ = try await transaction.run(
                        Statement(
                            """
                            INSERT INTO apus.alias (name, collection) VALUES ($1, $2)
                            ON CONFLICT (name) DO UPDATE SET collection = excluded.collection
                            """, [.text(alias.rawValue), .integer(try collection.integer(0))]))
                    transaction.publish(.alias, key: alias.rawValue)
                case .remove(let alias):
                    try await requireHolder(of: alias, scope, in: transaction)
                    _ = try await transaction.run(Statement("DELETE FROM apus.alias WHERE name = $1", [.text(alias.rawValue)]))
                    transaction.publish(.alias, key: alias.rawValue)
                case .rename(let alias, let new):
                    try scope.require(new)
                    for name in [alias, new] { try await requireHolder(of: name, scope, in: transaction) }
                    try await requireFree(new, in: transaction)
                    let removed = try await transaction.run(
                        Statement("DELETE FROM apus.alias WHERE name = $1 RETURNING collection", [.text(alias.rawValue)]))
                    guard let row = removed.first else {
                        throw ApusError(.aliasUnknown, "there is no alias \(alias)", context: ["alias": alias.rawValue])
                    }
                    _ = try await transaction.run([
                        Statement("DELETE FROM apus.alias WHERE name = $1", [.text(new.rawValue)]),
                        Statement(
                            "INSERT INTO apus.alias (name, collection) VALUES ($1, $2)",
                            [.text(new.rawValue), .integer(try row.integer(0))]),
                    ])
                    transaction.publish(.alias, key: alias.rawValue)
                    transaction.publish(.alias, key: new.rawValue)
                }
            }
            let count = try await transaction.run(Statement("SELECT COUNT(*) FROM apus.alias"))[0].integer(0)
            guard count <= Self.mostAliases else {
                throw ApusError(.requestInvalid, "there would be \(count) aliases; \(Self.mostAliases) are the most")
            }
        }
    }

    /// Whose alias it is decides; one that is nobody's is judged by its own name.
    private func requireHolder(of alias: CollectionName, _ scope: CollectionScope, in transaction: CatalogTransaction) async throws {
        guard !scope.isEverything else { return }
        let holder = try await transaction.run(
            Statement(
                "SELECT c.name FROM apus.alias a JOIN apus.collection c ON c.id = a.collection WHERE a.name = $1", [.text(alias.rawValue)]))
        try scope.require(holder.first.map { CollectionName(try $0.text(0)) } ?? alias)
    }

    /// An alias may not have the name of a collection.
    private func requireFree(_ alias: CollectionName, in transaction: CatalogTransaction) async throws {
        guard try await transaction.run(Self.collection(alias)).isEmpty else {
            throw ApusError(
                .collectionExists, "there is a collection \(alias) already", hint: "choose another alias",
                context: ["collection": alias.rawValue])
        }
    }

    private static func collection(_ name: CollectionName) -> Statement {
        Statement("SELECT id FROM apus.collection WHERE name = $1", [.text(name.rawValue)])
    }

    /// Changes the settings: `change` gets what is there now, nil if nothing is. Throws `collection.unknown`, and what `change` throws.
    public func configure(
        _ id: CollectionID, deadline: Instant, _ change: @Sendable (String?) throws -> String
    ) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            try await requireCollection(id, in: transaction)
            let now = try await transaction.run(
                Statement("SELECT settings FROM apus.collection_settings WHERE collection = $1", [.integer(id.value)]))
            _ = try await transaction.run(
                Statement(
                    """
                    INSERT INTO apus.collection_settings (collection, settings) VALUES ($1, $2)
                    ON CONFLICT (collection) DO UPDATE SET settings = excluded.settings
                    """, [.integer(id.value), .text(try change(try now.first?.text(0)))]))
            transaction.publish(.collection, key: id.description)
        }
    }

    /// Declares a payload index, or takes the declaration back (nil). Throws `collection.unknown`.
    public func setIndex(on path: String, of id: CollectionID, to definition: String?, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            try await requireCollection(id, in: transaction)
            if let definition {
                _ = try await transaction.run(
                    Statement(
                        """
                        INSERT INTO apus.payload_index (collection, path, definition) VALUES ($1, $2, $3)
                        ON CONFLICT (collection, path) DO UPDATE SET definition = excluded.definition
                        """, [.integer(id.value), .text(path), .text(definition)]))
            } else {
                _ = try await transaction.run(
                    Statement("DELETE FROM apus.payload_index WHERE collection = $1 AND path = $2", [.integer(id.value), .text(path)]))
            }
            let count = try await transaction.run(
                Statement("SELECT COUNT(*) FROM apus.payload_index WHERE collection = $1", [.integer(id.value)]))[0].integer(0)
            guard count <= Self.mostIndexes else {
                throw ApusError(.requestInvalid, "a collection has at most \(Self.mostIndexes) payload indexes")
            }
            transaction.publish(.collection, key: id.description)
        }
    }

    /// Whoever changes an attribute of a collection holds its row, so that it is not deleted meanwhile.
    private func requireCollection(_ id: CollectionID, in transaction: CatalogTransaction) async throws {
        let rows = try await transaction.run(
            Statement(
                transaction.dialect == .postgreSQL
                    ? "SELECT name FROM apus.collection WHERE id = $1 FOR UPDATE" : "SELECT name FROM apus.collection WHERE id = $1",
                [.integer(id.value)]))
        guard !rows.isEmpty else {
            throw ApusError(.collectionUnknown, "the collection is gone", context: ["id": id.description])
        }
    }
}
