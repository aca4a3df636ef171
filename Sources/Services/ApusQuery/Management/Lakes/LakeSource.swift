internal import ApusDatabase
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// The DuckLakes among the sources that are served.
final class LakeSource: TableSource, FunctionSource {
    let name = "core.ducklake"
    private let served: @Sendable () -> ServedSchema?

    init(_ served: @escaping @Sendable () -> ServedSchema?) { self.served = served }

    /// Of the lakes, and tables of them, whose names are among the statement's values.
    func tables(for statement: SourceStatement, deadline: Instant) async throws -> [ScratchTables.Table] {
        let values = Set(statement.parameters.compactMap(\.text))
        let sources = served()?.sources ?? [:]
        let lakes = values.sorted().compactMap { sources[$0] as? DuckDBSource }.filter { $0.lake != nil }
        guard !lakes.isEmpty else { throw Self.unknown(values.sorted().joined(separator: ", ")) }
        var tables: [ScratchTables.Table] = []
        for part in LakeModule.parts {
            var rows: [[SQLValue]] = []
            if statement.sql.text.contains(part.table.text) {
                for lake in lakes { rows += try await self.rows(part, of: lake, among: values, deadline: deadline) }
            }
            tables.append(
                ScratchTables.Table(part.table, columns: ["lake TEXT", "of_table TEXT", "of_schema TEXT"] + part.columns, rows: rows))
        }
        return tables
    }

    private func rows(
        _ part: LakeModule.Part, of lake: DuckDBSource, among values: Set<String>, deadline: Instant
    ) async throws -> [[SQLValue]] {
        let name = lake.name
        guard part.isOfTable else {
            return try await SelfDescription.rows(lake, part.sql, with: [.string(name)], deadline).map { row in
                [.text(name), .null, .null] + row.map(Self.value)
            }
        }
        var rows: [[SQLValue]] = []
        let tables = try await SelfDescription.rows(
            lake, "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $1", with: [.string(name)], deadline)
        for table in tables {
            guard let (schema, table) = Self.pair(table), values.contains(table), schema == "main" || values.contains(schema) else {
                continue
            }
            rows += try await SelfDescription.rows(lake, part.sql, with: [.string(name), .string(table), .string(schema)], deadline).map {
                row in
                [.text(name), .text(table), .text(schema)] + row.map(Self.value)
            }
        }
        return rows
    }

    private static func pair(_ row: [String?]) -> (String, String)? { row[0].flatMap { first in row[1].map { (first, $0) } } }
    private static func value(_ text: String?) -> SQLValue { text.map { .text($0) } ?? .null }

    private func lake(_ name: String) throws(ApusError) -> DuckDBSource {
        let served = served()
        if let source = served?.sources[name] as? DuckDBSource, source.lake != nil { return source }
        if let reason = served?.suspended[name] {
            throw ApusError(.sourceUnavailable, "data source \"\(name)\" cannot answer: \(reason)")
        }
        throw Self.unknown(name)
    }

    private static func unknown(_ name: String) -> ApusError {
        ApusError(.sourceUnknown, "there is no lake \"\(name)\": a data source of type ducklake, which is loaded")
    }

    // MARK: Functions

    func call(
        _ function: DataFunction, _ arguments: JSONObject, identity: JSONObject, deadline: Instant
    ) async throws -> JSONValue {
        let lake = try lake(arguments["name"]?.asString ?? "")
        if function.isMutation { return try await Upkeep(function.sqlName, arguments).run(on: lake, deadline: deadline) }
        guard function.sqlName == "info" else {
            let rows = try await SelfDescription.rows(
                lake, "SELECT * FROM ducklake_current_snapshot($1)", with: [.string(lake.name)], deadline)
            return rows.first?.first.flatMap { $0 }.flatMap { Int64($0) }.map { .integer($0) } ?? .null
        }
        return try await info(lake, deadline: deadline)
    }

    private func info(_ lake: DuckDBSource, deadline: Instant) async throws -> JSONValue {
        let rows = try await SelfDescription.rows(
            lake,
            """
            SELECT (SELECT to_json(s) FROM (SELECT count(*) AS snapshot_count, max(snapshot_id) AS current_snapshot, \
            max(schema_version) AS schema_version, min(snapshot_time)::VARCHAR AS created_at, \
            max(snapshot_time)::VARCHAR AS last_modified_at, \
            (SELECT count(*) FROM duckdb_tables() WHERE database_name = $1) AS table_count, \
            (SELECT count(*) FROM duckdb_schemas() WHERE database_name = $1) AS schema_count, \
            (SELECT count(*) FROM duckdb_views() WHERE database_name = $1 AND NOT internal) AS view_count, \
            (SELECT value FROM ducklake_options($1) WHERE option_name = 'version' AND scope = 'GLOBAL') AS ducklake_version, \
            (SELECT value FROM ducklake_options($1) WHERE option_name = 'data_path' AND scope = 'GLOBAL') AS data_path \
            FROM ducklake_snapshots($1)) s)
            """, with: [.string(lake.name)], deadline)
        var info = try JSONValue(parsing: Array((rows.first?.first.flatMap { $0 } ?? "{}").utf8)).asObject ?? [:]
        info["name"] = .string(lake.name)
        info["metadata_backend"] = "duckdb"
        if case .postgreSQL? = lake.lake?.attached.metadata { info["metadata_backend"] = "postgres" }
        return .object(info)
    }

    /// A call that changes how a lake keeps its rows.
    private struct Upkeep {
        private var sql: StaticSQL
        private var parameters: [JSONValue]
        private let message: String

        init(_ function: String, _ arguments: JSONObject) throws(ApusError) {
            func text(_ name: String) -> JSONValue? { arguments[name].flatMap { $0.asString?.isEmpty == false ? $0 : nil } }
            parameters = [arguments["name"] ?? .null]
            var versions: JSONValue?
            switch function {
            case "expire_snapshots":
                (sql, message) = ("ducklake_expire_snapshots($1", "Snapshots expired")
                versions = try Self.versions(arguments["versions"]?.asString)
            case "merge_adjacent_files": (sql, message) = ("ducklake_merge_adjacent_files($1", "Files merged")
            case "rewrite_data_files": (sql, message) = ("ducklake_rewrite_data_files($1", "Files rewritten")
            case "cleanup_old_files": (sql, message) = ("ducklake_cleanup_old_files($1", "Files cleaned up")
            case "flush_inlined_data": (sql, message) = ("ducklake_flush_inlined_data($1", "Inlined data flushed")
            case "set_option":
                (sql, message) = ("ducklake_set_option($1, $2, $3", "Option set")
                parameters += [arguments["option"] ?? .null, arguments["value"] ?? .null]
            default:
                (sql, message, parameters) = ("CHECKPOINT", "Checkpoint completed", [])
                return
            }
            let isOption = function == "set_option"
            if isOption { add(", table_name => $", text("table_name")) } else { add(", $", text("table_name")) }
            if text("schema_name") != nil, !isOption, text("table_name") == nil {
                throw ApusError(.requestInvalid, "schema_name is that of a table: give table_name, too", context: ["field": "schema_name"])
            }
            add(", schema => $", text("schema_name"))
            add(", delete_threshold => $", arguments["delete_threshold"].flatMap { $0.isNull ? nil : $0 })
            add(", versions => $", versions, "::UBIGINT[]")
            add(", older_than => $", text("older_than"), "::TIMESTAMPTZ")
            for flag in ["cleanup_all", "dry_run"] where arguments[flag]?.asBool == true {
                sql = sql + (flag == "dry_run" ? ", dry_run => true" : ", cleanup_all => true")
            }
            sql = "CALL " + sql + ")"
        }

        private mutating func add(_ argument: StaticSQL, _ value: JSONValue?, _ cast: StaticSQL = "") {
            guard let value else { return }
            parameters.append(value)
            sql = sql + argument + .place(parameters.count) + cast
        }

        /// `1, 2`, or with brackets around them.
        private static func versions(_ text: String?) throws(ApusError) -> JSONValue? {
            guard let text, !text.isEmpty else { return nil }
            var numbers: [JSONValue] = []
            for part in text.split(whereSeparator: { " ,[]".contains($0) }) {
                guard let number = Int64(part), number >= 0 else {
                    throw ApusError(.requestInvalid, "versions are numbers of snapshots: 1, 2", context: ["field": "versions"])
                }
                numbers.append(.integer(number))
            }
            return .array(numbers)
        }

        func run(on lake: DuckDBSource, deadline: Instant) async throws -> JSONValue {
            try await lake.keepUp(sql, parameters, deadline: deadline)
            return ["success": true, "message": .string(message)]
        }
    }
}

extension BoundParameter {
    fileprivate var text: String? { if case .value(let value) = self { value.asString } else { nil } }
}
