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

/// Which nodes a new shard is to be served by, and why.
public struct ShardPlacement: Sendable, Hashable {
    public var nodes: [NodeName]
    /// Recorded with the shard; empty: nothing is.
    public var why: String

    public init(_ nodes: [NodeName], why: String = "") {
        self.nodes = nodes
        self.why = why
    }
}

/// The collections and which shards they consist of. Every change is one transaction with one entry in the feed (`Topic.collection`, the
/// collection's id as key).
public final class Collections: Sendable {
    let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// The same with shards that are served by the nodes of their number (nobody when there are none).
    public func create(
        _ name: CollectionName, configuration: String, settings: String? = nil, shardCount: Int, replicas: Int = 1,
        nodes: [[NodeName]] = [], deadline: Instant
    ) async throws -> CollectionRow {
        try await create(
            name, configuration: configuration, settings: settings, shardCount: shardCount, replicas: replicas, deadline: deadline
        ) {
            _ in nodes.map { ShardPlacement($0) }
        }
    }

    /// Creates a collection with `shardCount` empty shards, each served by the nodes that `place` gives for its id, with the reason in a
    /// record. `replicas`: how many nodes are to serve each.
    ///
    /// Throws `collection.exists`.
    public func create(
        _ name: CollectionName, configuration: String, settings: String? = nil, shardCount: Int, replicas: Int, deadline: Instant,
        place: @Sendable ([ShardID]) -> [ShardPlacement]
    ) async throws -> CollectionRow {
        precondition(shardCount > 0, "a collection has at least one shard")
        return try await access.transaction(deadline: deadline) { transaction in
            // Rows of `counter` first: whoever creates another collection at this moment waits here, and then sees this name.
            let id = CollectionID(try await transaction.allocate("collection").lowerBound)
            try await Self.requireFree(name, in: transaction)
            let shards = try await transaction.allocate("shard", count: shardCount).map { ShardID($0) }
            let created = try await transaction.run(
                Statement(
                    "INSERT INTO apus.collection (id, name, configuration, replicas, created_at) VALUES ($1, $2, $3, $4, "
                        + transaction.dialect.clock + ") RETURNING created_at",
                    [.integer(id.value), .text(name.rawValue), .text(configuration), .integer(Int64(replicas))]))
            let placements = place(shards)
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
                    if placements.indices.contains(number) {
                        statements += placements[number].nodes.map { Shards.assignment(of: shard, to: $0, state: .serving) }
                    }
                    return statements
                })
            try await Records.add(
                zip(shards, placements).filter { !$1.why.isEmpty }.map { shard, placement in
                    let nodes = placement.nodes.map(\.rawValue).joined(separator: ", ")
                    return (
                        .decision, "shard \(shard)", "\(nodes): serving, because collection '\(name)' was created",
                        JSONValue.object(["candidates": .string(placement.why)]).description
                    )
                }, in: transaction)
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

    /// Throws `collection.exists` if a collection or an alias has the name. The caller holds the row that those who create one wait for.
    static func requireFree(_ name: CollectionName, in transaction: CatalogTransaction) async throws {
        let value = [SQLValue.text(name.rawValue)]
        let taken = try await transaction.run([
            Statement("SELECT 1 FROM apus.collection WHERE name = $1", value), Statement("SELECT 1 FROM apus.alias WHERE name = $1", value),
        ])
        guard taken[0].isEmpty else {
            throw ApusError(.collectionExists, "there is a collection \(name) already", hint: "choose another name, or delete it first")
        }
        guard taken[1].isEmpty else {
            throw ApusError(
                .collectionExists, "there is an alias \(name) already", hint: "choose another name, or delete the alias first",
                context: ["alias": name.rawValue])
        }
    }

    /// Deletes the collection at once. What it holds is kept for a time, in which it can be brought back (`undelete`), until `Retention`
    /// purges it. Throws `collection.unknown`.
    ///
    /// With `heads` only if nothing was written to any of its shards behind them; throws `shard.moved_on` otherwise.
    public func delete(_ name: CollectionName, ifStillAt heads: [ShardID: Int64]? = nil, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            let rows = try await transaction.run(
                Statement("SELECT id FROM apus.collection WHERE name = $1" + transaction.dialect.forUpdate, [.text(name.rawValue)]))
            guard let row = rows.first else { throw Self.unknown(name) }
            let id = SQLValue.integer(try row.integer(0))
            let ofIt: StaticSQL = " IN (SELECT id FROM apus.shard WHERE collection = $1)"
            // In ascending order, as appends lock them.
            let locked = try await transaction.run(
                Statement(
                    "SELECT shard, seq FROM apus.shard_head WHERE shard" + ofIt + " ORDER BY shard" + transaction.dialect.forUpdate, [id]))
            for row in locked {
                guard let heads else { break }
                guard heads[ShardID(try row.integer(0))] == (try row.integer(1)) else {
                    throw ApusError(
                        .shardMovedOn, "collection '\(name)' was written to meanwhile, and was not deleted",
                        context: ["collection": name.rawValue])
                }
            }
            let aliases = try await transaction.run(
                Statement("DELETE FROM apus.alias WHERE collection = $1 RETURNING name", [id])
            ).map { JSONValue.string(try $0.text(0)) }
            _ = try await transaction.run([
                Statement(
                    """
                    INSERT INTO apus.deleted_collection (id, name, configuration, replicas, aliases, created_at, deleted_at)
                    SELECT id, name, configuration, replicas, CAST($2 AS text), created_at,
                    """ + transaction.dialect.clock + " FROM apus.collection WHERE id = $1",
                    [id, .text(JSONValue.array(aliases).description)]),
                Statement(
                    """
                    INSERT INTO apus.deleted_head (shard, collection, number, seq, digest, bytes, epoch, replicas)
                    SELECT h.shard, s.collection, s.number, h.seq, h.digest, h.bytes, h.epoch, h.replicas
                    FROM apus.shard_head AS h JOIN apus.shard AS s ON s.id = h.shard WHERE s.collection = $1
                    """, [id]),
                Statement("DELETE FROM apus.shard_head WHERE shard" + ofIt, [id]),
                Statement("DELETE FROM apus.replica WHERE shard" + ofIt, [id]),
                Statement("DELETE FROM apus.shard WHERE collection = $1", [id]),
                Statement("DELETE FROM apus.collection WHERE id = $1", [id]),
            ])
            transaction.publish(.collection, key: CollectionID(try row.integer(0)).description)
        }
    }

    /// Changes how many nodes are to serve each shard; `why` is recorded. False if it was so already. Throws `collection.unknown`.
    public func setReplicas(_ replicas: Int, of id: CollectionID, why: String, deadline: Instant) async throws -> Bool {
        try await access.transaction(deadline: deadline) { transaction in
            let rows = try await transaction.run(
                Statement("SELECT name, replicas FROM apus.collection WHERE id = $1" + transaction.dialect.forUpdate, [.integer(id.value)]))
            guard let row = rows.first else { throw ApusError(.collectionUnknown, "the collection is gone", hint: "apus collection list") }
            let (name, before) = (try row.text(0), try row.integer(1))
            guard before != replicas else { return false }
            _ = try await transaction.run(
                Statement("UPDATE apus.collection SET replicas = $2 WHERE id = $1", [.integer(id.value), .integer(Int64(replicas))]))
            try await Records.add(
                [(.decision, "collection \(name)", "replication factor \(replicas) instead of \(before), because \(why)", "{}")],
                in: transaction)
            transaction.publish(.collection, key: id.description)
            return true
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

    static let selection: StaticSQL =
        "SELECT c.id, c.name, c.configuration, c.created_at, s.id, c.replicas FROM apus.collection AS c JOIN apus.shard AS s"
        + " ON s.collection = c.id"

    /// From rows of which those of one collection follow each other.
    static func rows(_ rows: Rows) throws -> [CollectionRow] {
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
