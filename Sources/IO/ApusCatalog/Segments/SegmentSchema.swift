internal import ApusDatabase

extension Migration {
    /// What sealed shards consist of. A program that does not know it would take a truncated log for a lost one.
    static let segments = Migration(
        number: 2, name: "segments", minReader: 2, minWriter: 2,
        steps: [
            // `bytes` counts the operations up to `seq` since the shard was made. The sealer is a node and the epoch of its session.
            .both(
                """
                CREATE TABLE apus.shard_manifest (
                    shard bigint PRIMARY KEY, version bigint NOT NULL, seq bigint NOT NULL, digest bytea NOT NULL, bytes bigint NOT NULL,
                    sealer text, sealer_epoch bigint)
                """),
            .both(
                """
                CREATE TABLE apus.segment (
                    shard bigint NOT NULL, place bigint NOT NULL, object text NOT NULL, points bigint NOT NULL, bytes bigint NOT NULL,
                    PRIMARY KEY (shard, place))
                """),
            .postgreSQL("CREATE UNIQUE INDEX segment_object ON apus.segment (object)"),
            .sqlite("CREATE UNIQUE INDEX apus.segment_object ON segment (object)"),
            // What truncated logs have left: by it a follower that was away knows its own history again.
            .both(
                "CREATE TABLE apus.shard_past (shard bigint NOT NULL, seq bigint NOT NULL, digest bytea NOT NULL, PRIMARY KEY (shard, seq))"
            ),
        ])

    /// When the last operation that a manifest covers was written: the log, which says it too, does not keep it.
    static let manifestTimes = Migration(
        number: 9, name: "times of manifests", minReader: 2, minWriter: 6,
        steps: [.both("ALTER TABLE apus.shard_manifest ADD COLUMN written_at bigint")])
}
