internal import ApusCatalog
internal import ApusTypes

/// What a row of the definitions must be, checked before it is written. Errors name the field.
struct DefinitionRules {
    let secrets: SecretRing?

    /// A row to insert: with its initial values, its secrets sealed. Throws `request.invalid`.
    func inserted(_ data: JSONObject, into table: QueryTable) throws(ApusError) -> JSONObject {
        var row = JSONObject(data.filter { !$0.value.isNull }.map { ($0.key, $0.value) })
        try seal(&row, in: table, over: nil)
        for column in table.columns where row[column.name] == nil { row[column.name] = column.initial }
        for column in table.columns where column.isRequired && (row[column.name] ?? .null) == .null {
            if column.name == "digest" { throw Self.invalid(table, "key", "is missing") }
            throw Self.invalid(table, column.name, "is missing")
        }
        try check(row, in: table)
        return row
    }

    /// The columns to set of a row that is there.
    func updated(_ data: JSONObject, _ old: JSONObject, in table: QueryTable) throws(ApusError) -> JSONObject {
        var row = data
        for name in table.key where data[name] != nil && data[name] != old[name] {
            throw Self.invalid(table, name, "names the row and cannot be changed; insert another row and delete this one")
        }
        try seal(&row, in: table, over: old)
        var whole = old
        for (name, value) in row { whole[name] = value }
        for column in table.columns where column.isRequired && (whole[column.name] ?? .null) == .null {
            throw Self.invalid(table, column.name, "must have a value")
        }
        try check(whole, in: table)
        return row
    }

    // MARK: Secrets

    private func seal(_ row: inout JSONObject, in table: QueryTable, over old: JSONObject?) throws(ApusError) {
        // Whoever gives a key an end means it.
        if table == .keys, row["expires_at"].map({ !$0.isNull }) == true, row["is_temporal"] == nil { row["is_temporal"] = true }
        switch table {
        case .dataSources, .catalogSources:
            // The path of a text is the text.
            let type = (row["type"] ?? old?["type"])?.asString
            guard let path = row["path"]?.asString, type != "text" else { return }
            let split = SecretPath(path)
            row["path"] = .string(split.shown)
            let name = (row["name"] ?? old?["name"])?.asString ?? ""
            if let secret = split.secret {
                row["secret"] = .string(try ring().seal(secret, for: Self.purpose(table, name)))
            } else if let before = old?["path"]?.asString, old?["secret"]?.asString != nil,
                SecretPath(shown: before, secret: nil).target != split.target
            {
                row["secret"] = .null  // another server must not be sent this one's password
            }
        case .keys:
            guard let key = row["key"]?.asString else { return }
            guard key.utf8.count >= 8 else { throw Self.invalid(table, "key", "must have 8 characters or more") }
            row["digest"] = .string(ManagedKeys.digest(of: Redacted(key)))
            row["key"] = .string(ManagedKeys.shown)
        default: return
        }
    }

    func ring() throws(ApusError) -> SecretRing {
        guard let secrets else {
            throw ApusError(
                .secretKeyUnknown, "this node has no key to seal secrets with",
                hint: "set query.secret_key_file, or a cluster secret; or name a variable in the path: [$PASSWORD]")
        }
        return secrets
    }

    static func purpose(_ table: QueryTable, _ name: String) -> String {
        switch table {
        case .dataSources: SchemaRegistry.secretPurpose(name)
        case .catalogSources: "catalog_source \(name)"
        default: "object_storage \(name)"
        }
    }

    // MARK: Checks

    private static let textTypes: Set = ["text", "localFS", "uri", "uriFile"]

    private func check(_ row: JSONObject, in table: QueryTable) throws(ApusError) {
        func text(_ name: String) -> String { row[name]?.asString ?? "" }
        func require(_ isRight: Bool, _ field: String, _ message: @autoclosure () -> String) throws(ApusError) {
            if !isRight { throw Self.invalid(table, field, message()) }
        }
        for column in table.columns where column.isRequired && column.kind == .text && column.initial == nil {
            try require(!text(column.name).isEmpty, column.name, "must not be empty")
        }
        switch table {
        case .dataSources:
            try require(
                Self.isName(text("name")) && text("name") != "core", "name",
                "\"\(text("name"))\" must be a name of letters, digits and _, and not \"core\"")
            try require(
                SourceDefinition.Kind.words.contains(text("type")), "type",
                ["mysql", "mssql"].contains(text("type"))
                    ? "MySQL and SQL Server are not spoken; copy the data, or have PostgreSQL read it through a foreign data wrapper"
                    : "\"\(text("type"))\" is none of \(SourceDefinition.Kind.words.sorted().joined(separator: ", "))")
            try require(text("prefix").isEmpty || Self.isName(text("prefix")), "prefix", "must be a name of letters, digits and _")
            try require(!text("path").isEmpty || ["extension", "duckdb", "vectors"].contains(text("type")), "path", "must not be empty")
        case .catalogSources:
            try require(Self.textTypes.contains(text("type")), "type", "\"\(text("type"))\" is none of text, localFS, uri, uriFile")
        case .permissions:
            for name in ["filter", "data"] {
                try require(row[name].map { $0.isNull || $0.asObject != nil } ?? true, name, "must be an object")
            }
        case .roles:
            for name in ["max_in_flight", "max_rows", "max_seconds", "max_cost"] {
                try require(row[name].flatMap { $0.isNull ? nil : $0.asDouble }.map { $0 > 0 } ?? true, name, "must be more than 0")
            }
        case .keys:
            let expiry = row["expires_at"]?.asString
            try require(expiry.map { ManagedKeys.instant($0) != nil } ?? true, "expires_at", "must be a time such as 2030-01-31T12:00:00Z")
            try require(row["is_temporal"]?.asBool != true || expiry != nil, "expires_at", "is missing for a temporal key")
            for name in ["headers", "claims"] {
                try require(row[name].map { $0.isNull || $0.asObject != nil } ?? true, name, "must be an object")
            }
        default: break
        }
    }

    /// It becomes part of names of GraphQL.
    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.first.map { !(48...57).contains($0) } == true && !text.hasPrefix("__")
            && text.utf8.allSatisfy { (97...122).contains($0) || (65...90).contains($0) || (48...57).contains($0) || $0 == 95 }
    }

    static func invalid(_ table: QueryTable, _ field: String, _ message: String) -> ApusError {
        ApusError(.requestInvalid, "\(table.name).\(field) \(message)", context: ["field": "\(table.name).\(field)"])
    }
}
