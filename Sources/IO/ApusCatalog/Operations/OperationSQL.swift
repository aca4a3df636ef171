internal import ApusDatabase
internal import ApusTypes

/// The statements over operation ids.
///
/// On PostgreSQL the table is a ring of list partitions that are truncated in turn, so no unique index spans it. An advisory lock for
/// each id, taken in ascending order and held until COMMIT, makes "look, then insert" exact over all partitions instead: who
/// waits for the lock of a commit that still waits for its standby learns nothing before that commit is decided.
/// SQLite has one writer, and needs no lock.
enum OperationSQL {
    /// How long anybody waits for an id or a shard head that a commit elsewhere holds.
    static let lockTimeout: Duration = .milliseconds(500)

    static func lock(_ keys: [OperationKey], _ dialect: SQLDialect) -> [Statement] {
        guard dialect == .postgreSQL else { return [] }
        return [
            Statement(
                "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k", [dialect.integers(Set(keys.map(\.lock)).sorted())])
        ]
    }

    /// The same without waiting: (lock, whether it was free).
    static func tryLock(_ keys: [OperationKey], _ dialect: SQLDialect) -> Statement {
        Statement(
            "SELECT k, pg_try_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k", [dialect.integers(Set(keys.map(\.lock)).sorted())])
    }

    /// (scope, id, body digest, refused, reply) of those ids that are there.
    static func find(_ keys: [OperationKey], _ dialect: SQLDialect) -> Statement {
        switch dialect {
        case .postgreSQL:
            Statement(
                """
                SELECT scope, id, body_digest, refused, reply FROM apus.operation
                WHERE (scope, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
                """, [textArray(keys.map(\.scope)), textArray(keys.map(\.id))])
        case .sqlite:
            // CROSS JOIN keeps SQLite from scanning the table to look each row up in the list.
            Statement(
                """
                SELECT o.scope, o.id, o.body_digest, o.refused, o.reply
                FROM json_each($1) AS k CROSS JOIN apus.operation AS o
                WHERE o.slot IN (0, 1, 2, 3, 4, 5, 6, 7) AND o.scope = k.value ->> 0 AND o.id = k.value ->> 1
                """, [.text("[" + keys.map { jsonArray([$0.scope, $0.id]) }.joined(separator: ",") + "]")])
        }
    }

    static func insert(_ rows: [OperationRow], _ dialect: SQLDialect) -> [Statement] {
        guard dialect == .postgreSQL else {
            return rows.map { row in
                Statement(
                    """
                    INSERT INTO apus.operation (slot, scope, id, body_digest, refused, reply)
                    SELECT origin * 4 + period % 4, $2, $3, $4, $5, $6 FROM apus.operation_period WHERE origin = $1
                    """,
                    [
                        .integer(row.origin.rawValue), .text(row.key.scope), .text(row.key.id), .blob(row.bodyDigest.bytes),
                        .integer(row.isRefused ? 1 : 0), .blob(row.reply),
                    ])
            }
        }
        let bytes = PackedBytes(rows.map { $0.bodyDigest.bytes + $0.reply })
        return [
            Statement(
                """
                INSERT INTO apus.operation (slot, scope, id, body_digest, refused, reply)
                SELECT apus.operation_slot(origin), scope, id, substring($7::bytea FROM start FOR 32), refused <> 0,
                       substring($7::bytea FROM start + 32 FOR length - 32)
                FROM unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::int[], $6::int[])
                     AS r (origin, scope, id, refused, start, length)
                """,
                [
                    dialect.integers(rows.map(\.origin.rawValue)), textArray(rows.map(\.key.scope)), textArray(rows.map(\.key.id)),
                    dialect.integers(rows.map { $0.isRefused ? 1 : 0 }), dialect.integers(bytes.starts), dialect.integers(bytes.lengths),
                    .blob(bytes.data),
                ])
        ]
    }

    /// Empties one slot of the ring. PostgreSQL drops the pages at once; SQLite deletes at most `limit` rows.
    static func empty(slot: Int, limit: Int, _ dialect: SQLDialect) -> Statement {
        switch dialect {
        case .postgreSQL: Statement(truncations[slot])
        case .sqlite:
            Statement(
                "DELETE FROM apus.operation WHERE slot = $1 AND (scope, id) IN (SELECT scope, id FROM apus.operation WHERE slot = $1 LIMIT $2)",
                [.integer(Int64(slot)), .integer(Int64(limit))])
        }
    }

    private static let truncations: [StaticSQL] = [
        "TRUNCATE apus.operation_0", "TRUNCATE apus.operation_1", "TRUNCATE apus.operation_2", "TRUNCATE apus.operation_3",
        "TRUNCATE apus.operation_4", "TRUNCATE apus.operation_5", "TRUNCATE apus.operation_6", "TRUNCATE apus.operation_7",
    ]
}

/// Many byte strings as one parameter: PostgreSQL takes them apart again, so that a group needs no parameter for each row.
struct PackedBytes {
    var data: [UInt8] = []
    /// From 1, as SQL counts.
    var starts: [Int64] = []
    var lengths: [Int64] = []

    init(_ values: [[UInt8]]) {
        data.reserveCapacity(values.reduce(0) { $0 + $1.count })
        for value in values { append(value) }
    }

    mutating func append(_ value: [UInt8]) {
        starts.append(Int64(data.count + 1))
        lengths.append(Int64(value.count))
        data += value
    }
}
