public import ApusTypes

/// A DuckLake as DuckDB attaches it: tables whose rows are Parquet files, and whose every state is told by metadata in another database.
public struct DuckLake: Sendable {
    public enum Metadata: Sendable {
        /// A DuckDB file, which one process may write, or any number read.
        case file(String)
        /// The URL of a PostgreSQL database.
        case postgreSQL(Redacted<String>)
    }

    /// What it is called in SQL.
    public let name: String
    public let metadata: Metadata
    /// A directory; nil: where the metadata say that it is.
    public let dataPath: String?

    public init(name: String, metadata: Metadata, dataPath: String?) {
        self.name = name
        self.metadata = metadata
        self.dataPath = dataPath
    }

    /// Of DuckDB.
    public var extensions: [String] {
        switch metadata {
        case .file: ["ducklake"]
        case .postgreSQL: ["ducklake", "postgres_scanner"]
        }
    }

    /// A secret of this one database, which ends with it, keeps the URL out of what DuckDB tells of its databases.
    func attachment(isReadOnly: Bool) -> [String] {
        let place: String
        switch metadata {
        case .file(let path): place = "METADATA_PATH \(Self.quoted(path))"
        case .postgreSQL(let url):
            place = "METADATA_PATH \(Self.quoted(url.reveal())), METADATA_PARAMETERS MAP {'TYPE': 'postgres'}"
        }
        let data = dataPath.map { ", DATA_PATH \(Self.quoted($0))" } ?? ""
        return [
            "CREATE SECRET apus_lake (TYPE ducklake, \(place)\(data))",
            "ATTACH 'ducklake:apus_lake' AS \(identifier)\(isReadOnly ? " (READ_ONLY)" : "")",
        ]
    }

    var identifier: String { "\"\(name.replacing("\"", with: "\"\""))\"" }

    /// DuckDB's own message quotes the URL, with its password.
    func redacted(_ message: String) -> String {
        guard case .postgreSQL(let url) = metadata else { return message }
        return message.replacing(url.reveal(), with: "…")
    }

    private static func quoted(_ text: String) -> String { "'\(text.replacing("'", with: "''"))'" }
}
