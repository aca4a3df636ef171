internal import ApusDatabase
internal import ApusRuntime
public import ApusTypes

/// Keeps everything in the catalog that grows within a bound. Harmless when several nodes do it; the leader does.
public final class Retention: Sendable {
    /// One kind of row and what becomes of it.
    public struct Rule: Sendable {
        public let rows: String
        public let keeps: String
        /// Removes at most some thousand rows and says how many; 0 when nothing is over the bound.
        let remove: @Sendable (CatalogAccess, Instant) async throws -> Int
    }

    public static let rules: [Rule] = [
        Rule(rows: "operation (clients')", keeps: "24 to 36 hours") { try await emptySlot(of: .client, $0, $1) },
        Rule(rows: "operation (proxies' and our own)", keeps: "2 to 3 minutes") { try await emptySlot(of: .proxy, $0, $1) },
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
        Rule(rows: "node with a generated name", keeps: "7 days after it left or went down") { access, deadline in
            try await write(
                Statement(
                    "DELETE FROM apus.node WHERE has_generated_name = 1 AND status IN ('left', 'down') AND changed_at < "
                        + access.dialect.clock
                        + " - $1", [.integer(7 * day)]), access, deadline)
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
    private static let piece: Int64 = 5000
    private static let interval: Duration = .seconds(10)

    private let access: CatalogAccess
    private let log = Logger("catalog")

    init(access: CatalogAccess) { self.access = access }

    /// Sweeps every ten seconds until the task is cancelled.
    public func run() async throws {
        while true {
            try await access.clock.sleep(until: access.clock.now.advanced(by: Self.interval), tolerance: nil)
            do {
                _ = try await sweep(deadline: access.clock.now.advanced(by: .seconds(30)))
            } catch let error as ApusError {
                log.warning("rows past their retention could not be removed", ["error": error.description])
            }
        }
    }

    /// Applies every rule until nothing is over its bound, in pieces of some thousand rows; the rows removed by each.
    @discardableResult
    public func sweep(deadline: Instant) async throws -> [String: Int] {
        guard !access.isReadOnly else { return [:] }
        var removed: [String: Int] = [:]
        for rule in Self.rules {
            while access.clock.now < deadline {
                let count = try await rule.remove(access, deadline)
                removed[rule.rows, default: 0] += count
                if count == 0 { break }
            }
        }
        return removed
    }

    // MARK: Rules

    @discardableResult
    private static func write(_ statement: Statement, _ access: CatalogAccess, _ deadline: Instant) async throws -> Int {
        try await access.database.run([statement], on: .write, deadline: deadline)[0].changed
    }

    /// Empties the slot that will be used next, if it holds anything.
    private static func emptySlot(of origin: OperationID.Origin, _ access: CatalogAccess, _ deadline: Instant) async throws -> Int {
        let dialect = access.dialect
        let length: Int64 = origin == .client ? day / 2 : 60_000
        let now = try await access.read(Statement("SELECT " + dialect.clock), deadline: deadline)[0].integer(0)
        let slot = origin.rawValue * 4 + (now / length + 1) % 4
        let isUsed = try await access.read(
            Statement("SELECT 1 FROM apus.operation WHERE slot = $1 LIMIT 1", [.integer(slot)]), deadline: deadline)
        guard !isUsed.isEmpty else { return 0 }
        do {
            return try await access.database.transaction(.settling, on: .write, deadline: deadline) {
                transaction in
                // Truncating waits for whoever still reads the slot; everybody else must not wait behind it for long.
                max(1, try await transaction.run([OperationSQL.empty(slot: Int(slot), limit: Int(piece), dialect)])[0].changed)
            }
        } catch let error as ApusError where error.isContention {
            return 0  // in use at this moment: the next sweep
        }
    }

    /// A piece of one deleted shard; its objects become the collector's business.
    private static func removeDeletedLogs(_ access: CatalogAccess, _ deadline: Instant) async throws -> Int {
        guard let row = try await access.read(Statement("SELECT shard FROM apus.deleted_shard LIMIT 1"), deadline: deadline).first else {
            return 0
        }
        let shard = SQLValue.integer(try row.integer(0))
        let isInPiece: StaticSQL = " shard = $1 AND seq < (SELECT MIN(seq) FROM apus.shard_log WHERE shard = $1) + 500"
        let rows = try await access.database.transaction(.write, on: .write, deadline: deadline) { transaction in
            try await transaction.run([
                Statement(
                    "INSERT INTO apus.dropped_object (key, version, dropped_at) SELECT object, (SELECT version FROM apus.feed_head), "
                        + access.dialect.clock + " FROM apus.shard_log WHERE" + isInPiece + " AND object IS NOT NULL", [shard]),
                Statement("DELETE FROM apus.shard_log WHERE" + isInPiece, [shard]),
                Statement(
                    "DELETE FROM apus.deleted_shard WHERE shard = $1 AND NOT EXISTS (SELECT 1 FROM apus.shard_log WHERE shard = $1)",
                    [shard]),
            ])
        }
        return rows[1].changed + rows[2].changed
    }
}
