internal import ApusDatabase
internal import ApusGraphQL
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// Reads what a database says of its own tables.
enum SelfDescription {
    /// As one more text of the source's schema. Types that its `files` define themselves are left out: who wrote them knows better.
    static func file(of source: any SQLSource, besides files: [SchemaFile], deadline: Instant) async throws -> SchemaFile {
        let tables =
            switch source.engine {
            case .postgreSQL: try await postgreSQL(source, deadline)
            case .sqlite: try await sqlite(source, deadline)
            case .duckDB: try await duckDB(source, deadline)
            }
        let written = definedTypes(files)
        return SchemaFile(name: "\(source.name) (as it describes itself)", text: DescribedSchema(tables, without: written).text)
    }

    static func definedTypes(_ files: [SchemaFile]) -> Set<String> { files.reduce(into: []) { $0.formUnion($1.definedTypes) } }

    static func rows(
        _ source: any SQLSource, _ sql: StaticSQL, with parameters: [JSONValue] = [], _ deadline: Instant
    ) async throws -> [[String?]] {
        try await source.read(SourceStatement(sql, parameters.map { .value($0) }), deadline: deadline).texts
    }

    // MARK: PostgreSQL

    private static func postgreSQL(_ source: any SQLSource, _ deadline: Instant) async throws -> [DescribedTable] {
        let columns = try await rows(
            source,
            """
            SELECT n.nspname, c.relname, c.relkind IN ('v', 'm'), obj_description(c.oid, 'pg_class'), a.attname, \
            format_type(a.atttypid, NULL), t.typtype, a.attnotnull, col_description(c.oid, a.attnum) \
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
            JOIN pg_type t ON t.oid = a.atttypid \
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped \
            AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'apus') AND n.nspname NOT LIKE 'pg\\_%' \
            AND has_table_privilege(c.oid, 'SELECT') \
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') \
            ORDER BY n.nspname, c.relname, a.attnum
            """, deadline)
        let keys = try await rows(
            source,
            """
            SELECT n.nspname, c.relname, k.contype, k.conname, array_to_json(ARRAY(SELECT a.attname FROM unnest(k.conkey) \
            WITH ORDINALITY u(number, place) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number ORDER BY u.place)), \
            tn.nspname, t.relname, array_to_json(ARRAY(SELECT a.attname FROM unnest(k.confkey) \
            WITH ORDINALITY u(number, place) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.number ORDER BY u.place)) \
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
            LEFT JOIN pg_class t ON t.oid = k.confrelid LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace \
            WHERE k.contype IN ('p', 'u', 'f') AND k.conparentid = 0 ORDER BY n.nspname, c.relname, k.conname
            """, deadline)
        var tables: [DescribedTable] = []
        for row in columns {
            let (schema, name) = (row[0] ?? "", row[1] ?? "")
            if tables.last?.schema != schema || tables.last?.name != name {
                tables.append(DescribedTable(schema: schema, name: name, isView: row[2] == "t", comment: row[3]))
            }
            guard let type = postgreSQLType(row[5] ?? "", kind: row[6] ?? "") else { continue }
            tables[tables.count - 1].columns.append(
                .init(name: row[4] ?? "", type: type, isNonNull: row[7] == "t", comment: row[8]))
        }
        for row in keys {
            guard let index = tables.firstIndex(where: { $0.schema == row[0] && $0.name == row[1] }) else { continue }
            let columns = texts(row[4])
            switch row[2] {
            case "p": tables[index].primaryKey = columns
            case "u": tables[index].uniqueKeys.append(columns)
            default:
                tables[index].foreignKeys.append(
                    .init(
                        name: row[3] ?? "", columns: columns, targetSchema: row[5] ?? "", target: row[6] ?? "",
                        targetColumns: texts(row[7])))
            }
        }
        return tables
    }

    static func texts(_ json: String?) -> [String] {
        guard let json, let value = try? JSONValue(parsing: Array(json.utf8)) else { return [] }
        return value.asArray?.compactMap(\.asString) ?? []
    }

    /// Nil for what no type of the dialect can hold. `kind`: `pg_type.typtype`.
    static func postgreSQLType(_ name: String, kind: String) -> String? {
        if name.hasSuffix("[]") { return postgreSQLType(String(name.dropLast(2)), kind: "b").map { "[\($0)]" } }
        if kind == "e" { return "String" }
        switch name {
        case "smallint", "integer": return "Int"
        case "bigint", "oid": return "BigInt"
        case "real", "double precision", "numeric", "money": return "Float"
        case "boolean": return "Boolean"
        case "date": return "Date"
        case "time without time zone": return "Time"
        case "timestamp without time zone": return "DateTime"
        case "timestamp with time zone": return "Timestamp"
        case "interval": return "Interval"
        case "json", "jsonb": return "JSON"
        case "geometry", "geography": return "Geometry"
        case "int4range": return "IntRange"
        case "int8range": return "BigIntRange"
        case "tstzrange": return "TimestampRange"
        case "text", "character varying", "character", "\"char\"", "name", "uuid", "citext", "inet", "cidr", "macaddr", "xml":
            return "String"
        default: return nil
        }
    }

    // MARK: SQLite

    private static func sqlite(_ source: any SQLSource, _ deadline: Instant) async throws -> [DescribedTable] {
        var tables: [DescribedTable] = []
        let columns = try await rows(
            source,
            """
            SELECT m.name, m.type, c.name, c.type, c."notnull", c.pk FROM sqlite_schema m JOIN pragma_table_info(m.name) c \
            WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.name, c.cid
            """, deadline)
        var keys: [String: [(Int, String)]] = [:]
        for row in columns {
            let (table, name) = (row[0] ?? "", row[2] ?? "")
            if tables.last?.name != table { tables.append(DescribedTable(schema: "main", name: table, isView: row[1] == "view")) }
            let place = Int(row[5] ?? "") ?? 0
            tables[tables.count - 1].columns.append(
                .init(name: name, type: sqliteType(row[3] ?? ""), isNonNull: row[4] == "1" || place > 0))
            if place > 0 { keys[table, default: []].append((place, name)) }
        }
        for index in tables.indices { tables[index].primaryKey = (keys[tables[index].name] ?? []).sorted { $0.0 < $1.0 }.map(\.1) }
        let references = try await rows(
            source,
            """
            SELECT m.name, f.id, f."table", f."from", f."to" FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f \
            WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq
            """, deadline)
        for row in references {
            guard let index = tables.firstIndex(where: { $0.name == row[0] }),
                let target = tables.first(where: { $0.name.lowercased() == row[2]?.lowercased() })
            else { continue }
            let name = "\(target.name)_\(row[1] ?? "")"
            if tables[index].foreignKeys.last?.name != name {
                tables[index].foreignKeys.append(
                    .init(name: name, columns: [], targetSchema: "main", target: target.name, targetColumns: []))
            }
            let last = tables[index].foreignKeys.count - 1
            let place = tables[index].foreignKeys[last].columns.count
            tables[index].foreignKeys[last].columns.append(row[3] ?? "")
            // Without a column it is the target's key.
            let column = row[4] ?? (place < target.primaryKey.count ? target.primaryKey[place] : "")
            tables[index].foreignKeys[last].targetColumns.append(column)
        }
        return tables
    }

    /// By SQLite's own rules of affinity, and what people mean by the names that it has no type for.
    static func sqliteType(_ declared: String) -> String {
        let name = declared.uppercased()
        for (part, type) in [
            ("BOOL", "Boolean"), ("BIGINT", "BigInt"), ("INT8", "BigInt"), ("INT", "Int"), ("DATETIME", "DateTime"),
            ("TIMESTAMP", "DateTime"),
            ("DATE", "Date"), ("TIME", "Time"), ("JSON", "JSON"), ("REAL", "Float"), ("FLOA", "Float"), ("DOUB", "Float"),
            ("DEC", "Float"), ("NUM", "Float"),
        ] where name.contains(part) { return type }
        return "String"
    }
}

extension SchemaFile {
    /// The object types that the text defines; none where it is no schema, which its reader says.
    fileprivate var definedTypes: [String] {
        guard let document = try? GraphQLDocument(parsing: text, limits: .schema) else { return [] }
        return document.definitions.of(.objectTypeDefinition).compactMap { document.name(of: $0) }
    }
}
