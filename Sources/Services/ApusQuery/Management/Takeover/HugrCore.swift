internal import ApusDatabase
public import ApusTypes

/// The core database of a Hugr: its rows as the module `core` takes them, and what of them a cluster cannot take over.
public struct HugrCore: Sendable {
    /// In the order in which rows refer to those before them. Raw values are Hugr's names.
    public enum Table: String, Sendable, CaseIterable {
        case roles, permissions
        case keys = "api_keys"
        case texts = "catalog_sources"
        case sources = "data_sources"
        case links = "data_source_catalogs"
    }

    public struct Row: Sendable {
        public var table: Table
        /// As people call it.
        public var name: String
        public var values: JSONObject
        /// Why it cannot be taken over; nil where it can.
        public var obstacle: String?
    }

    public let version: String
    public let rows: [Row]

    /// Throws what the source does, and `input.invalid` where it is no core database.
    public static func read(_ source: any SQLSource, deadline: Instant) async throws -> HugrCore {
        func texts(_ sql: SourceStatement) async throws -> [[String?]] {
            do {
                return try await source.read(sql, deadline: deadline).texts
            } catch let error as ApusError where error.code == .sourceRejected {
                throw ApusError(.inputInvalid, "that is no core database of Hugr that this Apus knows: \(error.summary)", cause: error)
            }
        }
        let version = try await texts(SourceStatement("SELECT version FROM version")).first?.first ?? nil
        var rows: [Row] = []
        for table in Table.allCases {
            rows += try await texts(table.statement).map { Row(table, Self.values($0, of: table)) }
        }
        return HugrCore(version: version ?? "", rows: rows)
    }

    private static func values(_ texts: [String?], of table: Table) -> JSONObject {
        var values = JSONObject()
        for (column, text) in zip(table.columns, texts) {
            guard let text else { continue }
            switch column.kind {
            case .text: values[column.name] = .string(text)
            case .flag: values[column.name] = .bool(text.hasPrefix("t") || text == "1")
            case .json: values[column.name] = (try? JSONValue(parsing: Array(text.utf8))) ?? .string(text)  // refused where it is written
            }
        }
        return values
    }
}

extension HugrCore.Table {
    enum Kind { case text, flag, json }

    /// Those that are taken over, in the order in which they are read.
    var columns: [(name: String, kind: Kind)] {
        switch self {
        case .roles: [("name", .text), ("description", .text), ("disabled", .flag), ("can_impersonate", .flag)]
        case .permissions:
            [
                ("role", .text), ("type_name", .text), ("field_name", .text), ("hidden", .flag), ("disabled", .flag), ("filter", .json),
                ("data", .json),
            ]
        case .keys:
            [
                ("name", .text), ("key", .text), ("description", .text), ("default_role", .text), ("disabled", .flag),
                ("is_temporal", .flag),
                ("expires_at", .text), ("headers", .json), ("claims", .json),
            ]
        case .texts: [("name", .text), ("type", .text), ("description", .text), ("path", .text)]
        case .sources:
            [
                ("name", .text), ("type", .text), ("description", .text), ("prefix", .text), ("as_module", .flag), ("path", .text),
                ("disabled", .flag), ("self_defined", .flag), ("read_only", .flag),
            ]
        case .links: [("data_source_name", .text), ("catalog_name", .text)]
        }
    }

    fileprivate var statement: SourceStatement {
        switch self {
        case .roles: SourceStatement("SELECT name, description, disabled, can_impersonate FROM roles ORDER BY name")
        case .permissions:
            SourceStatement(
                "SELECT role, type_name, field_name, hidden, disabled, filter, data FROM permissions ORDER BY role, type_name, field_name")
        case .keys:
            SourceStatement(
                """
                SELECT name, key, description, default_role, disabled, is_temporal, CASE WHEN is_temporal THEN expires_at END, headers, claims \
                FROM api_keys ORDER BY name
                """)
        case .texts: SourceStatement("SELECT name, type, description, path FROM catalog_sources ORDER BY name")
        case .sources:
            SourceStatement(
                """
                SELECT name, type, description, prefix, as_module, path, disabled, self_defined, read_only FROM data_sources \
                ORDER BY type = 'extension', name
                """)
        case .links:
            SourceStatement("SELECT data_source_name, catalog_name FROM data_source_catalogs ORDER BY data_source_name, catalog_name")
        }
    }

    /// The field of `core` that inserts a row, and the type of its data.
    public var target: String {
        switch self {
        case .permissions: "role_permissions"
        case .links: "catalogs"
        case .roles, .keys, .texts, .sources: rawValue
        }
    }
}

extension HugrCore.Row {
    fileprivate init(_ table: HugrCore.Table, _ values: JSONObject) {
        func text(_ name: String) -> String { values[name]?.asString ?? "" }
        self.table = table
        self.values = values
        switch table {
        case .roles: name = "role \(text("name"))"
        case .permissions: name = "permission \(text("role")) \(text("type_name")).\(text("field_name"))"
        case .keys: name = "API key \(text("name"))"
        case .texts: name = "catalog source \(text("name"))"
        case .sources: name = "data source \(text("name"))"
        case .links: name = "catalog \(text("catalog_name")) of \(text("data_source_name"))"
        }
        switch (table, text("type")) {
        case (.sources, let type) where !SourceDefinition.Kind.words.contains(type):
            obstacle = "sources of type \(type) are not there"
        case (.texts, let type) where type != "text" && text("path").contains("://") && !text("path").hasPrefix("file://"):
            obstacle = "its texts are not on this machine; copy them"
        default: obstacle = nil
        }
    }
}
