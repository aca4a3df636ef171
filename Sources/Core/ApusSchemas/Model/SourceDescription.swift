/// The SQL that a data source speaks.
public enum SQLEngine: String, Sendable, Hashable, CaseIterable {
    case postgreSQL = "postgres"
    case sqlite
    case duckDB = "duckdb"
}

/// A data source as its schema needs to know it: nothing of how it is reached.
public struct SourceDescription: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case database(SQLEngine)
        /// Functions over HTTP; no tables.
        case http
        /// Adds fields and views to other sources; holds no data.
        case `extension`
    }

    public var name: String
    public var kind: Kind
    /// Put in front of the names of its types, with an underscore; empty for none.
    public var prefix: String
    /// Whether all of it is in a module named like the source.
    public var isModule: Bool
    /// Without mutations.
    public var isReadOnly: Bool
    /// Whether functions and changes of rows are code of the source's own, and no SQL.
    public var actsItself: Bool
    /// Whether its tables are collections of points: a statement asks for the points that it means, and is run over those.
    public var hasPoints = false
    /// Whether its tables can be asked for as they were.
    public var hasHistory = false
    /// Whether it manages the cluster: only what a rule names is for others than administrators.
    public var isManagement = false

    public init(name: String, kind: Kind, prefix: String = "", isModule: Bool = false, isReadOnly: Bool = false) {
        self.name = name
        self.kind = kind
        self.prefix = prefix
        self.isModule = isModule
        self.isReadOnly = isReadOnly
        actsItself = kind == .http
    }

    /// The name of one of its types in the API.
    func typeName(_ name: String) -> String { prefix.isEmpty ? name : "\(prefix)_\(name)" }

    /// The full name of a module of its own.
    func module(_ name: String?) -> String {
        [isModule ? self.name : nil, name].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: ".")
    }
}

/// One text of a data source's schema.
public struct SchemaFile: Sendable, Hashable {
    public var name: String
    public var text: String

    public init(name: String, text: String) {
        self.name = name
        self.text = text
    }
}
