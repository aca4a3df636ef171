internal import ApusDatabase
public import ApusTypes

extension Migration {
    /// What a deletion leaves until it is too late to take it back. The heads are kept aside: whoever has not heard of the deletion must not append.
    static let deletedCollections = Migration(
        number: 7, name: "deleted collections", minReader: 2, minWriter: 6,
        steps: [
            .both(
                """
                CREATE TABLE apus.deleted_collection (
                    id bigint PRIMARY KEY, name text NOT NULL, configuration text NOT NULL, replicas bigint NOT NULL, aliases text NOT NULL,
                    created_at bigint NOT NULL, deleted_at bigint NOT NULL)
                """),
            .both(
                """
                CREATE TABLE apus.deleted_head (
                    collection bigint NOT NULL, number bigint NOT NULL, shard bigint NOT NULL, seq bigint NOT NULL, digest bytea NOT NULL,
                    bytes bigint NOT NULL, epoch bigint NOT NULL, replicas bigint NOT NULL, PRIMARY KEY (collection, number))
                """),
        ])
}

/// A collection that was deleted and can be brought back.
public struct DeletedCollection: Sendable, Hashable {
    public var id: CollectionID
    public var name: CollectionName
    /// Other names that it had.
    public var aliases: [CollectionName]
    public var shards: Int
    public var createdAt: WallTime
    public var deletedAt: WallTime
}

extension Collections {
    /// The one deleted last first.
    public func deleted(deadline: Instant) async throws -> [DeletedCollection] {
        try await access.read(Statement(Self.deletedSelection + " ORDER BY d.deleted_at DESC, d.id DESC"), deadline: deadline).map(
            Self.deleted)
    }

    private static let deletedSelection: StaticSQL =
        "SELECT d.id, d.name, d.aliases, (SELECT COUNT(*) FROM apus.deleted_head AS h WHERE h.collection = d.id), d.created_at, d.deleted_at"
        + " FROM apus.deleted_collection AS d"

    private static func deleted(row: Row) throws -> DeletedCollection {
        let aliases = (try? JSONValue(parsing: Array(row.text(2).utf8)))?.asArray ?? []
        return DeletedCollection(
            id: CollectionID(try row.integer(0)), name: CollectionName(try row.text(1)),
            aliases: aliases.compactMap { $0.asString.map { CollectionName($0) } }, shards: Int(try row.integer(3)),
            createdAt: WallTime(millisecondsSinceEpoch: try row.integer(4)), deletedAt: WallTime(millisecondsSinceEpoch: try row.integer(5))
        )
    }

    /// Brings a collection back, with the points, settings and snapshots that it had, under its name or another; nobody serves it yet. Aliases
    /// that are free lead to it again.
    ///
    /// Throws `collection.unknown` where it is not (or no longer) there, and `collection.exists` for the name.
    public func undelete(_ id: CollectionID, as newName: CollectionName? = nil, deadline: Instant) async throws -> CollectionRow {
        try await access.transaction(deadline: deadline) { transaction in
            // Whoever creates a collection at this moment waits here, or was first.
            _ = try await transaction.allocate("collection", count: 0)
            let value = SQLValue.integer(id.value)
            let found = try await transaction.run(Statement(Self.deletedSelection + " WHERE d.id = $1", [value]))
            guard let deleted = try found.first.map(Self.deleted) else {
                throw ApusError(
                    .collectionUnknown, "there is no deleted collection with the id \(id)", hint: "apus collection list --deleted")
            }
            let name = newName ?? deleted.name
            try await Self.requireFree(name, in: transaction)
            _ = try await transaction.run([
                Statement(
                    """
                    INSERT INTO apus.collection (id, name, configuration, replicas, created_at)
                    SELECT id, $2, configuration, replicas, created_at FROM apus.deleted_collection WHERE id = $1
                    """, [value, .text(name.rawValue)]),
                Statement(
                    "INSERT INTO apus.shard (id, collection, number) SELECT shard, collection, number FROM apus.deleted_head WHERE collection = $1",
                    [value]),
                Statement(
                    """
                    INSERT INTO apus.shard_head (shard, seq, digest, bytes, epoch, replicas)
                    SELECT shard, seq, digest, bytes, epoch, replicas + 1 FROM apus.deleted_head WHERE collection = $1 ORDER BY shard
                    """, [value]),
                Statement("DELETE FROM apus.deleted_head WHERE collection = $1", [value]),
                Statement("DELETE FROM apus.deleted_collection WHERE id = $1", [value]),
            ])
            for alias in deleted.aliases where alias != name {
                let isTaken = try await transaction.run(
                    Statement("SELECT 1 FROM apus.collection WHERE name = $1", [.text(alias.rawValue)]))
                guard isTaken.isEmpty else { continue }
                let made = try await transaction.run(
                    Statement(
                        "INSERT INTO apus.alias (name, collection) VALUES ($1, $2) ON CONFLICT DO NOTHING", [.text(alias.rawValue), value]))
                if made.changed > 0 { transaction.publish(.alias, key: alias.rawValue) }
            }
            transaction.publish(.collection, key: id.description)
            let rows = try await Self.rows(transaction.run(Statement(Self.selection + " WHERE c.id = $1 ORDER BY s.number", [value])))
            guard let row = rows.first else { throw Self.unknown(name) }
            return row
        }
    }

    /// Makes the deletion final: its logs go in bounded pieces afterwards (`Retention`), its objects are collected. False if it is not there.
    public func purge(_ id: CollectionID, deadline: Instant) async throws -> Bool {
        try await access.transaction(deadline: deadline) { try await Self.purge(id, in: $0) }
    }

    static func purge(_ id: CollectionID, in transaction: CatalogTransaction) async throws -> Bool {
        let value = [SQLValue.integer(id.value)]
        let removed = try await transaction.run(Statement("DELETE FROM apus.deleted_collection WHERE id = $1", value))
        guard removed.changed == 1 else { return false }
        let ofIt: StaticSQL = " IN (SELECT shard FROM apus.deleted_head WHERE collection = $1)"
        _ = try await transaction.run([
            Statement("INSERT INTO apus.deleted_shard (shard) SELECT shard FROM apus.deleted_head WHERE collection = $1", value),
            Statement(
                "INSERT INTO apus.dropped_object (key, version, dropped_at) SELECT object, (SELECT version FROM apus.feed_head) + 1, "
                    + transaction.dialect.clock + " FROM apus.segment WHERE shard" + ofIt, value),
            Statement("DELETE FROM apus.segment WHERE shard" + ofIt, value),
            Statement("DELETE FROM apus.shard_manifest WHERE shard" + ofIt, value),
            Statement("DELETE FROM apus.shard_past WHERE shard" + ofIt, value),
            Statement("DELETE FROM apus.deleted_head WHERE collection = $1", value),
            Statement("DELETE FROM apus.collection_settings WHERE collection = $1", value),
            Statement("DELETE FROM apus.payload_index WHERE collection = $1", value),
        ])
        try await Snapshots.removeAll(of: id, in: transaction)
        return true
    }
}
