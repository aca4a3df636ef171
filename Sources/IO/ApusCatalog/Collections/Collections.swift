internal import ApusDatabase
public import ApusTypes

/// One row of `collection`.
public struct CollectionRow: Sendable, Hashable {
    public var id: CollectionID
    public var name: CollectionName
    /// JSON that the service which owns collections understands.
    public var configuration: String
    public var createdAt: WallTime
    /// In the order of their number in the collection.
    public var shards: [ShardID]
    /// How many nodes are to serve each shard.
    public var replicas: Int

    public init(
        id: CollectionID, name: CollectionName, configuration: String, createdAt: WallTime, shards: [ShardID], replicas: Int = 1
    ) {
        self.id = id
        self.name = name
        self.configuration = configuration
        self.createdAt = createdAt
        self.shards = shards
        self.replicas = replicas
    }
}

/// The collections and which shards they consist of. Every change is one transaction with one entry in the feed (`Topic.collection`, the
/// collection's id as key).
public final class Collections: Sendable {
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// Creates a collection with `shardCount` empty shards, each served by the nodes of its number (nobody when there are none).
    /// `replicas`: how many nodes are to serve each.
    ///
    /// Throws `collection.exists`.
    public func create(
        _ name: CollectionName, configuration: String, settings: String? = nil, shardCount: Int, replicas: Int = 1,
        nodes: [[NodeName]] = [], deadline: Instant
    ) async throws -> CollectionRow {
        precondition(shardCount > 0, "a collection has at least one shard")
        return try await access.transaction(deadline: deadline) { transaction in
            // Rows of `counter` first: whoever creates another collection at this moment waits here, and then sees this name.
            let id = CollectionID(try await transaction.allocate("collection").lowerBound)
            let taken = try await transaction.run(Statement("SELECT 1 FROM apus.collection WHERE name = $1", [.text(name.rawValue)]))
            guard taken.isEmpty else {
                throw ApusError(.collectionExists, "there is a collection \(name) already", hint: "choose another name, or delete it first")
            }
            guard try await transaction.run(Statement("SELECT 1 FROM apus.alias WHERE name = $1", [.text(name.rawValue)])).isEmpty else {
                throw ApusError(
                    .collectionExists, "there is an alias \(name) already", hint: "choose another name, or delete the alias first",
                    context: ["alias": name.rawValue])
            }
            let shards = try await transaction.allocate("shard", count: shardCount).map { ShardID($0) }
            let created = try await transaction.run(
                Statement(
                    "INSERT INTO apus.collection (id, name, configuration, replicas, created_at) VALUES ($1, $2, $3, $4, "
                        + transaction.dialect.clock + ") RETURNING created_at",
                    [.integer(id.value), .text(name.rawValue), .text(configuration), .integer(Int64(replicas))]))
            _ = try await transaction.run(
                shards.enumerated().flatMap { number, shard in
                    var statements = [
                        Statement(
                            "INSERT INTO apus.shard (id, collection, number) VALUES ($1, $2, $3)",
                            [.integer(shard.value), .integer(id.value), .integer(Int64(number))]),
                        Statement(
                            "INSERT INTO apus.shard_head (shard, seq, digest, bytes, epoch) VALUES ($1, 0, $2, 0, 0)",
                            [.integer(shard.value), .blob(Digest.origin.bytes)]),
                    ]
                    if nodes.indices.contains(number) {
                        statements += nodes[number].map { Shards.assignment(of: shard, to: $0, state: .serving) }
                    }
                    return statements
                })
            if let settings {
                _ = try await transaction.run(
                    Statement(
                        "INSERT INTO apus.collection_settings (collection, settings) VALUES ($1, $2)",
                        [.integer(id.value), .text(settings)]))
            }
            transaction.publish(.collection, key: id.description)
            return CollectionRow(
                id: id, name: name, configuration: configuration,
                createdAt: WallTime(millisecondsSinceEpoch: try created[0].integer(0)), shards: shards, replicas: replicas)
        }
    }

    /// Deletes the collection at once; its log goes in bounded pieces afterwards (`Retention`). Throws `collection.unknown`.
    ///
    /// With `heads` only if nothing was written to any of its shards behind them; throws `shard.moved_on` otherwise.
    public func delete(_ name: CollectionName, ifStillAt heads: [ShardID: Int64]? = nil, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            let rows = try await transaction.run(
                Statement("DELETE FROM apus.collection WHERE name = $1 RETURNING id", [.text(name.rawValue)]))
            guard let row = rows.first else { throw Self.unknown(name) }
            let id = SQLValue.integer(try row.integer(0))
            let ofIt: StaticSQL = " IN (SELECT id FROM apus.shard WHERE collection = $1)"
            // In ascending order, as appends lock them.
            let locked = try await transaction.run(
                Statement(
                    transaction.dialect == .postgreSQL
                        ? "SELECT shard, seq FROM apus.shard_head WHERE shard" + ofIt + " ORDER BY shard FOR UPDATE"
                        : "SELECT shard, seq FROM apus.shard_head WHERE shard" + ofIt, [id]))
            for row in locked {
                guard let heads else { break }
                guard heads[ShardID(try row.integer(0))] == (try row.integer(1)) else {
                    throw ApusError(
                        .shardMovedOn, "collection '\(name)' was written to meanwhile, and was not deleted",
                        context: ["collection": name.rawValue])
                }
            }
            _ = try await transaction.run([
                Statement("INSERT INTO apus.deleted_shard (shard) SELECT id FROM apus.shard WHERE collection = $1", [id]),
                Statement("DELETE FROM apus.shard_head WHERE shard" + ofIt, [id]),
                Statement(
                    "INSERT INTO apus.dropped_object (key, version, dropped_at) SELECT object, (SELECT version FROM apus.feed_head) + 1, "
                        + transaction.dialect.clock + " FROM apus.segment WHERE shard" + ofIt, [id]),
                Statement("DELETE FROM apus.segment WHERE shard" + ofIt, [id]),
                Statement("DELETE FROM apus.shard_manifest WHERE shard" + ofIt, [id]),
                Statement("DELETE FROM apus.shard_past WHERE shard" + ofIt, [id]),
                Statement("DELETE FROM apus.replica WHERE shard" + ofIt, [id]),
                Statement("DELETE FROM apus.shard WHERE collection = $1", [id]),
                Statement("DELETE FROM apus.alias WHERE collection = $1", [id]),
                Statement("DELETE FROM apus.collection_settings WHERE collection = $1", [id]),
                Statement("DELETE FROM apus.payload_index WHERE collection = $1", [id]),
            ])
            try await Snapshots.removeAll(of: CollectionID(try row.integer(0)), in: transaction)
            transaction.publish(.collection, key: CollectionID(try row.integer(0)).description)
        }
    }

    /// Replaces the configuration. Throws `collection.unknown`.
    public func configure(_ name: CollectionName, configuration: String, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            let rows = try await transaction.run(
                Statement(
                    "UPDATE apus.collection SET configuration = $2 WHERE name = $1 RETURNING id",
                    [.text(name.rawValue), .text(configuration)]))
            guard let row = rows.first else { throw Self.unknown(name) }
            transaction.publish(.collection, key: CollectionID(try row.integer(0)).description)
        }
    }

    /// All of them, by name.
    public func list(deadline: Instant) async throws -> [CollectionRow] {
        try await Self.rows(
            access.read(Statement(Self.selection + " ORDER BY c.name, s.number"), deadline: deadline))
    }

    public func find(_ name: CollectionName, deadline: Instant) async throws -> CollectionRow? {
        try await Self.rows(
            access.read(
                Statement(Self.selection + " WHERE c.name = $1 ORDER BY s.number", [.text(name.rawValue)]), deadline: deadline)
        ).first
    }

    public func find(_ id: CollectionID, deadline: Instant) async throws -> CollectionRow? {
        try await Self.rows(
            access.read(
                Statement(Self.selection + " WHERE c.id = $1 ORDER BY s.number", [.integer(id.value)]), deadline: deadline)
        ).first
    }

    private static let selection: StaticSQL =
        "SELECT c.id, c.name, c.configuration, c.created_at, s.id, c.replicas FROM apus.collection AS c JOIN apus.shard AS s"
        + " ON s.collection = c.id"

    /// From rows of which those of one collection follow each other.
    private static func rows(_ rows: Rows) throws -> [CollectionRow] {
        var collections: [CollectionRow] = []
        for row in rows {
            let id = CollectionID(try row.integer(0))
            if collections.last?.id != id {
                collections.append(
                    CollectionRow(
                        id: id, name: CollectionName(try row.text(1)), configuration: try row.text(2),
                        createdAt: WallTime(millisecondsSinceEpoch: try row.integer(3)), shards: [], replicas: Int(try row.integer(5))))
            }
            collections[collections.count - 1].shards.append(ShardID(try row.integer(4)))
        }
        return collections
    }

    static func unknown(_ name: CollectionName) -> ApusError {
        ApusError(
            .collectionUnknown, "there is no collection \(name)", hint: "apus collection list", context: ["collection": name.rawValue])
    }
}
