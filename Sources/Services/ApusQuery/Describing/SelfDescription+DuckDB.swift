internal import ApusDatabase
internal import ApusTypes

/// What a DuckDB file says of its own tables.
extension SelfDescription {
    static func duckDB(_ source: any SQLSource, _ deadline: Instant) async throws -> [DescribedTable] {
        var tables: [DescribedTable] = []
        let columns = try await rows(
            source,
            """
            SELECT c.schema_name, c.table_name, v.view_name IS NOT NULL, coalesce(t.comment, v.comment), c.column_name, c.data_type, \
            NOT c.is_nullable, c.comment FROM duckdb_columns() c \
            LEFT JOIN duckdb_tables() t ON t.table_oid = c.table_oid AND t.database_oid = c.database_oid AND t.schema_oid = c.schema_oid \
            AND t.table_name = c.table_name \
            LEFT JOIN duckdb_views() v ON v.view_oid = c.table_oid AND v.database_oid = c.database_oid AND v.schema_oid = c.schema_oid \
            AND v.view_name = c.table_name \
            WHERE NOT c.internal AND c.database_name = current_database() ORDER BY c.schema_name, c.table_name, c.column_index
            """, deadline)
        for row in columns {
            let (schema, name) = (row[0] ?? "", row[1] ?? "")
            if tables.last?.schema != schema || tables.last?.name != name {
                tables.append(DescribedTable(schema: schema, name: name, isView: row[2] == "t", comment: row[3]))
            }
            guard let type = duckDBType(row[5] ?? "") else { continue }
            tables[tables.count - 1].columns.append(.init(name: row[4] ?? "", type: type, isNonNull: row[6] == "t", comment: row[7]))
        }
        let keys = try await rows(
            source,
            """
            SELECT schema_name, table_name, constraint_type, constraint_index, to_json(constraint_column_names), referenced_table, \
            to_json(referenced_column_names) FROM duckdb_constraints() \
            WHERE database_name = current_database() AND constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY') \
            ORDER BY schema_name, table_name, constraint_index
            """, deadline)
        for row in keys {
            guard let index = tables.firstIndex(where: { $0.schema == row[0] && $0.name == row[1] }) else { continue }
            let columns = texts(row[4])
            switch row[2] {
            case "PRIMARY KEY": tables[index].primaryKey = columns
            case "UNIQUE": tables[index].uniqueKeys.append(columns)
            default:
                let target = row[5] ?? ""
                tables[index].foreignKeys.append(
                    .init(
                        name: "\(target)_\(row[3] ?? "")", columns: columns, targetSchema: row[0] ?? "", target: target,
                        targetColumns: texts(row[6])))
            }
        }
        return tables
    }

    /// Nil for what no type of the dialect can hold.
    static func duckDBType(_ name: String) -> String? {
        if name.hasSuffix("[]") { return duckDBType(String(name.dropLast(2))).map { "[\($0)]" } }
        switch name {
        case "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT": return "Int"
        case "BIGINT", "UINTEGER": return "BigInt"
        case "FLOAT", "DOUBLE", "HUGEINT", "UBIGINT", "UHUGEINT": return "Float"
        case _ where name.hasPrefix("DECIMAL("): return "Float"
        case "BOOLEAN": return "Boolean"
        case "DATE": return "Date"
        case "TIME": return "Time"
        case "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS": return "DateTime"
        case "TIMESTAMP WITH TIME ZONE": return "Timestamp"
        case "INTERVAL": return "Interval"
        case "JSON": return "JSON"
        case "VARCHAR", "UUID": return "String"
        case _ where name.hasPrefix("ENUM("): return "String"
        default: return nil
        }
    }
}
