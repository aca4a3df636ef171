internal import ApusDatabase

extension Migration {
    /// Objects kept as rows: what `CatalogStore` of ApusStore reads and writes, and what the sweep asks.
    static let storedObjects: [Step] = [
        // size, digest and checksums are null until the last block is there: such an object does not exist for readers.
        .both(
            """
            CREATE TABLE apus.stored_object (
                key text PRIMARY KEY, size bigint, digest bytea, checksums bytea, stored_at bigint NOT NULL)
            """),
        // The reference keeps a writer that was paused from adding blocks to an object that was collected meanwhile.
        .postgreSQL(
            """
            CREATE TABLE apus.stored_block (
                key text NOT NULL REFERENCES apus.stored_object (key) ON DELETE CASCADE, number bigint NOT NULL, bytes bytea NOT NULL,
                PRIMARY KEY (key, number))
            """),
        .sqlite(
            """
            CREATE TABLE apus.stored_block (
                key text NOT NULL REFERENCES stored_object (key) ON DELETE CASCADE, number bigint NOT NULL, bytes bytea NOT NULL,
                PRIMARY KEY (key, number))
            """),
        .postgreSQL("ALTER TABLE apus.stored_block ALTER COLUMN bytes SET STORAGE EXTERNAL"),
        .postgreSQL("CREATE INDEX shard_log_object ON apus.shard_log (object) WHERE object IS NOT NULL"),
        .sqlite("CREATE INDEX apus.shard_log_object ON shard_log (object) WHERE object IS NOT NULL"),
    ]
}
