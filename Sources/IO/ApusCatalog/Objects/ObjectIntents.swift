public import ApusDatabase
public import ApusTypes

/// The rows that keep an object of the store alive until another row names it, and those that let it go.
///
/// The rule that makes collection safe: a key is drawn once; its intent is recorded before the object is put; the transaction that names
/// the object deletes the intent, and aborts if there is none. So a key without an intent and without a name never gets a name, whatever
/// a paused writer does later, and its object may be deleted.
public final class ObjectIntents: Sendable {
    private let database: any Database

    /// Works on the database alone: an object is announced before anything of the catalog is written.
    public init(database: any Database) { self.database = database }

    // MARK: Writers

    /// Deletes the intents of a node that begins anew, and gives their keys: nothing of what its earlier process put is on its way to a name
    /// any more, so the objects may be deleted. Should that process still run, its commits find no intent, and abort.
    public func abandon(of node: NodeName, deadline: Instant) async throws -> [ObjectKey] {
        let statement = Statement("DELETE FROM apus.object_intent WHERE node = $1 RETURNING key", [.text(node.rawValue)])
        return try await database.run([statement], on: .write, deadline: deadline)[0].map(Self.key(row:))
    }

    /// Announces that `key` is about to be put. Durable when it returns.
    public func record(_ key: ObjectKey, by node: NodeName, deadline: Instant) async throws {
        _ = try await database.run(
            [
                Statement(
                    "INSERT INTO apus.object_intent (key, node, created_at) SELECT $1, $2, " + database.dialect.clock,
                    [.text(key.description), .text(node.rawValue)])
            ], on: .write, deadline: deadline)
    }

    /// To be run in the transaction whose rows name the objects. Throws `object.intent_lost`, which must end the transaction, if the
    /// collector was faster.
    public static func settle(_ keys: [ObjectKey], in transaction: CatalogTransaction) async throws {
        guard !keys.isEmpty else { return }
        let deleted = try await transaction.run(AppendSQL.deleteIntents(keys, transaction.dialect)).changed
        guard deleted == Set(keys).count else {
            throw ApusError(
                .intentLost, "an object was collected before the row that names it could be committed: the write took too long",
                hint: "begin the write again")
        }
    }

    /// To be run in the transaction that removes the last row naming the objects: they are collected once every node has passed it.
    public static func drop(_ keys: [ObjectKey], in transaction: CatalogTransaction) async throws {
        guard !keys.isEmpty else { return }
        _ = try await transaction.run(
            keys.map { key in
                Statement(
                    """
                    INSERT INTO apus.dropped_object (key, version, dropped_at)
                    SELECT $1, (SELECT version FROM apus.feed_head) + 1,
                    """ + transaction.dialect.clock, [.text(key.description)])
            })
    }

    // MARK: Collector

    /// What a collector may remove, and on whose behalf.
    public struct Limits: Sendable {
        /// Intents older than this are taken for abandoned, by the catalog's clock.
        public var intentAge: Duration
        /// Dropped objects are kept at least this long: the retention of backups, in which they may be named again.
        public var retention: Duration
        /// Feed version that every node has applied; dropped objects above it may still be in use.
        public var watermark: Int64
        /// Keys in one call.
        public var count: Int
        /// The epoch of the leader on whose behalf this is done; nil where there is only one process. `lease.stale` when there is
        /// another leader.
        public var leader: Epoch?

        public init(intentAge: Duration, retention: Duration, watermark: Int64, count: Int = 500, leader: Epoch? = nil) {
            self.intentAge = intentAge
            self.retention = retention
            self.watermark = watermark
            self.count = count
            self.leader = leader
        }
    }

    /// Deletes abandoned intents and dropped rows, up to `limits.count` of each, and gives their keys: nothing can name these objects
    /// any more, so they may be deleted from the store.
    public func release(_ limits: Limits, deadline: Instant) async throws -> [ObjectKey] {
        let now = database.dialect.clock
        let intents = Statement(
            """
            DELETE FROM apus.object_intent WHERE key IN (
                SELECT key FROM apus.object_intent WHERE created_at <
            """ + now + " - $1 ORDER BY created_at LIMIT $2) RETURNING key",
            [.integer(limits.intentAge.milliseconds), .integer(Int64(limits.count))])
        let dropped = Statement(
            """
            DELETE FROM apus.dropped_object WHERE key IN (
                SELECT key FROM apus.dropped_object WHERE version <= $1 AND dropped_at <
            """ + now + " - $2 ORDER BY dropped_at LIMIT $3) RETURNING key",
            [.integer(limits.watermark), .integer(limits.retention.milliseconds), .integer(Int64(limits.count))])
        return try await authorised(by: limits.leader, deadline: deadline) { transaction in
            try await transaction.run([intents, dropped]).flatMap { rows in try rows.map(Self.key(row:)) }
        }
    }

    /// Those of `keys` that no row and no intent names, and that were not dropped either (those wait for their retention).
    public func unnamed(among keys: [ObjectKey], leader: Epoch?, deadline: Instant) async throws -> [ObjectKey] {
        let dialect = database.dialect
        let texts = keys.map(\.description)
        let asked: StaticSQL = dialect == .postgreSQL ? "SELECT unnest($1::text[]) AS key" : "SELECT value AS key FROM json_each($1)"
        // One statement, so one state of all these tables: a key that moves from intent to name is seen in one of them.
        let statement = Statement(
            "SELECT asked.key FROM (" + asked + """
                ) AS asked
                WHERE NOT EXISTS (SELECT 1 FROM apus.object_intent AS i WHERE i.key = asked.key)
                  AND NOT EXISTS (SELECT 1 FROM apus.dropped_object AS d WHERE d.key = asked.key)
                  AND NOT EXISTS (SELECT 1 FROM apus.shard_log AS l WHERE l.object = asked.key)
                  AND NOT EXISTS (SELECT 1 FROM apus.segment AS s WHERE s.object = asked.key)
                  AND NOT EXISTS (SELECT 1 FROM apus.model AS m WHERE m.object = asked.key)
                  AND NOT EXISTS (SELECT 1 FROM apus.snapshot AS n WHERE n.object = asked.key)
                """, [dialect == .postgreSQL ? textArray(texts) : .text(jsonArray(texts))])
        return try await authorised(by: leader, deadline: deadline) { transaction in
            try await transaction.run([statement])[0].map(Self.key(row:))
        }
    }

    /// How many intents and dropped objects wait, for metrics and `apus doctor`.
    public func counts(deadline: Instant) async throws -> (intents: Int, dropped: Int) {
        let rows = try await database.run(
            [Statement("SELECT COUNT(*) FROM apus.object_intent"), Statement("SELECT COUNT(*) FROM apus.dropped_object")],
            on: .read, deadline: deadline)
        return (Int(try rows[0][0].integer(0)), Int(try rows[1][0].integer(0)))
    }

    private func authorised<Value: Sendable>(
        by leader: Epoch?, deadline: Instant, _ body: (any Transaction) async throws -> Value
    ) async throws -> Value {
        try await database.transaction(.write, on: .write, deadline: deadline) { transaction in
            if let leader {
                let held = LeaseRows.holding(.lease, name: Leases.leader, epoch: leader, dialect: database.dialect)
                guard try await !transaction.run([held])[0].isEmpty else {
                    throw ApusError(.leaseStale, "another node leads: nothing was collected")
                }
            }
            return try await body(transaction)
        }
    }

    private static func key(row: Row) throws -> ObjectKey {
        guard let key = ObjectKey(try row.text(0)) else {
            throw ApusError(.databaseRejected, "a row of the catalog does not hold an object's key")
        }
        return key
    }
}
