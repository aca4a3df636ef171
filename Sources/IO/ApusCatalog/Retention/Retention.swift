internal import ApusDatabase
internal import ApusRuntime
public import ApusTypes

/// Keeps everything in the catalog that grows within a bound. Every rule may be applied by several nodes at once; the leader does.
public final class Retention: Sendable {
    /// One kind of row and what becomes of it.
    public struct Rule: Sendable {
        public let rows: String
        public let keeps: String
        /// Removes at most some thousand rows and says how many; 0 when nothing is over the bound.
        let remove: @Sendable (CatalogAccess, Instant) async throws -> Int
    }

    public static let rules: [Rule] = [
        Rule(rows: "operation (clients')", keeps: "24 to 36 hours") { try await turnRing(of: .client, $0, $1) },
        Rule(rows: "operation (proxies' and our own)", keeps: "2 to 3 minutes") { try await turnRing(of: .proxy, $0, $1) },
        Rule(rows: "change", keeps: "the last \(ChangeFeed.kept)") { access, deadline in
            try await write(
                Statement(
                    """
                    DELETE FROM apus.change WHERE version <= (SELECT version - $1 FROM apus.feed_head)
                        AND version < (SELECT MIN(version) FROM apus.change) + $2
                    """, [.integer(ChangeFeed.kept), .integer(piece)]), access, deadline)
        },
        Rule(rows: "record", keeps: "30 days, and the last \(recordsKept)") { access, deadline in
            try await write(
                Statement(
                    "DELETE FROM apus.record WHERE (number <= (SELECT value - $1 FROM apus.counter WHERE name = 'record') OR at < "
                        + access.dialect.clock + " - $2) AND number < (SELECT MIN(number) FROM apus.record) + $3",
                    [.integer(recordsKept), .integer(30 * day), .integer(piece)]), access, deadline)
        },
        Rule(rows: "shard_log of deleted collections", keeps: "nothing", remove: removeDeletedLogs),
        Rule(rows: "shard_log that is in segments", keeps: "nothing", remove: removeSealedLogs),
        Rule(rows: "shard_past", keeps: "the last \(pastKept) of each shard") { access, deadline in
            try await write(
                Statement(
                    """
                    DELETE FROM apus.shard_past WHERE seq <= $1 + (
                        SELECT m.seq FROM apus.shard_manifest AS m WHERE m.shard = shard_past.shard)
                    """, [.integer(-pastKept)]), access, deadline)
        },
        // One that was killed never says that it left: its session tells.
        Rule(rows: "node with a generated name, and its replicas", keeps: "7 days after it left or was last heard of") { access, deadline in
            let isGone: StaticSQL =
                "SELECT n.name FROM apus.node AS n LEFT JOIN apus.session AS s ON s.node = n.name WHERE n.has_generated_name = 1 AND"
                + " n.changed_at < " + access.dialect.clock + " - $1 AND (n.status = 'left' OR COALESCE(s.expires_at, 0) < "
                + access.dialect.clock + " - $1) ORDER BY n.name LIMIT 1"
            let look = Statement(isGone, [.integer(7 * day)])
            guard try await !access.read(look, deadline: deadline).isEmpty else { return 0 }
            return try await access.transaction(deadline: deadline) { transaction in
                guard let row = try await transaction.run(look).first else { return 0 }
                return try await Nodes.remove(NodeName(try row.text(0)), in: transaction) ? 1 : 0
            }
        },
        Rule(rows: "session without a node", keeps: "1 day") { access, deadline in
            try await write(
                Statement(
                    "DELETE FROM apus.session WHERE node NOT IN (SELECT name FROM apus.node) AND expires_at < " + access.dialect.clock
                        + " - $1",
                    [.integer(day)]), access, deadline)
        },
        Rule(rows: "api_key", keeps: "30 days after it was revoked") { access, deadline in
            try await write(
                Statement("DELETE FROM apus.api_key WHERE revoked_at < " + access.dialect.clock + " - $1", [.integer(30 * day)]), access,
                deadline)
        },
    ]

    private static let day: Int64 = 86_400_000
    public static let recordsKept: Int64 = 100_000
    /// Digests of operations that are in segments.
    public static let pastKept: Int64 = 10_000
    public static let deletedKept: Int64 = 1000
    private static let piece: Int64 = 5000
    /// Of logs: other writers wait for a piece.
    private static let pieceBytes: Int64 = 8 << 20

    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// Applies every rule until nothing is over its bound, in pieces of some thousand rows; the rows removed by each. What cannot be done
    /// by the deadline is left to the next sweep.
    ///
    /// `deletedCollections`: how long those can be brought back, which the last `deletedKept` can be at most.
    @discardableResult
    public func sweep(deletedCollections: Duration = .seconds(86_400), deadline: Instant) async throws -> [String: Int] {
        guard !access.isReadOnly else { return [:] }
        var removed: [String: Int] = [:]
        for rule in [Self.deletedCollections(keptFor: deletedCollections)] + Self.rules {
            while access.clock.now < deadline {
                do {
                    let count = try await rule.remove(access, deadline)
                    removed[rule.rows, default: 0] += count
                    if count == 0 { break }
                } catch let error as ApusError where error.code == .deadlineExceeded && access.clock.now >= deadline {
                    return removed
                }
            }
        }
        return removed
    }

    // MARK: Rules

    @discardableResult
    private static func write(_ statement: Statement, _ access: CatalogAccess, _ deadline: Instant) async throws -> Int {
        try await access.database.run([statement], on: .write, deadline: deadline)[0].changed
    }

    /// Empties the slot that comes next, and makes it the one in use when the present one has been for its time: an id is kept for two
    /// whole periods after its own. Under the period's lock, so that two nodes, or one that was stopped in between, empty nothing else.
    private static func turnRing(of origin: OperationID.Origin, _ access: CatalogAccess, _ deadline: Instant) async throws -> Int {
        let seen = try await ring(of: origin, access.dialect) { try await access.read($0, deadline: deadline) }
        guard seen.isNextUsed || seen.change(origin) != nil else { return 0 }
        do {
            return try await access.database.transaction(.settling, on: .write, deadline: deadline) { transaction in
                // Only the row: who truncates must not hold the other slots, which another node may truncate for the other origin.
                let lock: StaticSQL =
                    "SELECT 1 FROM apus.operation_period WHERE origin = $1 AND period = $2"
                    + (access.dialect == .postgreSQL ? " FOR UPDATE" : "")
                let rows = try await transaction.run([Statement(lock, [.integer(origin.rawValue), .integer(seen.period)])])[0]
                guard !rows.isEmpty else { return 0 }
                if seen.isNextUsed {
                    // Truncating waits for whoever still reads the slot; everybody else must not wait behind it for long.
                    let empty = OperationSQL.empty(slot: seen.nextSlot(origin), limit: Int(piece), access.dialect)
                    return max(1, try await transaction.run([empty])[0].changed)
                }
                let now = try await ring(of: origin, access.dialect) { try await transaction.run([$0])[0] }
                guard !now.isNextUsed, let (period, since) = now.change(origin) else { return 0 }
                _ = try await transaction.run([
                    Statement(
                        "UPDATE apus.operation_period SET period = $2, since = $3 WHERE origin = $1",
                        [.integer(origin.rawValue), .integer(period), .integer(since)])
                ])
                return 1
            }
        } catch let error as ApusError where error.isContention {
            return 0  // in use at this moment: the next sweep
        }
    }

    private struct Ring {
        var period: Int64
        var since: Int64
        var now: Int64
        var isNextUsed: Bool

        func nextSlot(_ origin: OperationID.Origin) -> Int { Int(origin.rawValue * 4 + (period + 1) % 4) }

        /// The period that is due, and since when it is. A clock that went back starts the present one anew: it lasts longer, and never
        /// for ever.
        func change(_ origin: OperationID.Origin) -> (period: Int64, since: Int64)? {
            if now < since { return (period, now) }
            let length: Int64 = origin == .client ? day / 2 : 60_000
            return now - since >= length ? (period + 1, now) : nil
        }
    }

    private static func ring(
        of origin: OperationID.Origin, _ dialect: SQLDialect, _ run: (Statement) async throws -> Rows
    ) async throws -> Ring {
        let look: StaticSQL =
            "SELECT period, since, " + dialect.clock + ", EXISTS (SELECT 1 FROM apus.operation AS o WHERE o.slot ="
            + " p.origin * 4 + (p.period + 1) % 4) FROM apus.operation_period AS p WHERE p.origin = $1"
        let row = try await run(Statement(look, [.integer(origin.rawValue)]))[0]
        return Ring(period: try row.integer(0), since: try row.integer(1), now: try row.integer(2), isNextUsed: try row.bool(3))
    }

    /// A piece of what segments hold by now; its digests stay for a while, its objects become the collector's business.
    private static func removeSealedLogs(_ access: CatalogAccess, _ deadline: Instant) async throws -> Int {
        let rows = try await access.read(
            Statement(
                """
                SELECT l.shard, l.seq, l.bytes FROM apus.shard_manifest AS m JOIN apus.shard_log AS l ON l.shard = m.shard AND l.seq <= m.seq
                ORDER BY l.shard, l.seq LIMIT 500
                """), deadline: deadline)
        guard let first = rows.first else { return 0 }
        let shard = try first.integer(0)
        var last: Int64 = 0
        var bytes: Int64 = 0
        for row in rows where bytes < pieceBytes {
            guard try row.integer(0) == shard else { break }
            last = try row.integer(1)
            bytes += try row.integer(2)
        }
        // Only what is sealed: the manifest may be another by now, but its place only rises, unless the shard is gone.
        let isInPiece: StaticSQL =
            " shard = $1 AND seq <= (SELECT CASE WHEN m.seq < $2 THEN m.seq ELSE $2 END FROM apus.shard_manifest AS m WHERE m.shard = $1)"
        let values: [SQLValue] = [.integer(shard), .integer(last)]
        let statements = [
            Statement(
                "INSERT INTO apus.shard_past (shard, seq, digest) SELECT shard, seq, digest FROM apus.shard_log WHERE" + isInPiece
                    + " ON CONFLICT DO NOTHING", values),
            Statement(
                "INSERT INTO apus.dropped_object (key, version, dropped_at) SELECT object, (SELECT version FROM apus.feed_head), "
                    + access.dialect.clock + " FROM apus.shard_log WHERE" + isInPiece + " AND object IS NOT NULL", values),
            Statement("DELETE FROM apus.shard_log WHERE" + isInPiece, values),
        ]
        return try await access.database.transaction(.write, on: .write, deadline: deadline) { try await $0.run(statements) }[2].changed
    }

    static func deletedCollections(keptFor age: Duration) -> Rule {
        Rule(rows: "deleted_collection", keeps: "\(age), and the last \(deletedKept)") { try await purge(olderThan: age, $0, $1) }
    }

    private static func purge(olderThan age: Duration, _ access: CatalogAccess, _ deadline: Instant) async throws -> Int {
        let rows = try await access.read(
            Statement(
                "SELECT id FROM apus.deleted_collection WHERE deleted_at <= " + access.dialect.clock + " - $1 OR id NOT IN ("
                    + "SELECT id FROM apus.deleted_collection ORDER BY deleted_at DESC, id DESC LIMIT $2) ORDER BY id LIMIT 1",
                [.integer(age.milliseconds), .integer(deletedKept)]), deadline: deadline)
        guard let row = rows.first else { return 0 }
        let id = CollectionID(try row.integer(0))
        return try await access.transaction(deadline: deadline) { try await Collections.purge(id, in: $0) } ? 1 : 0
    }

    /// A piece of what deleted shards have left; its objects become the collector's business.
    private static func removeDeletedLogs(_ access: CatalogAccess, _ deadline: Instant) async throws -> Int {
        let some: StaticSQL = "SELECT shard FROM apus.deleted_shard ORDER BY shard LIMIT 100"
        let rows = try await access.read(
            Statement(
                "SELECT d.shard, l.seq, l.bytes FROM (" + some
                    + ") AS d LEFT JOIN apus.shard_log AS l ON l.shard = d.shard ORDER BY d.shard, l.seq LIMIT 500"),
            deadline: deadline)
        // In ascending order, as all who lock several shards' rows.
        var pieces: [(shard: SQLValue, last: Int64)] = []
        var bytes: Int64 = 0
        for row in rows where bytes < pieceBytes {
            let shard = SQLValue.integer(try row.integer(0))
            if pieces.last?.shard != shard { pieces.append((shard, -1)) }
            guard !row.isNull(1) else { continue }
            pieces[pieces.count - 1].last = try row.integer(1)
            bytes += try row.integer(2)
        }
        guard !pieces.isEmpty else { return 0 }
        let isInPiece: StaticSQL = " shard = $1 AND seq <= $2"
        let statements = pieces.flatMap { shard, last in
            [
                Statement(
                    "INSERT INTO apus.dropped_object (key, version, dropped_at) SELECT object, (SELECT version FROM apus.feed_head), "
                        + access.dialect.clock + " FROM apus.shard_log WHERE" + isInPiece + " AND object IS NOT NULL",
                    [shard, .integer(last)]),
                Statement("DELETE FROM apus.shard_log WHERE" + isInPiece, [shard, .integer(last)]),
                Statement(
                    "DELETE FROM apus.deleted_shard WHERE shard = $1 AND NOT EXISTS (SELECT 1 FROM apus.shard_log WHERE shard = $1)",
                    [shard]),
            ]
        }
        let removed = try await access.database.transaction(.write, on: .write, deadline: deadline) { try await $0.run(statements) }
        return stride(from: 0, to: removed.count, by: 3).reduce(0) { $0 + removed[$1 + 1].changed + removed[$1 + 2].changed }
    }
}
