internal import ApusDatabase
public import ApusTypes

/// What a shard consists of up to a place in its log: the segments, in the order in which they were sealed.
public struct Manifest: Sendable, Hashable {
    /// Rises with each change; 0 before the first seal.
    public var version: Int64
    public var position: LogPosition
    /// Of all operations up to there since the shard was made.
    public var bytes: Int64
    /// When the last of them was written, by the clock of the node that did; nil where nobody has noted it.
    public var writtenAt: WallTime?
    public var segments: [SegmentRow]

    public init(version: Int64, position: LogPosition, bytes: Int64, writtenAt: WallTime? = nil, segments: [SegmentRow]) {
        self.version = version
        self.position = position
        self.bytes = bytes
        self.writtenAt = writtenAt
        self.segments = segments
    }
}

/// One row of `segment`.
public struct SegmentRow: Sendable, Hashable {
    public var object: ObjectKey
    public var points: Int
    public var size: ByteCount

    public init(object: ObjectKey, points: Int, size: ByteCount) {
        self.object = object
        self.points = points
        self.size = size
    }
}

/// Whose duty it is to seal a shard: a node, as long as its session lasts.
public struct Sealer: Sendable, Hashable {
    public var node: NodeName
    public var session: Epoch

    public init(node: NodeName, session: Epoch) {
        self.node = node
        self.session = session
    }
}

/// The segments of shards. Their change and the truncation of the log are one transaction; the rows of the log that it covers go in
/// pieces afterwards (`Retention`).
public final class Segments: Sendable {
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// The manifests of those shards that were ever sealed, each as of one moment.
    public func manifests(of shards: some Collection<ShardID> & Sendable, deadline: Instant) async throws -> [ShardID: Manifest] {
        let dialect = access.dialect
        let rows = try await access.read(
            Statement(
                """
                SELECT m.shard, m.version, m.seq, m.digest, m.bytes, s.object, s.points, s.bytes, m.written_at
                FROM apus.shard_manifest AS m
                LEFT JOIN apus.segment AS s ON s.shard = m.shard WHERE m.version > 0 AND m.shard IN (
                """ + dialect.integersInFirst + ") ORDER BY m.shard, s.place", [dialect.integers(shards.map(\.value))]), deadline: deadline)
        let incarnation = access.incarnation
        var manifests: [ShardID: Manifest] = [:]
        for row in rows {
            let shard = ShardID(try row.integer(0))
            var manifest =
                try manifests[shard]
                ?? Manifest(
                    version: row.integer(1),
                    position: LogPosition(incarnation: incarnation, sequence: row.integer(2), digest: Digest(row: row, column: 3)),
                    bytes: row.integer(4), writtenAt: row.isNull(8) ? nil : WallTime(millisecondsSinceEpoch: row.integer(8)), segments: [])
            if !row.isNull(5) {
                guard let key = ObjectKey(try row.text(5)) else {
                    throw ApusError(.databaseRejected, "a row of the catalog does not hold an object's key")
                }
                manifest.segments.append(
                    SegmentRow(object: key, points: Int(try row.integer(6)), size: ByteCount(Int(try row.integer(7)))))
            }
            manifests[shard] = manifest
        }
        return manifests
    }

    /// Takes the duty to seal a shard, or keeps it; false while another node's session has it.
    public func claim(_ shard: ShardID, for sealer: Sealer, deadline: Instant) async throws -> Bool {
        try access.requireWritable()
        let dialect = access.dialect
        let isFree: StaticSQL =
            "(sealer IS NULL OR (sealer = $2 AND sealer_epoch = $3) OR NOT EXISTS (SELECT 1 FROM apus.session AS s"
            + " WHERE s.node = sealer AND s.epoch = sealer_epoch AND s.expires_at > " + dialect.clock + "))"
        let values: [SQLValue] = [.integer(shard.value), .text(sealer.node.rawValue), .integer(sealer.session.value)]
        return try await access.transaction(deadline: deadline) { transaction in
            try await transaction.run([
                Self.firstManifest(of: shard, dialect),
                Statement(
                    "UPDATE apus.shard_manifest SET sealer = $2, sealer_epoch = $3 WHERE shard = $1 AND " + isFree, values),
            ])[1].changed == 1
        }
    }

    /// Makes `manifest` what the shard consists of, in the place of the one of the version before.
    ///
    /// Objects that it names and the one before did not are new: their intents are settled. Those that it does not name any more are
    /// dropped. With `sealer`, only while that holds the duty. Throws `shard.moved_on` if another change was faster or the log has
    /// another history at the manifest's place, `shard.unknown`, `object.intent_lost`.
    public func commit(_ manifest: Manifest, of shard: ShardID, by sealer: Sealer?, deadline: Instant) async throws {
        let id = SQLValue.integer(shard.value)
        try await access.transaction(deadline: deadline) { transaction in
            let dialect = transaction.dialect
            let before = try await transaction.run([
                Statement(
                    "SELECT seq, digest FROM apus.shard_head WHERE shard = $1"
                        + (dialect == .postgreSQL ? " FOR NO KEY UPDATE" : ""), [id]),
                Self.firstManifest(of: shard, dialect),
                Statement(
                    "SELECT version, seq, digest, bytes, sealer, sealer_epoch FROM apus.shard_manifest WHERE shard = $1"
                        + (dialect == .postgreSQL ? " FOR UPDATE" : ""), [id]),
                Statement("SELECT object FROM apus.segment WHERE shard = $1", [id]),
                Statement(
                    "SELECT digest FROM apus.shard_log WHERE shard = $1 AND seq = $2", [id, .integer(manifest.position.sequence)]),
            ])
            guard !before[0].isEmpty else { throw ShardLog.unknown(shard) }
            let current = before[2][0]
            if let sealer {
                let holds = try !current.isNull(4) && current.text(4) == sealer.node.rawValue && current.integer(5) == sealer.session.value
                guard holds else {
                    throw ApusError(.leaseStale, "shard \(shard) is sealed by another node now", context: ["shard": shard.description])
                }
            }
            let sequence = try current.integer(1)
            let bytes = try current.integer(3)
            let isSamePlace = try sequence == manifest.position.sequence && Digest(row: current, column: 2) == manifest.position.digest
            let isInLog = try before[4].first.map { try Digest(row: $0, column: 0) == manifest.position.digest } ?? false
            guard try current.integer(0) == manifest.version - 1, isSamePlace || (isInLog && sequence < manifest.position.sequence) else {
                throw ApusError(
                    .shardMovedOn, "the segments of shard \(shard) have changed, or its log has another history",
                    context: ["shard": shard.description])
            }
            let old = Set(try before[3].map { try $0.text(0) })
            let new = manifest.segments.map(\.object)
            try await ObjectIntents.settle(new.filter { !old.contains($0.description) }, in: transaction)
            let kept = Set(new.map(\.description))
            try await ObjectIntents.drop(old.subtracting(kept).sorted().compactMap { ObjectKey($0) }, in: transaction)
            _ = try await transaction.run(
                [
                    Statement("DELETE FROM apus.segment WHERE shard = $1", [id]),
                    Statement(
                        "UPDATE apus.shard_manifest SET version = $2, seq = $3, digest = $4, bytes = $5, written_at = $6 WHERE shard = $1",
                        [
                            id, .integer(manifest.version), .integer(manifest.position.sequence), .blob(manifest.position.digest.bytes),
                            .integer(manifest.bytes), manifest.writtenAt.map { .integer($0.millisecondsSinceEpoch) } ?? .null,
                        ]),
                    Statement("UPDATE apus.shard_head SET bytes = bytes - $2 WHERE shard = $1", [id, .integer(manifest.bytes - bytes)]),
                ]
                    + manifest.segments.enumerated().map { place, segment in
                        Statement(
                            "INSERT INTO apus.segment (shard, place, object, points, bytes) VALUES ($1, $2, $3, $4, $5)",
                            [
                                id, .integer(Int64(place)), .text(segment.object.description), .integer(Int64(segment.points)),
                                .integer(Int64(segment.size.bytes)),
                            ])
                    })
        }
    }

    private static func firstManifest(of shard: ShardID, _ dialect: SQLDialect) -> Statement {
        Statement(
            """
            INSERT INTO apus.shard_manifest (shard, version, seq, digest, bytes) VALUES ($1, 0, 0, $2, 0) ON CONFLICT DO NOTHING
            """, [.integer(shard.value), .blob(Digest.origin.bytes)])
    }
}
