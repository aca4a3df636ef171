internal import ApusDatabase

extension Migration {
    /// Models that texts are embedded with. A program that does not know the table would sweep their objects, so it must not write.
    static let models = Migration(
        number: 3, name: "models", minReader: 2, minWriter: 3,
        steps: [
            .both(
                """
                CREATE TABLE apus.model (
                    name text PRIMARY KEY, object text NOT NULL UNIQUE, size bigint NOT NULL, description text NOT NULL,
                    created_at bigint NOT NULL)
                """)
        ])
}
