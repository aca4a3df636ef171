internal import ApusDatabase
internal import ApusTypes

/// The statements of an append.
enum AppendSQL {
    /// (shard, seq, digest, bytes, epoch, replicas) of those heads that exist, locked in ascending order until COMMIT.
    static func lockHeads(_ shards: [ShardID], skipsLocked: Bool, _ dialect: SQLDialect) -> Statement {
        let selection: StaticSQL =
            "SELECT shard, seq, digest, bytes, epoch, replicas FROM apus.shard_head WHERE shard IN (" + dialect.integersInFirst
            + ") ORDER BY shard"
        let lock: StaticSQL =
            switch (dialect, skipsLocked) {
            case (.postgreSQL, false): " FOR NO KEY UPDATE"
            case (.postgreSQL, true): " FOR NO KEY UPDATE SKIP LOCKED"
            case (.sqlite, _): ""
            }
        return Statement(selection + lock, [dialect.integers(shards.map(\.value))])
    }

    /// Appends the rows, in order, to heads that are locked, and gives (shard, seq, digest) of each.
    ///
    /// PostgreSQL does it in one statement whatever the number of rows: it chains the digests in a window, moves the heads, inserts.
    static func append(_ rows: [PreparedAppend.Row], _ dialect: SQLDialect) -> [Statement] {
        switch dialect {
        case .postgreSQL: [batch(rows)]
        case .sqlite: rows.flatMap(single)
        }
    }

    private static func single(_ row: PreparedAppend.Row) -> [Statement] {
        let (operation, object): (SQLValue, SQLValue) =
            switch row.body {
            case .row(let bytes): (.blob(bytes), .null)
            case .object(let key): (.null, .text(key.description))
            }
        return [
            Statement(
                "UPDATE apus.shard_head SET seq = seq + 1, digest = sha256(digest || $2), bytes = bytes + $3 WHERE shard = $1",
                [.integer(row.shard.value), .blob(row.digest.bytes), .integer(Int64(row.size))]),
            Statement(
                """
                INSERT INTO apus.shard_log (shard, seq, operation, object, bytes, digest)
                SELECT shard, seq, $2, $3, $4, digest FROM apus.shard_head WHERE shard = $1 RETURNING shard, seq, digest
                """, [.integer(row.shard.value), operation, object, .integer(Int64(row.size))]),
        ]
    }

    private static func batch(_ rows: [PreparedAppend.Row]) -> Statement {
        var counts: [ShardID: Int64] = [:]
        var numbers: [Int64] = []
        var objects: [String] = []
        var operations = PackedBytes([])
        var digests: [UInt8] = []
        digests.reserveCapacity(rows.count * 32)
        for row in rows {
            counts[row.shard, default: 0] += 1
            numbers.append(counts[row.shard, default: 0])
            digests += row.digest.bytes
            switch row.body {
            case .row(let bytes):
                operations.append(bytes)
                objects.append("")
            case .object(let key):
                operations.append([])
                objects.append(key.description)
            }
        }
        let dialect = SQLDialect.postgreSQL
        return Statement(
            """
            WITH op AS (
                SELECT shard, n, start, length, object, size, substring($8::bytea FROM (i * 32 - 31)::int FOR 32) AS digest
                FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::int[], $5::text[], $6::bigint[])
                     WITH ORDINALITY AS o (shard, n, start, length, object, size, i)
            ), chained AS (
                SELECT shard, n, apus.chain(digest) OVER (PARTITION BY shard ORDER BY n) AS digest
                FROM (SELECT shard, 0 AS n, digest FROM apus.shard_head WHERE shard = ANY ($1::bigint[])
                      UNION ALL SELECT shard, n, digest FROM op) AS links
            ), total AS (
                SELECT shard, MAX(n) AS n, SUM(size)::bigint AS size FROM op GROUP BY shard
            ), head AS (
                UPDATE apus.shard_head AS h SET seq = h.seq + total.n, bytes = h.bytes + total.size, digest = chained.digest
                FROM total JOIN chained USING (shard, n) WHERE h.shard = total.shard
                RETURNING h.shard, h.seq - total.n AS before
            )
            INSERT INTO apus.shard_log (shard, seq, operation, object, bytes, digest)
            SELECT op.shard, head.before + op.n,
                   CASE WHEN op.object = '' THEN substring($7::bytea FROM op.start FOR op.length) END, NULLIF(op.object, ''), op.size,
                   chained.digest
            FROM op JOIN chained USING (shard, n) JOIN head USING (shard)
            RETURNING shard, seq, digest
            """,
            [
                dialect.integers(rows.map(\.shard.value)), dialect.integers(numbers), dialect.integers(operations.starts),
                dialect.integers(operations.lengths), textArray(objects), dialect.integers(rows.map { Int64($0.size) }),
                .blob(operations.data), .blob(digests),
            ])
    }

    static func deleteIntents(_ keys: [ObjectKey], _ dialect: SQLDialect) -> Statement {
        switch dialect {
        case .postgreSQL:
            Statement("DELETE FROM apus.object_intent WHERE key = ANY ($1::text[])", [textArray(keys.map(\.description))])
        case .sqlite:
            Statement(
                "DELETE FROM apus.object_intent WHERE key IN (SELECT value FROM json_each($1))", [.text(jsonArray(keys.map(\.description)))]
            )
        }
    }
}
