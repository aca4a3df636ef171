internal import ApusDatabase

extension Migration {
    /// What the query service is told by its operators, and what it serves. Older programs leave these tables alone.
    static let query = Migration(number: 8, name: "query service", minReader: 2, minWriter: 6, steps: definitions + served + access)

    /// `secret`: what stood for a password in a path, sealed.
    private static let definitions: [Step] = [
        .both(
            """
            CREATE TABLE apus.data_source (
                name text PRIMARY KEY, type text NOT NULL, description text, prefix text NOT NULL, as_module boolean NOT NULL,
                path text NOT NULL, disabled boolean NOT NULL, self_defined boolean NOT NULL, read_only boolean NOT NULL, secret text,
                created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP)
            """),
        .both(
            """
            CREATE TABLE apus.catalog_source (
                name text PRIMARY KEY, type text NOT NULL, description text, path text NOT NULL, secret text,
                created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP)
            """),
        .both(
            """
            CREATE TABLE apus.data_source_catalog (
                data_source_name text NOT NULL, catalog_name text NOT NULL, PRIMARY KEY (data_source_name, catalog_name))
            """),
        .both(
            """
            CREATE TABLE apus.object_storage (
                name text PRIMARY KEY, type text NOT NULL, scope text NOT NULL, parameters jsonb NOT NULL, secret text,
                created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP)
            """),
    ]

    /// `served_change` holds what a source was before a version: null where it was not served. No secrets: who takes a version back gets those
    /// that the definitions have.
    private static let served: [Step] = [
        .both("CREATE TABLE apus.query_state (schema_version bigint NOT NULL, permission_version bigint NOT NULL)"),
        .both("INSERT INTO apus.query_state (schema_version, permission_version) VALUES (0, 0)"),
        .both(
            """
            CREATE TABLE apus.served_source (
                name text PRIMARY KEY, version bigint NOT NULL, definition text NOT NULL, files text NOT NULL, secret text)
            """),
        .both("CREATE TABLE apus.served_version (version bigint PRIMARY KEY, at bigint NOT NULL, summary text NOT NULL)"),
        .both(
            """
            CREATE TABLE apus.served_change (
                version bigint NOT NULL, name text NOT NULL, definition text, files text, PRIMARY KEY (version, name))
            """),
    ]

    /// Of a key `digest` counts; `key` is what is shown in its place.
    private static let access: [Step] = [
        .both(
            """
            CREATE TABLE apus.query_role (
                name text PRIMARY KEY, description text, disabled boolean NOT NULL, can_impersonate boolean NOT NULL)
            """),
        .both(
            """
            CREATE TABLE apus.role_permission (
                role text NOT NULL, type_name text NOT NULL, field_name text NOT NULL, hidden boolean NOT NULL, disabled boolean NOT NULL,
                filter jsonb, data jsonb, PRIMARY KEY (role, type_name, field_name))
            """),
        .both(
            """
            CREATE TABLE apus.managed_key (
                name text PRIMARY KEY, digest text NOT NULL UNIQUE, key text NOT NULL, description text, default_role text NOT NULL, disabled boolean NOT NULL,
                is_temporal boolean NOT NULL, expires_at timestamptz, headers jsonb, claims jsonb,
                created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP)
            """),
        .both(
            """
            INSERT INTO apus.query_role (name, description, disabled, can_impersonate)
            VALUES ('admin', 'Admin role', false, true), ('public', 'Public role', false, false), ('readonly', 'Readonly role', false, false)
            """),
        .both(
            """
            INSERT INTO apus.role_permission (role, type_name, field_name, hidden, disabled)
            VALUES ('readonly', 'Mutation', '*', false, true)
            """),
    ]
}

extension Migration {
    /// `since`: the version in which a source began to be served; null where an older program wrote it. Of two that do not fit together the
    /// earlier stays.
    static let servedOrder = Migration(
        number: 11, name: "order of sources", minReader: 2, minWriter: 6,
        steps: [.both("ALTER TABLE apus.served_source ADD COLUMN since bigint")])

    /// What requests of a role may take. Null: as the node's configuration says.
    static let roleLimits = Migration(
        number: 10, name: "limits of roles", minReader: 2, minWriter: 6,
        steps: ["max_in_flight bigint", "max_rows bigint", "max_seconds double precision", "max_cost bigint", "deny_by_default boolean"]
            .map { (column: StaticSQL) in .both("ALTER TABLE apus.query_role ADD COLUMN " + column) })
}
