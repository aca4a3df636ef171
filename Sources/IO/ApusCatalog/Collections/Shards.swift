internal import ApusDatabase
public import ApusTypes

/// One shard and who serves it.
public struct ShardRow: Sendable, Hashable {
    public var id: ShardID
    public var collection: CollectionID
    /// Within its collection, from 0.
    public var number: Int
    public var replicas: [Replica]

    public struct Replica: Sendable, Hashable {
        public var node: NodeName
        public var state: ReplicaState
    }
}

/// loading → serving → leaving; a replica that is dropped has no row.
public enum ReplicaState: String, Sendable, Hashable {
    case loading, serving, leaving
}

/// Which shards there are, and which nodes hold a serving copy of each.
public final class Shards: Sendable {
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// By id, all or those of one collection.
    public func list(of collection: CollectionID? = nil, deadline: Instant) async throws -> [ShardRow] {
        let selection: StaticSQL =
            "SELECT s.id, s.collection, s.number, r.node, r.state FROM apus.shard AS s LEFT JOIN apus.replica AS r ON r.shard = s.id"
        let statement =
            if let collection {
                Statement(selection + " WHERE s.collection = $1 ORDER BY s.id, r.node", [.integer(collection.value)])
            } else {
                Statement(selection + " ORDER BY s.id, r.node")
            }
        var shards: [ShardRow] = []
        for row in try await access.read(statement, deadline: deadline) {
            let id = ShardID(try row.integer(0))
            if shards.last?.id != id {
                shards.append(
                    ShardRow(id: id, collection: CollectionID(try row.integer(1)), number: Int(try row.integer(2)), replicas: []))
            }
            if !row.isNull(3), let state = ReplicaState(rawValue: try row.text(4)) {
                shards[shards.count - 1].replicas.append(.init(node: NodeName(try row.text(3)), state: state))
            }
        }
        return shards
    }

    /// Adds a replica, changes its state, or drops it (nil); one entry in the feed for the shard's collection.
    public func assign(_ shard: ShardID, to node: NodeName, state: ReplicaState?, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            let statement =
                if let state {
                    Self.assignment(of: shard, to: node, state: state)
                } else {
                    Statement("DELETE FROM apus.replica WHERE shard = $1 AND node = $2", [.integer(shard.value), .text(node.rawValue)])
                }
            let rows = try await transaction.run([
                Statement("SELECT collection FROM apus.shard WHERE id = $1", [.integer(shard.value)]), statement,
            ])
            guard let row = rows[0].first else { throw ShardLog.unknown(shard) }
            transaction.publish(.collection, key: CollectionID(try row.integer(0)).description)
        }
    }

    static func assignment(of shard: ShardID, to node: NodeName, state: ReplicaState) -> Statement {
        Statement(
            """
            INSERT INTO apus.replica (shard, node, state) VALUES ($1, $2, $3)
            ON CONFLICT (shard, node) DO UPDATE SET state = excluded.state
            """, [.integer(shard.value), .text(node.rawValue), .text(state.rawValue)])
    }
}
