internal import ApusDatabase

extension Migration {
    /// The version of a shard's replicas lies in its head, where an append reads it under the lock: so no writer overlooks a replica that
    /// serves by the time of its commit. An older writer would, so it may not write.
    static let replicas = Migration(
        number: 6, name: "replicas", minReader: 2, minWriter: 6,
        steps: [
            .both("ALTER TABLE apus.shard_head ADD COLUMN replicas bigint NOT NULL DEFAULT 0"),
            // How many nodes are to serve each shard of the collection.
            .both("ALTER TABLE apus.collection ADD COLUMN replicas bigint NOT NULL DEFAULT 1"),
        ])
}
