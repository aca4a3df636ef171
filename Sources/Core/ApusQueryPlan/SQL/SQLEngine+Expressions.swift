internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Where the dialects differ.
extension SQLEngine {
    /// Whether a joined subquery may look at the row that it is joined to.
    var hasLateral: Bool { self != .sqlite }

    /// Whether such a subquery may have a limit that is a parameter.
    var hasLateralLimit: Bool { self == .postgreSQL }

    func cast(to type: ScalarType) -> String {
        guard let name = typeName(type) else { return "" }
        // SQLite has no types to tell, and takes parameters as they come.
        return self == .sqlite ? "" : "::\(name)"
    }

    private func typeName(_ type: ScalarType) -> String? {
        switch type {
        case .int: "integer"
        case .bigInt: "bigint"
        case .float: "double precision"
        case .string, .h3Cell: "text"
        case .boolean: "boolean"
        case .date: "date"
        case .time: "time"
        case .dateTime: "timestamp"
        case .timestamp: "timestamptz"
        case .interval: "interval"
        case .json: self == .duckDB ? "json" : "jsonb"
        case .intRange: "int4range"
        case .bigIntRange: "int8range"
        case .timestampRange: "tstzrange"
        case .vector: self == .postgreSQL ? "vector" : nil
        case .geometry: nil
        }
    }

    /// An expression as another type.
    func cast(_ expression: SQLFragment, to type: ScalarType) -> SQLFragment {
        switch (self, type) {
        case (.sqlite, .int), (.sqlite, .bigInt): "CAST(\(expression) AS INTEGER)"
        case (.sqlite, .float): "CAST(\(expression) AS REAL)"
        case (.sqlite, _): expression
        default: typeName(type).map { "(\(expression))::\(.written(byAuthor: $0))" } ?? expression
        }
    }

    /// Whether the expression is one of a list that travels as one parameter.
    func isAmong(_ expression: SQLFragment, _ list: SQLFragment, _ type: ScalarType) -> SQLFragment {
        switch self {
        case .postgreSQL: "\(expression) = ANY(\(list))"
        case .sqlite: "\(expression) IN (SELECT value FROM json_each(\(list)))"
        case .duckDB: "list_contains((\(list))\(.written(byAuthor: cast(to: type) + "[]")), \(expression))"
        }
    }

    // MARK: JSON

    /// A member of a value that holds JSON, as JSON.
    func member(_ name: String, of json: SQLFragment) -> SQLFragment {
        switch self {
        case .postgreSQL: "(\(json))::jsonb -> \(.value(.string(name), as: .string))"
        case .sqlite: "\(json) -> \(.value(.string("$.\(JSONValue.string(name))")))"
        case .duckDB: "json_extract(\(json), \(.value(.string("$.\(JSONValue.string(name))"))))"
        }
    }

    /// What a dotted path leads to, as JSON; the value itself for an empty path.
    func json(at path: String, of json: SQLFragment) -> SQLFragment {
        switch self {
        case .postgreSQL: path.isEmpty ? "(\(json))::jsonb" : "(\(json))::jsonb #> \(.values(Self.names(path)))::text[]"
        case .sqlite: path.isEmpty ? json : "\(json) -> \(.value(.string(Self.path(path))))"
        case .duckDB: path.isEmpty ? json : "json_extract(\(json), \(.value(.string(Self.path(path)))))"
        }
    }

    /// The same as text.
    func text(at path: String, of json: SQLFragment) -> SQLFragment {
        switch self {
        case .postgreSQL: "(\(json))::jsonb #>> \(.values(Self.names(path)))::text[]"
        case .sqlite: "json_extract(\(json), \(.value(.string(Self.path(path)))))"
        case .duckDB: "json_extract_string(\(json), \(.value(.string(Self.path(path)))))"
        }
    }

    private static func names(_ path: String) -> [JSONValue] { path.split(separator: ".").map { .string(String($0)) } }
    private static func path(_ path: String) -> String { "$" + names(path).map { ".\($0)" }.joined() }

    // MARK: Time

    /// The begin of the minute, hour, … that an instant is in. `unit` is a name of the enum `TimeBucket`.
    func bucket(_ expression: SQLFragment, _ unit: String, of type: ScalarType) throws(GraphQLError) -> SQLFragment {
        guard self != .sqlite else {
            let patterns = [
                "minute": "%Y-%m-%d %H:%M:00", "hour": "%Y-%m-%d %H:00:00", "day": "%Y-%m-%d 00:00:00", "month": "%Y-%m-01 00:00:00",
                "year": "%Y-01-01 00:00:00",
            ]
            guard let pattern = patterns[unit] else {
                throw GraphQLError("SQLite has no buckets of a \(unit); ask for minute, hour, day, month or year.")
            }
            let text = type == .date ? String(pattern.prefix { $0 != " " }) : pattern
            return "strftime(\(.value(.string(text))), \(expression))"
        }
        let begin: SQLFragment = "date_trunc(\(.value(.string(unit), as: .string)), \(expression))"
        return type == .date ? "(\(begin))::date" : begin
    }

    /// A part of a date or time as a whole number. `part` is a name of the enum `TimeExtract`.
    func part(_ part: String, of expression: SQLFragment) throws(GraphQLError) -> SQLFragment {
        guard self != .sqlite else {
            let patterns = [
                "minute": "%M", "hour": "%H", "day": "%d", "doy": "%j", "dow": "%w", "month": "%m", "year": "%Y", "epoch": "%s",
            ]
            guard let pattern = patterns[part] else { throw GraphQLError("SQLite tells no \(part) of a date or time.") }
            return "CAST(strftime(\(.value(.string(pattern))), \(expression)) AS INTEGER)"
        }
        let names = ["iso_dow": "isodow", "iso_year": "isoyear"]
        return "date_part(\(.value(.string(names[part] ?? part), as: .string)), \(expression))::bigint"
    }

    // MARK: Patterns

    func like(_ expression: SQLFragment, _ pattern: PlanValue, ignoresCase: Bool) -> SQLFragment {
        guard self == .sqlite else {
            return ignoresCase ? "\(expression) ILIKE \(.value(pattern))" : "\(expression) LIKE \(.value(pattern))"
        }
        // LIKE of SQLite ignores case; GLOB does not, and has patterns of its own.
        if ignoresCase { return "\(expression) LIKE \(.value(pattern))" }
        return "\(expression) GLOB \(.value(pattern, form: .glob))"
    }

    func matches(_ expression: SQLFragment, _ pattern: PlanValue) throws(GraphQLError) -> SQLFragment {
        switch self {
        case .postgreSQL: return "\(expression) ~ \(.value(pattern))"
        case .duckDB: return "regexp_matches(\(expression), \(.value(pattern)))"
        case .sqlite: throw GraphQLError("SQLite has no regular expressions; use like.")
        }
    }
}
