public import ApusSchemas
internal import ApusTypes

/// A data source as its operators define it.
public struct SourceDefinition: Sendable, Hashable {
    /// Words of its operators; the set is open, and what is not known is refused with its name.
    public struct Kind: RawRepresentable, Sendable, Hashable, ExpressibleByStringLiteral {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public init(stringLiteral value: String) { rawValue = value }

        public static let postgres: Kind = "postgres"
        public static let sqlite: Kind = "sqlite"
        public static let duckDB: Kind = "duckdb"
        public static let duckLake: Kind = "ducklake"
        public static let http: Kind = "http"
        public static let vectors: Kind = "vectors"
        public static let redis: Kind = "redis"
        public static let `extension`: Kind = "extension"

        /// Those that Apus has.
        public static let words = [postgres, sqlite, duckDB, duckLake, http, vectors, redis, `extension`].map(\.rawValue)
    }

    public var name: String
    public var kind: Kind
    /// A URL or a file, in which `[$NAME]` stands for a variable of the environment.
    public var path: String
    public var prefix = ""
    public var isModule = false
    public var isReadOnly = false
    /// Whether tables, keys and comments of the database are read into its schema.
    public var isSelfDescribed = false
    /// Its schema, as somebody wrote it.
    public var files: [SchemaFile] = []
    /// URLs of servers that may be read instead, in the same form as the path.
    public var replicas: [String] = []

    public init(_ name: String, kind: Kind, path: String) {
        self.name = name
        self.kind = kind
        self.path = path
    }

    /// What its schema needs to know; nil for a kind that this program does not have.
    public var description: SourceDescription? {
        let kind: SourceDescription.Kind? =
            switch self.kind {
            case .postgres: .database(.postgreSQL)
            case .sqlite: .database(.sqlite)
            case .duckDB, .duckLake: .database(.duckDB)
            case .vectors: .database(.sqlite)
            case .http: .http
            // Its functions are those of `core.store`.
            case .extension, .redis: .extension
            default: nil
            }
        // A DuckDB file can be written by one process alone, and every node serves it. Points are written through interfaces of their own.
        let isReadOnly = isReadOnly || [.duckDB, .duckLake, .vectors].contains(self.kind)
        guard let kind else { return nil }
        var description = SourceDescription(name: name, kind: kind, prefix: prefix, isModule: isModule, isReadOnly: isReadOnly)
        description.hasPoints = self.kind == .vectors
        description.hasHistory = self.kind == .duckLake
        return description
    }

    /// Whether an open source of `other` will do for this one: only what is told of its data differs.
    func isReached(like other: SourceDefinition) -> Bool {
        name == other.name && kind == other.kind && path == other.path && isReadOnly == other.isReadOnly && replicas == other.replicas
            && HTTPFacts(files) == HTTPFacts(other.files)
    }

    /// Of all that what is told of its data depends on, beside the data.
    var digest: Digest {
        let parts =
            [name, kind.rawValue, path, prefix, "\(isModule) \(isReadOnly) \(isSelfDescribed)"] + files.flatMap { [$0.name, $0.text] }
            + replicas
        return Digest(of: parts.reduce(into: []) { $0 += Digest(of: $1).bytes })
    }

    /// A path with the variables of the environment in it. An unset one is an error: an empty password is no password.
    static func resolved(_ path: String, environment: [String: String]) throws(ApusError) -> Redacted<String> {
        var text = ""
        var rest = path[...]
        while let start = rest.range(of: "[$"), let end = rest[start.upperBound...].firstIndex(of: "]") {
            let name = String(rest[start.upperBound..<end])
            guard let value = environment[name] else {
                throw ApusError(
                    .sourceUnavailable, "the variable \(name) that a data source's path names is not set", hint: "set it for this node")
            }
            text += rest[..<start.lowerBound] + value
            rest = rest[rest.index(after: end)...]
        }
        return Redacted(text + rest)
    }
}

extension Substring {
    /// Of a text of two or more characters.
    fileprivate func range(of text: String) -> Range<Index>? { ranges(of: text).first }
}
