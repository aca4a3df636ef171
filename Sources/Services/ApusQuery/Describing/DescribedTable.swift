/// A table or view as its database describes it.
struct DescribedTable: Sendable, Hashable {
    var schema: String
    var name: String
    var isView = false
    var comment: String?
    var columns: [Column] = []
    var primaryKey: [String] = []
    var uniqueKeys: [[String]] = []
    var foreignKeys: [ForeignKey] = []

    struct Column: Sendable, Hashable {
        var name: String
        /// A type of the dialect: `Int`, `[String]`.
        var type: String
        var isNonNull = false
        var comment: String?
    }

    struct ForeignKey: Sendable, Hashable {
        var name: String
        var columns: [String]
        var targetSchema: String
        var target: String
        var targetColumns: [String]
    }
}

/// Tables as a schema's text (contract with Hugr's users: names as it makes them). A pure function.
struct DescribedSchema {
    /// The schemas of the database whose tables have names of their own; others are modules.
    static let plainSchemas: Set<String> = ["public", "main", ""]

    private let tables: [DescribedTable]
    private var known: Set<String> = []
    /// Ways back, by the table that they begin at and their constraint's name; constraints of several tables may be called the same.
    private var backNames: [String: Int] = [:]

    /// `written`: types that somebody else defines.
    init(_ tables: [DescribedTable], without written: Set<String> = []) {
        // A table of which no column can be told is not there.
        self.tables = tables.filter { !$0.columns.isEmpty && !written.contains(Self.typeName($0.schema, $0.name)) }
        known = Set(self.tables.map { Self.typeName($0.schema, $0.name) }).union(written)
        for table in self.tables {
            for key in table.foreignKeys { backNames[Self.backKey(key), default: 0] += 1 }
        }
    }

    private static func backKey(_ key: DescribedTable.ForeignKey) -> String {
        typeName(key.targetSchema, key.target) + " " + word(key.name)
    }

    var text: String { tables.map(text).joined(separator: "\n") }

    private func text(_ table: DescribedTable) -> String {
        let isPlain = Self.plainSchemas.contains(table.schema)
        let relation = isPlain && table.schema != "public" ? table.name : "\(table.schema).\(table.name)"
        var head = "type \(Self.typeName(table.schema, table.name)) @\(table.isView ? "view" : "table")(name: \(Self.quoted(relation)))"
        if !isPlain { head += " @module(name: \(Self.quoted(Self.word(table.schema))))" }
        for key in table.uniqueKeys where key != table.primaryKey { head += " @unique(fields: \(Self.list(key)))" }
        for key in table.foreignKeys {
            let target = Self.typeName(key.targetSchema, key.target)
            guard known.contains(target) else { continue }
            let name = "ref_\(Self.word(key.name))"
            // A table that refers to itself has both ways; where two tables' constraints share a name, each has its table's behind it.
            let isAlone = backNames[Self.backKey(key)] == 1 && target != Self.typeName(table.schema, table.name)
            let back = isAlone ? name : "\(name)_\(Self.word(table.name))"
            head +=
                " @references(name: \(Self.quoted("\(Self.word(table.name))_\(Self.word(key.name))_fk")), references_name: \"\(target)\", "
                + "source_fields: \(Self.list(key.columns)), references_fields: \(Self.list(key.targetColumns)), "
                + "query: \"\(name)\", references_query: \"\(back)\")"
        }
        let fields = table.columns.map { column in
            var field = Self.description(column.comment ?? Self.renamed(column.name), indent: "  ")
            field += "  \(Self.word(column.name)): \(column.type)"
            if column.isNonNull { field += "!" }
            if table.primaryKey.contains(column.name) { field += " @pk" }
            if Self.word(column.name) != column.name { field += " @field_source(field: \(Self.quoted(column.name)))" }
            return field
        }
        return Self.description(table.comment ?? Self.renamed(table.name), indent: "") + head + " {\n" + fields.joined(separator: "\n")
            + "\n}\n"
    }

    private static func typeName(_ schema: String, _ table: String) -> String {
        plainSchemas.contains(schema) ? word(table) : word("\(schema)_\(table)")
    }

    /// A name of GraphQL: what it cannot have becomes an underscore, and it begins neither with one nor with a digit.
    static func word(_ name: String) -> String {
        var word = ""
        for byte in name.utf8 {
            let isPlain = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 95
            word.unicodeScalars.append(isPlain ? UnicodeScalar(byte) : "_")
        }
        return word.first.map { $0 == "_" || $0.isNumber } ?? true ? "db_" + word : word
    }

    private static func renamed(_ name: String) -> String? { word(name) == name ? nil : "\"\(name)\" in the database" }

    private static func list(_ columns: [String]) -> String { "[" + columns.map { "\"\(word($0))\"" }.joined(separator: ", ") + "]" }

    static func description(_ text: String?, indent: String) -> String {
        guard let text, !text.isEmpty else { return "" }
        return indent + quoted(text) + "\n"
    }

    /// A string of GraphQL.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case _ where scalar.value < 32: quoted += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
