internal import ApusDatabase
public import ApusTypes

/// One shard and who serves it.
public struct ShardRow: Sendable, Hashable {
    public var id: ShardID
    public var collection: CollectionID
    /// Within its collection, from 0.
    public var number: Int
    public var replicas: [Replica]
    /// Rises with each change of the replicas.
    public var version: Int64

    public init(id: ShardID, collection: CollectionID, number: Int, replicas: [Replica], version: Int64 = 0) {
        self.id = id
        self.collection = collection
        self.number = number
        self.replicas = replicas
        self.version = version
    }

    public struct Replica: Sendable, Hashable {
        public var node: NodeName
        public var state: ReplicaState

        public init(node: NodeName, state: ReplicaState) {
            self.node = node
            self.state = state
        }
    }
}

/// loading → serving → retiring → leaving; a replica that is dropped has no row. serving → suspended → loading where its node is gone.
///
/// Searches go to those that serve or retire. A write waits for those that leave or are suspended too: one may not know it yet, and
/// answer still.
public enum ReplicaState: String, Sendable, Hashable, CaseIterable {
    case loading, serving
    /// Serves until another one does in its place.
    case retiring
    case leaving
    /// Its node is gone, so that it is asked nothing until it has loaded again.
    case suspended

    public var answers: Bool { self == .serving || self == .retiring }
    /// Whether an acknowledgement waits for it.
    public var isTold: Bool { self != .loading }
}

/// One step in the life of a replica.
public struct ReplicaChange: Sendable, Hashable {
    public var shard: ShardID
    public var node: NodeName
    /// Nil: the replica is dropped.
    public var state: ReplicaState?
    /// Only from one of these states; nil among them: only if there is no such replica.
    public var from: Set<ReplicaState?>

    public init(_ shard: ShardID, on node: NodeName, from: Set<ReplicaState?>, to state: ReplicaState?) {
        self.shard = shard
        self.node = node
        self.from = from
        self.state = state
    }
}

/// Which shards there are, and which nodes hold a serving copy of each.
public final class Shards: Sendable {
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// How many replicas each node has, those that have none left out.
    public func replicaCounts(deadline: Instant) async throws -> [NodeName: Int] {
        let rows = try await access.read(Statement("SELECT node, COUNT(*) FROM apus.replica GROUP BY node"), deadline: deadline)
        return Dictionary(uniqueKeysWithValues: try rows.map { (NodeName(try $0.text(0)), Int(try $0.integer(1))) })
    }

    /// By id, all or those of one collection.
    public func list(of collection: CollectionID? = nil, deadline: Instant) async throws -> [ShardRow] {
        let selection: StaticSQL =
            "SELECT s.id, s.collection, s.number, r.node, r.state, h.replicas FROM apus.shard AS s JOIN apus.shard_head AS h ON h.shard = s.id"
            + " LEFT JOIN apus.replica AS r ON r.shard = s.id"
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
                    ShardRow(
                        id: id, collection: CollectionID(try row.integer(1)), number: Int(try row.integer(2)), replicas: [],
                        version: try row.integer(5)))
            }
            if !row.isNull(3), let state = ReplicaState(rawValue: try row.text(4)) {
                shards[shards.count - 1].replicas.append(.init(node: NodeName(try row.text(3)), state: state))
            }
        }
        return shards
    }

    /// Makes those changes that can be made, and gives them: what is in another state than expected stays. All in one transaction, with
    /// one entry in the feed for each collection.
    ///
    /// `leader`: the epoch under which the caller leads; throws `lease.stale` once it has ended.
    @discardableResult
    public func change(_ changes: [ReplicaChange], leader: Epoch? = nil, deadline: Instant) async throws -> [ReplicaChange] {
        guard !changes.isEmpty else { return [] }
        return try await access.transaction(deadline: deadline) { transaction in
            if let leader { try await transaction.require(lease: Leases.leader, epoch: leader) }
            let dialect = transaction.dialect
            let shards = dialect.integers(Set(changes.map(\.shard.value)).sorted())
            // The heads first, in ascending order, as appends lock them: whoever appends next sees the change.
            let seen = try await transaction.run([
                Statement(
                    "SELECT h.shard, s.collection FROM apus.shard_head AS h JOIN apus.shard AS s ON s.id = h.shard WHERE h.shard IN ("
                        + dialect.integersInFirst + ") ORDER BY h.shard" + (dialect == .postgreSQL ? " FOR NO KEY UPDATE OF h" : ""),
                    [shards]),
                Statement("SELECT shard, node, state FROM apus.replica WHERE shard IN (" + dialect.integersInFirst + ")", [shards]),
            ])
            let collections = Dictionary(
                uniqueKeysWithValues: try seen[0].map { (ShardID(try $0.integer(0)), CollectionID(try $0.integer(1))) })
            var states: [ReplicaPlace: ReplicaState] = [:]
            for row in seen[1] {
                states[ReplicaPlace(shard: ShardID(try row.integer(0)), node: NodeName(try row.text(1)))] = ReplicaState(
                    rawValue: try row.text(2))
            }
            var made: [ReplicaChange] = []
            for change in changes where collections[change.shard] != nil {
                let place = ReplicaPlace(shard: change.shard, node: change.node)
                guard change.from.contains(states[place]), states[place] != change.state else { continue }
                states[place] = change.state
                made.append(change)
            }
            guard !made.isEmpty else { return [] }
            let touched = Set(made.map(\.shard))
            _ = try await transaction.run(
                made.map(Self.statement) + [
                    Statement(
                        "UPDATE apus.shard_head SET replicas = replicas + 1 WHERE shard IN (" + dialect.integersInFirst + ")",
                        [dialect.integers(touched.map(\.value).sorted())])
                ])
            for collection in Set(touched.compactMap { collections[$0] }).sorted() {
                transaction.publish(.collection, key: collection.description)
            }
            return made
        }
    }

    /// Takes everything from a node that is forgotten, and says so: heads and feed tell who serves what.
    static func dropReplicas(of node: NodeName, in transaction: CatalogTransaction) async throws {
        let of: StaticSQL = " IN (SELECT shard FROM apus.replica WHERE node = $1)"
        let name = [SQLValue.text(node.rawValue)]
        // In ascending order, as appends lock them.
        let heads: StaticSQL = "SELECT shard FROM apus.shard_head WHERE shard" + of + " ORDER BY shard"
        let found = try await transaction.run([
            Statement(heads + (transaction.dialect == .postgreSQL ? " FOR NO KEY UPDATE" : ""), name),
            Statement("UPDATE apus.shard_head SET replicas = replicas + 1 WHERE shard" + of, name),
            Statement("SELECT DISTINCT collection FROM apus.shard WHERE id" + of + " ORDER BY collection", name),
            Statement("DELETE FROM apus.replica WHERE node = $1", name),
        ])
        for row in found[2] { transaction.publish(.collection, key: CollectionID(try row.integer(0)).description) }
    }

    private struct ReplicaPlace: Hashable {
        var shard: ShardID
        var node: NodeName
    }

    private static func statement(_ change: ReplicaChange) -> Statement {
        if let state = change.state { return assignment(of: change.shard, to: change.node, state: state) }
        return Statement(
            "DELETE FROM apus.replica WHERE shard = $1 AND node = $2", [.integer(change.shard.value), .text(change.node.rawValue)])
    }

    static func assignment(of shard: ShardID, to node: NodeName, state: ReplicaState) -> Statement {
        Statement(
            """
            INSERT INTO apus.replica (shard, node, state) VALUES ($1, $2, $3)
            ON CONFLICT (shard, node) DO UPDATE SET state = excluded.state
            """, [.integer(shard.value), .text(node.rawValue), .text(state.rawValue)])
    }
}
