/// A place in the write-ahead log of one history of PostgreSQL. Whoever has replayed up to here shows every commit before it.
///
/// The number alone says nothing: a promoted standby goes on from where it stood, and gives the same numbers to other records.
public struct ReadToken: Hashable, Sendable {
    /// PostgreSQL's system identifier.
    public var system: Int64
    public var timeline: Int64
    /// Bytes since the beginning of the log (`pg_lsn`).
    public var lsn: Int64

    public init(system: Int64, timeline: Int64, lsn: Int64) {
        self.system = system
        self.timeline = timeline
        self.lsn = lsn
    }

    /// Whether a server that stands at `place` shows what was committed before this token.
    func isCovered(by place: ReadToken) -> Bool { place.system == system && place.timeline == timeline && place.lsn >= lsn }
}

/// What one look at a server found.
struct ServerSighting: Hashable, Sendable {
    /// How far a standby has replayed, or a primary has made its log durable.
    var place: ReadToken
    var isStandby: Bool

    /// A primary tells how far its log is on disk: every acknowledged commit lies before that (what is only written may still not reach a standby).
    /// A standby tells the timeline that it receives; a role without `pg_read_all_stats` is not told, and learns of a new one with the next
    /// restart point only, some minutes later: too late, never too soon.
    static let question = Statement(
        """
        SELECT pg_is_in_recovery(), (SELECT system_identifier FROM pg_control_system()),
               CASE WHEN pg_is_in_recovery()
                    THEN COALESCE((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))::bigint
                    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END,
               (CASE WHEN pg_is_in_recovery() THEN COALESCE(pg_last_wal_replay_lsn(), '0/0'::pg_lsn)
                     ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn)::bigint
        """)

    init(place: ReadToken, isStandby: Bool) {
        self.place = place
        self.isStandby = isStandby
    }

    init(_ rows: Rows) throws {
        guard let row = rows.first else { preconditionFailure("a selection without FROM has one row") }
        isStandby = try row.bool(0)
        place = ReadToken(system: try row.integer(1), timeline: try row.integer(2), lsn: try row.integer(3))
    }
}
