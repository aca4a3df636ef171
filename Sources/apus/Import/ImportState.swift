internal import ApusTypes

/// How far an import has come, in a small file beside its input; it lets the next run go on. Removed when the import is complete.
struct ImportState: Equatable {
    /// The node's collection: its name and when it was created, so that one deleted and made again is not taken for the old one.
    var collection: String
    var createdAt: String
    /// `PointSource.fingerprint`.
    var source: String
    /// All rows before this one are acknowledged or were reported as bad.
    var rows: Int
    var inserted: Int
    var bad: Int
    /// Begins the idempotency keys of this import's batches. A new import has another one: a repeated key would give the old reply and
    /// insert nothing.
    var run: String

    /// `points.npy` → `points.npy.words.import`.
    static func path(input: String, collection: String, directory: String?) -> String {
        let name = input.split(separator: "/").last.map(String.init) ?? input
        let safe = String(collection.map { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" ? $0 : "_" })
        guard let directory else { return "\(input).\(safe).import" }
        return "\(directory)/\(name).\(safe).import"
    }

    /// Nil when there is none, or it cannot be understood (then the import begins anew, which is always right).
    static func read(_ path: String) throws(ApusError) -> ImportState? {
        guard FileContents.exists(path) else { return nil }
        let bytes = try FileContents.read(path, limit: .kibibytes(64))
        guard let json = try? JSONValue(parsing: bytes), json["version"]?.asInteger == 1, let collection = json["collection"]?.asString,
            let createdAt = json["created_at"]?.asString, let source = json["source"]?.asString, let rows = json["rows"]?.asInteger,
            let inserted = json["inserted"]?.asInteger, let bad = json["bad"]?.asInteger, let run = json["run"]?.asString
        else { return nil }
        return ImportState(
            collection: collection, createdAt: createdAt, source: source, rows: Int(rows), inserted: Int(inserted), bad: Int(bad), run: run)
    }

    func write(_ path: String) throws(ApusError) {
        let json: JSONValue = [
            "version": 1, "collection": .string(collection), "created_at": .string(createdAt), "source": .string(source),
            "rows": .integer(Int64(rows)), "inserted": .integer(Int64(inserted)), "bad": .integer(Int64(bad)), "run": .string(run),
        ]
        // Losing the last state costs a repeat of idempotent batches, so it is not synced.
        try FileContents.write(json.serialized(), to: path, isSynced: false)
    }
}
