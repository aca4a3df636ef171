internal import ApusDatabase
public import ApusTypes

/// A table of the query service's definitions, as its rows are changed by their operators: by names of columns, with values of JSON.
///
/// The set is closed: names of tables and columns become SQL, and only these can.
public struct QueryTable: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case text, boolean, json, integer, double
        /// RFC 3339.
        case instant
    }

    public struct Column: Sendable, Hashable {
        public let name: String
        public let kind: Kind
        /// Whether a row must have a value.
        public let isRequired: Bool
        /// Of a row that is inserted without one.
        public let initial: JSONValue?
    }

    /// What its operators call it.
    public let name: String
    let relation: StaticSQL
    public let columns: [Column]
    /// Columns that tell rows apart.
    public let key: [String]
    /// Whether what somebody may do changes with it.
    public let grantsAccess: Bool
    /// Whether the time of a change is kept.
    let hasUpdateTime: Bool

    public subscript(column name: String) -> Column? { columns.first { $0.name == name } }

    private static func text(_ name: String, isRequired: Bool = true, initial: JSONValue? = nil) -> Column {
        Column(name: name, kind: .text, isRequired: isRequired, initial: initial)
    }

    private static func flag(_ name: String) -> Column { Column(name: name, kind: .boolean, isRequired: true, initial: false) }
    private static func number(_ name: String) -> Column { Column(name: name, kind: .integer, isRequired: false, initial: nil) }
    private static func json(_ name: String) -> Column { Column(name: name, kind: .json, isRequired: false, initial: nil) }

    public static let dataSources = QueryTable(
        name: "data_sources", relation: "apus.data_source",
        columns: [
            text("name"), text("type"), text("description", isRequired: false), text("prefix", initial: ""), flag("as_module"),
            text("path", initial: ""), flag("disabled"), flag("self_defined"), flag("read_only"), text("secret", isRequired: false),
        ], key: ["name"], grantsAccess: false, hasUpdateTime: true)
    public static let catalogSources = QueryTable(
        name: "catalog_sources", relation: "apus.catalog_source",
        columns: [
            text("name"), text("type"), text("description", isRequired: false), text("path"), text("secret", isRequired: false),
        ], key: ["name"], grantsAccess: false, hasUpdateTime: true)
    public static let catalogs = QueryTable(
        name: "catalogs", relation: "apus.data_source_catalog", columns: [text("data_source_name"), text("catalog_name")],
        key: ["data_source_name", "catalog_name"], grantsAccess: false, hasUpdateTime: false)
    public static let objectStorages = QueryTable(
        name: "object_storages", relation: "apus.object_storage",
        columns: [
            text("name"), text("type"), text("scope"), Column(name: "parameters", kind: .json, isRequired: true, initial: [:]),
            text("secret", isRequired: false),
        ], key: ["name"], grantsAccess: false, hasUpdateTime: false)
    public static let roles = QueryTable(
        name: "roles", relation: "apus.query_role",
        columns: [
            text("name"), text("description", isRequired: false), flag("disabled"), flag("can_impersonate"),
            number("max_in_flight"), number("max_rows"), Column(name: "max_seconds", kind: .double, isRequired: false, initial: nil),
            number("max_cost"), Column(name: "deny_by_default", kind: .boolean, isRequired: false, initial: nil),
        ], key: ["name"],
        grantsAccess: true, hasUpdateTime: false)
    public static let permissions = QueryTable(
        name: "role_permissions", relation: "apus.role_permission",
        columns: [text("role"), text("type_name"), text("field_name"), flag("hidden"), flag("disabled"), json("filter"), json("data")],
        key: ["role", "type_name", "field_name"], grantsAccess: true, hasUpdateTime: false)
    public static let keys = QueryTable(
        name: "api_keys", relation: "apus.managed_key",
        columns: [
            text("name"), text("digest"), text("key"), text("description", isRequired: false), text("default_role"), flag("disabled"),
            flag("is_temporal"),
            Column(name: "expires_at", kind: .instant, isRequired: false, initial: nil), json("headers"), json("claims"),
        ], key: ["name"], grantsAccess: true, hasUpdateTime: false)

    public static let all = [dataSources, catalogSources, catalogs, objectStorages, roles, permissions, keys]
}

/// Statements over a table. Values are parameters.
extension QueryTable {
    private func value(_ value: JSONValue, of column: Column) -> SQLValue {
        switch (value, column.kind) {
        case (.null, _): .null
        case (_, .json): .text(value.description)
        case (.bool(let flag), _): .bool(flag)
        case (_, .integer): value.asInteger.map { .integer($0) } ?? .text(value.description)
        case (_, .double): value.asDouble.map { .double($0) } ?? .text(value.description)
        default: .text(value.asString ?? value.description)
        }
    }

    private func condition(_ key: [String], after count: Int) -> (StaticSQL, [SQLValue]) {
        var sql: StaticSQL = " WHERE "
        for (index, column) in self.key.enumerated() {
            sql = sql + (index > 0 ? " AND " : "") + StaticSQL.identifier(column) + " = $" + Self.number(count + index + 1)
        }
        return (sql, key.map { .text($0) })
    }

    /// A parameter's number.
    private static func number(_ number: Int) -> StaticSQL { StaticSQL.place(number) }

    func insertion(_ row: JSONObject) -> Statement {
        let given = columns.filter { row[$0.name] != nil }
        var (names, places): (StaticSQL, StaticSQL) = ("", "")
        for (index, column) in given.enumerated() {
            names = names + (index > 0 ? ", " : "") + .identifier(column.name)
            places = places + (index > 0 ? ", $" : "$") + Self.number(index + 1)
        }
        return Statement(
            "INSERT INTO " + relation + " (" + names + ") VALUES (" + places + ") ON CONFLICT DO NOTHING",
            given.map { value(row[$0.name] ?? .null, of: $0) })
    }

    func update(_ key: [String], to row: JSONObject) -> Statement {
        let given = columns.filter { row[$0.name] != nil }
        var assignments: StaticSQL = ""
        for (index, column) in given.enumerated() {
            assignments = assignments + (index > 0 ? ", " : "") + .identifier(column.name) + " = $" + Self.number(index + 1)
        }
        if hasUpdateTime { assignments = assignments + ", updated_at = CURRENT_TIMESTAMP" }
        let (condition, values) = condition(key, after: given.count)
        return Statement(
            "UPDATE " + relation + " SET " + assignments + condition, given.map { value(row[$0.name] ?? .null, of: $0) } + values)
    }

    func deletion(_ key: [String]) -> Statement {
        let (condition, values) = condition(key, after: 0)
        return Statement("DELETE FROM " + relation + condition, values)
    }

    func selection(_ key: [String], dialect: SQLDialect) -> Statement {
        let (condition, values) = condition(key, after: 0)
        return Statement("SELECT " + selected(dialect) + " FROM " + relation + condition + dialect.forUpdate, values)
    }

    func selection(dialect: SQLDialect) -> Statement {
        Statement("SELECT " + selected(dialect) + " FROM " + relation + " ORDER BY " + .identifier(key[0]))
    }

    private func selected(_ dialect: SQLDialect) -> StaticSQL {
        var sql: StaticSQL = ""
        for (index, column) in columns.enumerated() {
            let name = StaticSQL.identifier(column.name)
            let told = column.kind == .instant && dialect == .postgreSQL ? "to_json(" + name + ") #>> '{}'" : name
            sql = sql + (index > 0 ? ", " : "") + told
        }
        return sql
    }

    func row(_ row: Row) throws -> JSONObject {
        JSONObject(
            try columns.enumerated().map { index, column in
                if row.isNull(index) { return (column.name, .null) }
                switch column.kind {
                case .boolean: return (column.name, .bool(try row.bool(index)))
                case .integer: return (column.name, .integer(try row.integer(index)))
                case .double: return (column.name, .double(try row.double(index)))
                case .json: return (column.name, try JSONValue(parsing: Array(try row.text(index).utf8)))
                case .text, .instant: return (column.name, .string(try row.text(index)))
                }
            })
    }
}
