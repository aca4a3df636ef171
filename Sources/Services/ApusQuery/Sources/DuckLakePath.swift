public import ApusDatabase
public import ApusTypes

extension DuckLake {
    /// `meta.duckdb?data_path=/data`, or a URL of PostgreSQL with `data_path` among its parameters.
    init(_ name: String, _ path: Redacted<String>) throws(ApusError) {
        var text = path.reveal()[...]
        if text.hasPrefix("ducklake:") { text = text.dropFirst("ducklake:".count) }
        let isPostgreSQL = ["postgres://", "postgresql://"].contains { text.hasPrefix($0) }
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var (dataPath, others): (String?, [Substring]) = (nil, [])
        for item in parts.count > 1 ? parts[1].split(separator: "&") : [] {
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair[0] == "data_path", pair.count == 2 { dataPath = PercentEncoding.decoded(pair[1]) } else { others.append(item) }
        }
        guard isPostgreSQL || others.isEmpty else {
            throw ApusError(
                .sourceUnsupported,
                "the path of data source \"\(name)\" has parameters that Apus does not know: \(others.map { $0.prefix { $0 != "=" } }.joined(separator: ", "))",
                hint: "a path is meta.duckdb?data_path=/directory, or postgres://user@host/database?data_path=/directory")
        }
        // What is left is libpq's own, which waits for a server for ever if nobody says how long.
        if isPostgreSQL, !others.contains(where: { $0.hasPrefix("connect_timeout=") }) { others.append("connect_timeout=10") }
        let place = parts[0] + (others.isEmpty ? "" : "?" + others.joined(separator: "&"))
        self.init(name: name, metadata: isPostgreSQL ? .postgreSQL(Redacted(String(place))) : .file(String(place)), dataPath: dataPath)
    }
}
