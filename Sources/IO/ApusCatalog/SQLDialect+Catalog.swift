internal import ApusDatabase
internal import ApusTypes

extension TransactionMode {
    /// Waits at most half a second for an id or a shard head that a commit elsewhere holds.
    static let settling = TransactionMode.write.lockTimeout(OperationSQL.lockTimeout)
}

extension ApusError {
    /// Another transaction was in the way; nothing was written.
    var isContention: Bool { code == .databaseConflict || code == .databaseLockTimeout }
}

extension SQLDialect {
    /// The catalog's time in milliseconds since 1970, as an expression.
    var clock: StaticSQL {
        switch self {
        case .postgreSQL: "apus.clock()"
        case .sqlite: "(SELECT at FROM apus.clock)"
        }
    }

    /// At the end of a selection whose rows the transaction changes. SQLite has one writer.
    var forUpdate: StaticSQL { self == .postgreSQL ? " FOR UPDATE" : "" }

    /// `$1` as a set of integers, for `IN (…)`; given by `integers(_:)`.
    var integersInFirst: StaticSQL {
        switch self {
        case .postgreSQL: "SELECT unnest($1::bigint[])"
        case .sqlite: "SELECT value FROM json_each($1)"
        }
    }

    /// A list of integers as one parameter.
    func integers(_ values: some Sequence<Int64>) -> SQLValue {
        let list = values.map(String.init).joined(separator: ",")
        return .text(self == .postgreSQL ? "{\(list)}" : "[\(list)]")
    }
}

/// A PostgreSQL array of texts as one parameter.
func textArray(_ values: some Sequence<String>) -> SQLValue {
    var text = "{"
    for value in values {
        if text.utf8.count > 1 { text += "," }
        text += "\""
        for character in value.unicodeScalars {
            if character == "\"" || character == "\\" { text += "\\" }
            text.unicodeScalars.append(character)
        }
        text += "\""
    }
    return .text(text + "}")
}

/// A JSON array of texts, for SQLite's `json_each`.
func jsonArray(_ values: some Sequence<String>) -> String {
    var text = "["
    for value in values {
        if text.utf8.count > 1 { text += "," }
        text += "\""
        for character in value.unicodeScalars {
            switch character {
            case "\"", "\\": text += "\\\(character)"
            case "\0"..."\u{1f}": text += "\\u00" + hexadecimal([UInt8(character.value)])
            default: text.unicodeScalars.append(character)
            }
        }
        text += "\""
    }
    return text + "]"
}
