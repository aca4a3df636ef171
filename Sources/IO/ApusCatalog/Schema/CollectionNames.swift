internal import ApusDatabase

extension Migration {
    /// What is said about collections besides what they are made with: other names, settings that may change, declared payload indexes,
    /// and snapshots.
    static let collectionNames = Migration(number: 4, name: "collection names", minReader: 2, minWriter: 4, steps: attributes)

    private static let attributes: [Step] = [
        .both("CREATE TABLE apus.alias (name text PRIMARY KEY, collection bigint NOT NULL)"),
        .both("CREATE TABLE apus.collection_settings (collection bigint PRIMARY KEY, settings text NOT NULL)"),
        .both(
            """
            CREATE TABLE apus.payload_index (
                collection bigint NOT NULL, path text NOT NULL, definition text NOT NULL, PRIMARY KEY (collection, path))
            """),
        .both(
            """
            CREATE TABLE apus.snapshot (
                collection bigint NOT NULL, name text NOT NULL, object text NOT NULL UNIQUE, size bigint NOT NULL, digest bytea NOT NULL,
                created_at bigint NOT NULL, PRIMARY KEY (collection, name))
            """),
    ]
}
