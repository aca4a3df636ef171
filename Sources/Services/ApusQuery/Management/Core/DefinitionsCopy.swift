internal import ApusCatalog
internal import ApusTypes
internal import Glibc

/// All definitions in one file: JSON with a digest over its tables. Secrets in it are sealed, and keys digests, as in the catalog.
struct DefinitionsCopy: Sendable {
    var rows: [String: [JSONObject]]

    private static let format = "apus definitions 1"
    /// Of the file.
    private static let limit = 64 << 20

    init(_ rows: [QueryTable: [JSONObject]]) { self.rows = Dictionary(rows.map { ($0.key.name, $0.value) }, uniquingKeysWith: { $1 }) }

    func rows(of table: QueryTable) -> [JSONObject] { rows[table.name] ?? [] }

    // MARK: The file's text

    var text: [UInt8] {
        let tables = Self.tables(rows)
        let told: JSONValue = [
            "format": .string(Self.format), "digest": .string(Digest(of: tables.serialized()).description), "tables": tables,
        ]
        return told.serialized() + Array("\n".utf8)
    }

    private static func tables(_ rows: [String: [JSONObject]]) -> JSONValue {
        .object(JSONObject(QueryTable.all.map { ($0.name, .array((rows[$0.name] ?? []).map { .object($0) })) }))
    }

    init(parsing text: [UInt8]) throws(ApusError) {
        guard let value = try? JSONValue(parsing: text), value["format"]?.asString == Self.format, let tables = value["tables"]?.asObject
        else {
            throw ApusError(.inputInvalid, "the file is no copy of definitions that this version of Apus can read")
        }
        rows = Dictionary(tables.map { ($0.key, ($0.value.asArray ?? []).compactMap(\.asObject)) }, uniquingKeysWith: { $1 })
        guard Digest(of: Self.tables(rows).serialized()).description == value["digest"]?.asString else {
            throw ApusError(.inputInvalid, "the file was changed after it was written, or is not whole")
        }
    }

    // MARK: Files. They block.

    /// A new file that the node's user alone may read.
    static func write(_ text: [UInt8], to path: String) throws(ApusError) {
        try requireAbsolute(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failed("written", path) }
        var rest = text[...]
        var isWritten = true
        while isWritten, !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { rest = rest.dropFirst(count) } else { isWritten = errno == EINTR }
        }
        isWritten = isWritten && fsync(descriptor) == 0
        let problem = isWritten ? nil : failed("written", path)
        close(descriptor)
        guard let problem else { return }
        unlink(path)
        throw problem
    }

    static func read(_ path: String) throws(ApusError) -> DefinitionsCopy {
        try requireAbsolute(path)
        guard let file = fopen(path, "rbe") else { throw failed("read", path) }
        defer { fclose(file) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 {
            text += buffer[..<count]
            guard text.count <= limit else { throw ApusError(.requestTooLarge, "\(path) is larger than 64 MiB") }
        }
        guard ferror(file) == 0 else { throw failed("read", path) }
        return try DefinitionsCopy(parsing: text)
    }

    private static func requireAbsolute(_ path: String) throws(ApusError) {
        guard path.hasPrefix("/") else { throw ApusError(.requestInvalid, "path must begin with /: it is one of the node that is asked") }
    }

    private static func failed(_ verb: String, _ path: String) -> ApusError {
        ApusError(.inputUnreadable, "\(path) cannot be \(verb): \(String(cString: strerror(errno)))")
    }
}
