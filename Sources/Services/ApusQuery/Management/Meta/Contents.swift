internal import ApusDatabase
internal import ApusSchemas
internal import ApusTypes

/// What is in one database, as rows of the tables of `MetaModule`.
struct Contents: Sendable {
    private(set) var schemas: [[SQLValue]] = []
    private(set) var tables: [[SQLValue]] = []
    private(set) var views: [[SQLValue]] = []
    private(set) var columns: [[SQLValue]] = []
    private(set) var constraints: [[SQLValue]] = []

    var count: Int { Self.parts.reduce(0) { $0 + self[keyPath: $1.rows].count } }

    static var parts: [(columns: MetaModule.Columns, rows: KeyPath<Contents, [[SQLValue]]>)] {
        [
            (MetaModule.schemas, \.schemas), (MetaModule.tables, \.tables), (MetaModule.views, \.views),
            (MetaModule.columns, \.columns), (MetaModule.constraints, \.constraints),
        ]
    }

    /// What each engine is asked. Rows begin with the schema, those of columns and constraints with schema and table.
    struct Questions {
        /// schema, comment
        var schemas: StaticSQL
        /// schema, name, comment, has a primary key, estimated rows, columns, indexes
        var tables: StaticSQL
        /// schema, name, comment, columns
        var views: StaticSQL
        /// schema, table, name, type, nullable, default, comment, place
        var columns: StaticSQL
        /// schema, table, name, type, columns (JSON), referenced table, its columns (JSON)
        var constraints: StaticSQL
    }

    init(of database: MetaSource.Described, deadline: Instant) async throws {
        let questions: Questions =
            switch database.source.engine {
            case .postgreSQL: .postgreSQL(isCatalog: database.isCatalog)
            case .sqlite: .sqlite
            case .duckDB: .duckDB
            }
        func ask(_ sql: StaticSQL) async throws -> [[String?]] { try await SelfDescription.rows(database.source, sql, deadline) }
        let name = database.name
        let place: [SQLValue] = [.integer(MetaSource.id(name)), .text(name)]
        func id(_ names: String?...) -> SQLValue {
            .integer(MetaSource.id(([name] + names.map { $0 ?? "" }).joined(separator: "\u{1f}")))
        }
        func texts(_ values: some Sequence<String?>) -> [SQLValue] { values.map { $0.map { .text($0) } ?? .null } }
        schemas = try await ask(questions.schemas).map { place + [id($0[0])] + texts($0) }
        func relations(_ rows: [[String?]]) -> [[SQLValue]] {
            rows.map { place + [id($0[0], $0[1])] + texts([$0[1]]) + [id($0[0])] + texts([$0[0]]) + texts($0.dropFirst(2)) }
        }
        tables = relations(try await ask(questions.tables))
        views = relations(try await ask(questions.views))
        func parts(_ rows: [[String?]]) -> [[SQLValue]] {
            rows.map { place + [id($0[0])] + texts([$0[0]]) + [id($0[0], $0[1])] + texts([$0[1]]) + texts($0.dropFirst(2)) }
        }
        let isPostgreSQL = database.source.engine == .postgreSQL
        columns = parts(
            try await ask(questions.columns).map { row in
                var row = row
                if isPostgreSQL { row[3] = row[3].map(Self.duckDBType) }
                return row
            })
        constraints = parts(try await ask(questions.constraints))
    }

    /// The type by which DuckDB reads a column of PostgreSQL: what it has no type for is text. `name`: as `format_type` writes it.
    static func duckDBType(_ name: String) -> String {
        if name.hasSuffix("[]") { return duckDBType(String(name.dropLast(2))) + "[]" }
        if name.hasPrefix("numeric(") { return "DECIMAL" + name.dropFirst("numeric".count) }
        let plain = name.replacing(/\(\d+\)/, with: "")
        return switch plain {
        case "smallint": "SMALLINT"
        case "integer": "INTEGER"
        case "bigint": "BIGINT"
        case "oid": "UINTEGER"
        case "real": "FLOAT"
        case "double precision", "numeric": "DOUBLE"
        case "boolean", "date", "interval", "uuid": plain.uppercased()
        case "bytea": "BLOB"
        case "time without time zone": "TIME"
        case "time with time zone", "timestamp with time zone": plain.uppercased()
        case "timestamp without time zone": "TIMESTAMP"
        case "geometry": "GEOMETRY"
        default: plain.hasPrefix("geometry(") ? "GEOMETRY" : "VARCHAR"
        }
    }
}

extension Contents.Questions {
    static func postgreSQL(isCatalog: Bool) -> Contents.Questions {
        let schemas: StaticSQL =
            isCatalog
            ? "n.nspname = 'apus'"
            : """
            n.nspname NOT IN ('pg_catalog', 'information_schema', 'apus') AND n.nspname NOT LIKE 'pg\\_%' \
            AND has_schema_privilege(n.oid, 'USAGE')
            """
        let relations: StaticSQL =
            """
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND has_table_privilege(c.oid, 'SELECT') AND \

            """ + schemas
        let names: StaticSQL = "SELECT n.nspname, c.relname, obj_description(c.oid, 'pg_class'), "
        let keyColumns: StaticSQL =
            """
            array_to_json(ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY u(number, place) \
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number ORDER BY u.place))
            """
        return Contents.Questions(
            schemas: "SELECT n.nspname, obj_description(n.oid, 'pg_namespace') FROM pg_namespace n WHERE " + schemas,
            tables: names + """
                EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')::int, nullif(c.reltuples, -1)::bigint, \
                count(*), (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid) \

                """ + relations + " GROUP BY n.nspname, c.oid, c.relname, c.reltuples",
            views: names + "count(*) " + relations + " AND c.relkind IN ('v', 'm') GROUP BY n.nspname, c.oid, c.relname",
            columns: """
                SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), (NOT a.attnotnull)::int, \
                (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = c.oid AND d.adnum = a.attnum), \
                col_description(c.oid, a.attnum), a.attnum \

                """ + relations,
            constraints: """
                SELECT n.nspname, c.relname, k.conname, \
                CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' WHEN 'f' THEN 'FOREIGN KEY' ELSE 'CHECK' END, \

                """ + keyColumns + """
                    , t.relname, CASE WHEN t.oid IS NOT NULL THEN array_to_json(ARRAY(SELECT a.attname FROM unnest(k.confkey) \
                    WITH ORDINALITY u(number, place) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.number ORDER BY u.place)) END \
                    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                    LEFT JOIN pg_class t ON t.oid = k.confrelid \
                    WHERE k.contype IN ('p', 'u', 'f', 'c') AND has_table_privilege(c.oid, 'SELECT') AND NOT c.relispartition AND \

                    """ + schemas)
    }

    static let sqlite: Contents.Questions = {
        let own: StaticSQL = "m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        let count: StaticSQL = "(SELECT count(*) FROM pragma_table_info(m.name))"
        return Contents.Questions(
            schemas: "SELECT 'main', NULL",
            tables: """
                SELECT 'main', m.name, NULL, (SELECT count(*) > 0 FROM pragma_table_info(m.name) WHERE pk > 0), NULL, \

                """ + count
                    + ", (SELECT count(*) FROM pragma_index_list(m.name)) FROM sqlite_schema m WHERE m.type IN ('table', 'view') AND " + own
            ,
            views: "SELECT 'main', m.name, NULL, " + count + " FROM sqlite_schema m WHERE m.type = 'view' AND " + own,
            columns: """
                SELECT 'main', m.name, c.name, c.type, NOT (c."notnull" OR c.pk > 0), c.dflt_value, NULL, c.cid + 1 \
                FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type IN ('table', 'view') AND \

                """ + own,
            constraints: """
                SELECT 'main', m.name, m.name || '_pkey', 'PRIMARY KEY', json_group_array(c.name), NULL, NULL \
                FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.pk > 0 GROUP BY m.name \
                UNION ALL SELECT 'main', m.name, m.name || '_' || f.id || '_fkey', 'FOREIGN KEY', json_group_array(f."from"), f."table", \
                json_group_array(f."to") FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table' \
                GROUP BY m.name, f.id \
                UNION ALL SELECT 'main', m.name, i.name, 'UNIQUE', (SELECT json_group_array(x.name) FROM pragma_index_info(i.name) x), \
                NULL, NULL FROM sqlite_schema m JOIN pragma_index_list(m.name) i WHERE m.type = 'table' AND i.origin = 'u'
                """)
    }()

    static let duckDB = Contents.Questions(
        schemas: """
            SELECT schema_name, comment FROM duckdb_schemas() \
            WHERE database_name = current_database() AND schema_name NOT IN ('information_schema', 'pg_catalog')
            """,
        tables: """
            SELECT schema_name, table_name, comment, has_primary_key::INT, estimated_size, column_count, index_count FROM duckdb_tables() \
            WHERE database_name = current_database() AND NOT internal
            """,
        views: """
            SELECT schema_name, view_name, comment, column_count FROM duckdb_views() \
            WHERE database_name = current_database() AND NOT internal
            """,
        columns: """
            SELECT schema_name, table_name, column_name, data_type, is_nullable::INT, column_default, comment, column_index \
            FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal
            """,
        constraints: """
            SELECT schema_name, table_name, constraint_name, constraint_type, to_json(constraint_column_names), referenced_table, \
            CASE WHEN referenced_table <> '' THEN to_json(referenced_column_names) END FROM duckdb_constraints() \
            WHERE database_name = current_database() AND constraint_type <> 'NOT NULL'
            """)
}
