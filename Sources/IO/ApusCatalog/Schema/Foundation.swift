internal import ApusDatabase

extension Migration {
    /// Every time is in milliseconds since 1970, by the catalog's clock.
    static let foundation = Migration(
        number: 1, name: "foundation", minReader: 1, minWriter: 1,
        steps: clock + identity + feed + operations + nodes + shards + objects + storedObjects + rest)

    /// Tests move the clock by the offset; nothing else does.
    private static let clock: [Step] = [
        .both("CREATE TABLE apus.clock_offset (one bigint PRIMARY KEY CHECK (one = 1), milliseconds bigint NOT NULL)"),
        .both("INSERT INTO apus.clock_offset (one, milliseconds) VALUES (1, 0)"),
        .postgreSQL(
            """
            CREATE FUNCTION apus.clock() RETURNS bigint LANGUAGE sql VOLATILE AS
            'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + milliseconds FROM apus.clock_offset'
            """),
        .sqlite(
            """
            CREATE VIEW apus.clock AS
            SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) + milliseconds AS at FROM clock_offset
            """),
    ]

    private static let identity: [Step] = [
        .both(
            """
            CREATE TABLE apus.cluster (
                one bigint PRIMARY KEY CHECK (one = 1), id text NOT NULL, system bigint NOT NULL, restores bigint NOT NULL,
                created_at bigint NOT NULL)
            """),
        .postgreSQL(
            """
            INSERT INTO apus.cluster (one, id, system, restores, created_at)
            VALUES (1, replace(gen_random_uuid()::text, '-', ''), 0, 0, apus.clock())
            """),
        .sqlite(
            """
            INSERT INTO apus.cluster (one, id, system, restores, created_at)
            SELECT 1, lower(hex(randomblob(16))), random(), 0, at FROM apus.clock
            """),
        .both("CREATE TABLE apus.setting (name text PRIMARY KEY, value text NOT NULL, changed_at bigint NOT NULL)"),
        .both("CREATE TABLE apus.counter (name text PRIMARY KEY, value bigint NOT NULL)"),
        .both("INSERT INTO apus.counter (name, value) VALUES ('collection', 0), ('shard', 0), ('record', 0)"),
    ]

    /// A digest before the first change or operation is 32 zero bytes.
    private static let feed: [Step] = [
        .both(
            """
            CREATE TABLE apus.feed_head (
                one bigint PRIMARY KEY CHECK (one = 1), version bigint NOT NULL, digest bytea NOT NULL)
            """),
        .postgreSQL("INSERT INTO apus.feed_head (one, version, digest) VALUES (1, 0, decode(repeat('00', 32), 'hex'))"),
        .sqlite("INSERT INTO apus.feed_head (one, version, digest) VALUES (1, 0, zeroblob(32))"),
        .both(
            """
            CREATE TABLE apus.change (
                version bigint PRIMARY KEY, topic text NOT NULL, key text NOT NULL, digest bytea NOT NULL, at bigint NOT NULL)
            """),
    ]

    /// A ring of eight slots: 0-3 for clients' ids, 4-7 for proxies' and our own. Which of its four slots an origin fills is a row that only
    /// rises (`Retention.turnRing`), so that no clock that jumps makes a slot come back early.
    private static let operations: [Step] = [
        .both("CREATE TABLE apus.operation_period (origin bigint PRIMARY KEY, period bigint NOT NULL, since bigint NOT NULL)"),
        .postgreSQL("INSERT INTO apus.operation_period (origin, period, since) VALUES (0, 0, apus.clock()), (1, 0, apus.clock())"),
        .sqlite(
            "INSERT INTO apus.operation_period (origin, period, since) SELECT 0, 0, at FROM apus.clock UNION ALL SELECT 1, 0, at FROM apus.clock"
        ),
        .postgreSQL(
            """
            CREATE TABLE apus.operation (
                slot bigint NOT NULL, scope text NOT NULL, id text NOT NULL, body_digest bytea NOT NULL, refused boolean NOT NULL,
                reply bytea NOT NULL, PRIMARY KEY (scope, id, slot)) PARTITION BY LIST (slot)
            """),
        .postgreSQL("CREATE TABLE apus.operation_0 PARTITION OF apus.operation FOR VALUES IN (0)"),
        .postgreSQL("CREATE TABLE apus.operation_1 PARTITION OF apus.operation FOR VALUES IN (1)"),
        .postgreSQL("CREATE TABLE apus.operation_2 PARTITION OF apus.operation FOR VALUES IN (2)"),
        .postgreSQL("CREATE TABLE apus.operation_3 PARTITION OF apus.operation FOR VALUES IN (3)"),
        .postgreSQL("CREATE TABLE apus.operation_4 PARTITION OF apus.operation FOR VALUES IN (4)"),
        .postgreSQL("CREATE TABLE apus.operation_5 PARTITION OF apus.operation FOR VALUES IN (5)"),
        .postgreSQL("CREATE TABLE apus.operation_6 PARTITION OF apus.operation FOR VALUES IN (6)"),
        .postgreSQL("CREATE TABLE apus.operation_7 PARTITION OF apus.operation FOR VALUES IN (7)"),
        .postgreSQL(
            """
            CREATE FUNCTION apus.operation_slot(origin bigint) RETURNS bigint LANGUAGE sql VOLATILE AS
            'SELECT origin * 4 + p.period % 4 FROM apus.operation_period AS p WHERE p.origin = operation_slot.origin'
            """),
        .sqlite(
            """
            CREATE TABLE apus.operation (
                slot bigint NOT NULL, scope text NOT NULL, id text NOT NULL, body_digest bytea NOT NULL, refused bigint NOT NULL,
                reply bytea NOT NULL, PRIMARY KEY (slot, scope, id)) WITHOUT ROWID
            """),
    ]

    private static let nodes: [Step] = [
        .both(
            """
            CREATE TABLE apus.node (
                name text PRIMARY KEY, url text NOT NULL, rpc_address text NOT NULL, roles text NOT NULL, status text NOT NULL,
                incarnation bigint NOT NULL, version text NOT NULL, has_generated_name bigint NOT NULL, metadata text NOT NULL,
                registered_at bigint NOT NULL, changed_at bigint NOT NULL)
            """),
        .both(
            """
            CREATE TABLE apus.session (
                node text PRIMARY KEY, epoch bigint NOT NULL, process text NOT NULL, expires_at bigint NOT NULL, renewals bigint NOT NULL,
                report text NOT NULL)
            """),
        .both(
            """
            CREATE TABLE apus.lease (
                name text PRIMARY KEY, holder text, epoch bigint NOT NULL, expires_at bigint NOT NULL, renewals bigint NOT NULL)
            """),
    ]

    private static let shards: [Step] = [
        .both(
            """
            CREATE TABLE apus.collection (
                id bigint PRIMARY KEY, name text NOT NULL UNIQUE, configuration text NOT NULL, created_at bigint NOT NULL)
            """),
        .both(
            "CREATE TABLE apus.shard (id bigint PRIMARY KEY, collection bigint NOT NULL, number bigint NOT NULL, UNIQUE (collection, number))"
        ),
        .both("CREATE TABLE apus.replica (shard bigint NOT NULL, node text NOT NULL, state text NOT NULL, PRIMARY KEY (shard, node))"),
        .both(
            """
            CREATE TABLE apus.shard_head (
                shard bigint PRIMARY KEY, seq bigint NOT NULL, digest bytea NOT NULL, bytes bigint NOT NULL, epoch bigint NOT NULL)
            """),
        .both(
            """
            CREATE TABLE apus.shard_log (
                shard bigint NOT NULL, seq bigint NOT NULL, operation bytea, object text, bytes bigint NOT NULL, digest bytea NOT NULL,
                PRIMARY KEY (shard, seq), CHECK ((operation IS NULL) <> (object IS NULL)))
            """),
        .both("CREATE TABLE apus.deleted_shard (shard bigint PRIMARY KEY)"),
        // Heads are rewritten by each append: room for new versions on the same page. Vectors do not compress: do not try.
        .postgreSQL(
            "ALTER TABLE apus.shard_head SET (fillfactor = 25, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)"),
        .postgreSQL("ALTER TABLE apus.feed_head SET (fillfactor = 25)"),
        .postgreSQL("ALTER TABLE apus.shard_log ALTER COLUMN operation SET STORAGE EXTERNAL"),
        .postgreSQL(
            """
            CREATE FUNCTION apus.chain_step(previous bytea, operation bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS
            'BEGIN RETURN sha256(previous || operation); END'
            """),
        // The digest chain of a window: its first row is the digest so far, the others are digests of operations.
        .postgreSQL("CREATE AGGREGATE apus.chain (bytea) (SFUNC = apus.chain_step, STYPE = bytea)"),
    ]

    private static let objects: [Step] = [
        .both(
            "CREATE TABLE apus.object_intent (key text PRIMARY KEY, node text NOT NULL, created_at bigint NOT NULL)"),
        .both("CREATE TABLE apus.dropped_object (key text PRIMARY KEY, version bigint NOT NULL, dropped_at bigint NOT NULL)"),
    ]

    private static let rest: [Step] = [
        .both(
            """
            CREATE TABLE apus.api_key (
                id text PRIMARY KEY, name text NOT NULL, digest bytea NOT NULL, role text NOT NULL, created_at bigint NOT NULL,
                revoked_at bigint)
            """),
        .both(
            """
            CREATE TABLE apus.record (
                number bigint PRIMARY KEY, at bigint NOT NULL, kind text NOT NULL, subject text NOT NULL, summary text NOT NULL,
                inputs text NOT NULL)
            """),
    ]
}
