internal import ApusDatabase
public import ApusTypes

/// Which cluster this catalog belongs to. Made once, at random, with the first migration.
public struct ClusterIdentity: Hashable, Sendable {
    /// 32 hexadecimal digits; the store's identity file holds the same.
    public let id: String
    public let createdAt: WallTime

    static func load(from database: any Database, deadline: Instant) async throws -> ClusterIdentity {
        let rows = try await database.run([Statement("SELECT id, created_at FROM apus.cluster")], on: .read, deadline: deadline)[0]
        return ClusterIdentity(id: try rows[0].text(0), createdAt: WallTime(millisecondsSinceEpoch: try rows[0].integer(1)))
    }
}

extension Incarnation {
    /// The timeline comes from the WAL file's name: `pg_control_checkpoint()` still tells the old one for a while after a promotion.
    static func statement(_ dialect: SQLDialect) -> Statement {
        switch dialect {
        case .postgreSQL:
            Statement(
                """
                SELECT (SELECT system_identifier FROM pg_control_system()),
                       CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())::bigint
                            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END,
                       restores
                FROM apus.cluster
                """)
        case .sqlite: Statement("SELECT system, 1, restores FROM apus.cluster")
        }
    }

    init(row: Row) throws {
        self.init(system: try row.integer(0), timeline: try row.integer(1), restores: try row.integer(2))
    }

    static func load(from database: any Database, deadline: Instant) async throws -> Incarnation {
        try Incarnation(row: try await database.run([statement(database.dialect)], on: .read, deadline: deadline)[0][0])
    }
}
