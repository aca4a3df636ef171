internal import ApusDatabase
public import ApusTypes
internal import Synchronization

/// The recent operations of every shard: gapless numbers, chained digests, committed before they are acknowledged.
///
/// Appends never NOTIFY: the nodes that serve a shard are woken by RPC, or find out when they look at the heads.
public final class ShardLog: Sendable {
    public struct Options: Sendable {
        /// Operations above this go into an object when there is a store for them.
        public var rowLimit: ByteCount = .kibibytes(64)
        /// A group of requests that commit together is closed at either of these.
        public var groupRequests = 256
        public var groupBytes: ByteCount = .mebibytes(1)
        /// Beyond this many unsealed bytes a shard answers `shard.busy`: what is not sealed takes memory, and time at the next start.
        public var unsealedBytes: ByteCount = .gibibytes(2)
        /// Requests that may wait for the group before them, and their bytes; more are `shard.busy` at once.
        public var queueRequests = 4096
        public var queueBytes: ByteCount = .mebibytes(256)

        public init() {}
    }

    private static let leastTime = Duration.milliseconds(500)

    let access: CatalogAccess
    let options: Options
    private let store = Mutex<(any LogObjects)?>(nil)
    private let queue: AppendQueue

    init(access: CatalogAccess, options: Options) {
        self.access = access
        self.options = options
        queue = AppendQueue(committer: GroupCommit(access: access, options: options), options: options)
    }

    /// Gives large operations a place: from now on they go into objects. Until then all of them ride in rows, and operations that are in
    /// objects cannot be read. The store needs the catalog to be found, so it comes second; a store that is away may come later.
    public func attach(_ objects: any LogObjects) { store.withLock { $0 = objects } }

    private var objects: (any LogObjects)? { store.withLock { $0 } }

    /// Appends a request's operations in one transaction, together with requests that arrive at the same time.
    ///
    /// Returns when it is committed. A request with less than half a second left is refused: its deadline would cut the group that it
    /// commits with. Throws `write.outcome_unknown` if nobody can tell (repeat it with the same id),
    /// `write.idempotency_conflict`, `shard.unknown`, `shard.moved_on`, `shard.busy`, `lease.stale`, `catalog.unavailable` or
    /// `deadline.exceeded`: then nothing was written.
    public func append(_ request: AppendRequest, deadline: Instant) async throws -> AppendOutcome {
        try access.requireWritable()
        guard access.clock.now.duration(to: deadline) >= Self.leastTime else {
            throw ApusError(.deadlineExceeded, "too little time is left to write; nothing was written")
        }
        var rows: [PreparedAppend.Row] = []
        rows.reserveCapacity(request.appends.count)
        for append in request.appends {
            if let objects, append.operation.count > options.rowLimit.bytes {
                let object = try await objects.place(append.operation, deadline: deadline)
                rows.append(
                    .init(shard: append.shard, body: .object(object.key), size: append.operation.count, digest: object.description.digest))
            } else {
                rows.append(
                    .init(
                        shard: append.shard, body: .row(append.operation), size: append.operation.count,
                        digest: Digest(of: append.operation)))
            }
        }
        return try await queue.append(PreparedAppend(request: request, rows: rows, deadline: deadline))
    }

    /// What follows `position`, in order: at least one operation if there is any, and no more than `limit` bytes beyond the first.
    ///
    /// Throws `catalog.rewound` if the shard's history does not hold `position`, `log.truncated` if it does but what follows is in segments
    /// only, and `shard.unknown`.
    public func read(
        _ shard: ShardID, from position: LogPosition, limit: ByteCount = .mebibytes(8), deadline: Instant
    ) async throws -> [LogRecord] {
        let results = try await access.read(
            [
                Statement("SELECT seq FROM apus.shard_head WHERE shard = $1", [.integer(shard.value)]),
                Statement(
                    """
                    SELECT l.seq, l.digest, CASE WHEN l.seq > $2 THEN l.operation END, l.object
                    FROM (SELECT seq, SUM(CASE WHEN seq > $2 THEN bytes ELSE 0 END) OVER (ORDER BY seq) AS upto, bytes
                          FROM (SELECT seq, bytes FROM apus.shard_log WHERE shard = $1 AND seq >= $2 ORDER BY seq LIMIT 4096) AS next
                         ) AS sized
                    JOIN apus.shard_log AS l ON l.shard = $1 AND l.seq = sized.seq
                    WHERE sized.upto <= CAST($3 AS bigint) OR l.seq <= $2 + 1
                    ORDER BY l.seq
                    """,
                    [.integer(shard.value), .integer(position.sequence), .integer(Int64(limit.bytes))]),
                // After the log: what was not in it any more is here by now.
                Statement(
                    """
                    SELECT digest FROM apus.shard_past WHERE shard = $1 AND seq = $2
                    UNION SELECT digest FROM apus.shard_manifest WHERE shard = $1 AND seq = $2
                    """, [.integer(shard.value), .integer(position.sequence)]),
            ], deadline: deadline)
        guard !results[0].isEmpty else { throw Self.unknown(shard) }
        var rows = results[1][...]
        if position.sequence > 0 {
            if let own = rows.first, try own.integer(0) == position.sequence {
                guard try Digest(row: own, column: 1) == position.digest else {
                    throw rewound(shard, position, "the log has another operation there")
                }
                rows = rows.dropFirst()
            } else {
                guard let past = results[2].first else { throw rewound(shard, position, "the log does not hold this operation (any more)") }
                guard try Digest(row: past, column: 0) == position.digest else {
                    throw rewound(shard, position, "the log had another operation there")
                }
            }
        }
        if let next = rows.first {
            guard try next.integer(0) == position.sequence + 1 else { throw truncated(shard, position) }
        } else if try results[0][0].integer(0) > position.sequence {
            throw truncated(shard, position)
        }
        var records: [LogRecord] = []
        records.reserveCapacity(rows.count)
        for row in rows {
            records.append(
                LogRecord(
                    shard: shard, sequence: try row.integer(0), digest: try Digest(row: row, column: 1),
                    operation: row.isNull(2) ? try await fetch(row.text(3), deadline: deadline) : try row.blob(2)))
        }
        return records
    }

    /// How a shard stands in the catalog.
    public struct Standing: Sendable, Hashable {
        public var head: LogPosition
        /// Version of the shard's manifest; 0 before the first seal.
        public var manifest: Int64
        /// Operations that no segment holds yet.
        public var unsealed: ByteCount
        /// Version of the shard's replicas.
        public var replicas: Int64
    }

    /// The last position of each shard that exists; one query for all.
    public func heads(of shards: some Collection<ShardID> & Sendable, deadline: Instant) async throws -> [ShardID: LogPosition] {
        try await standings(of: shards, deadline: deadline).mapValues(\.head)
    }

    /// How each shard that exists stands; one query for all.
    public func standings(of shards: some Collection<ShardID> & Sendable, deadline: Instant) async throws -> [ShardID: Standing] {
        let dialect = access.dialect
        let rows = try await access.read(
            Statement(
                "SELECT h.shard, h.seq, h.digest, COALESCE(m.version, 0), h.bytes, h.replicas FROM apus.shard_head AS h"
                    + " LEFT JOIN apus.shard_manifest AS m ON m.shard = h.shard WHERE h.shard IN (" + dialect.integersInFirst + ")",
                [dialect.integers(shards.map(\.value))]), deadline: deadline)
        let incarnation = access.incarnation
        return Dictionary(
            uniqueKeysWithValues: try rows.map { row in
                (
                    ShardID(try row.integer(0)),
                    Standing(
                        head: LogPosition(
                            incarnation: incarnation, sequence: try row.integer(1), digest: try Digest(row: row, column: 2)),
                        manifest: try row.integer(3), unsealed: ByteCount(Int(try row.integer(4))), replicas: try row.integer(5))
                )
            })
    }

    /// A new holder of a duty over `shard` shuts out the older ones: from now on appends with a lower epoch are refused.
    ///
    /// Throws `lease.stale` if a newer holder was here before.
    public func fence(_ shard: ShardID, epoch: Epoch, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            let rows = try await transaction.run([
                Statement(
                    "UPDATE apus.shard_head SET epoch = $2 WHERE shard = $1 AND epoch <= $2",
                    [.integer(shard.value), .integer(epoch.value)]),
                Statement("SELECT epoch FROM apus.shard_head WHERE shard = $1", [.integer(shard.value)]),
            ])
            guard let row = rows[1].first else { throw Self.unknown(shard) }
            guard rows[0].changed == 1 else { throw Self.stale(shard, epoch: epoch, current: try row.integer(0)) }
        }
    }

    private func fetch(_ key: String, deadline: Instant) async throws -> [UInt8] {
        guard let objects, let key = ObjectKey(key) else {
            throw ApusError(
                .storeUnavailable, "an operation of the log is in an object, and this node has no store",
                hint: "configure the cluster's store")
        }
        return try await objects.fetch(key, deadline: deadline)
    }

    private func rewound(_ shard: ShardID, _ position: LogPosition, _ reason: String) -> ApusError {
        ApusError(
            .catalogRewound, "operation \(position.sequence) of shard \(shard) cannot be followed: \(reason)",
            context: ["shard": shard.description, "sequence": "\(position.sequence)", "reason": reason])
    }

    private func truncated(_ shard: ShardID, _ position: LogPosition) -> ApusError {
        ApusError(
            .logTruncated, "what follows operation \(position.sequence) of shard \(shard) is in segments only",
            context: ["shard": shard.description, "sequence": "\(position.sequence)"])
    }

    static func unknown(_ shard: ShardID) -> ApusError {
        ApusError(.shardUnknown, "there is no shard \(shard) (any more)", context: ["shard": shard.description])
    }

    static func stale(_ shard: ShardID, epoch: Epoch, current: Int64) -> ApusError {
        ApusError(
            .leaseStale, "shard \(shard) is held under epoch \(current); epoch \(epoch) has ended", context: ["shard": shard.description])
    }
}
