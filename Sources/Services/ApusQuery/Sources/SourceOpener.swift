public import ApusDatabase
internal import ApusHTTP
public import ApusRuntime
public import ApusTypes

/// Opens data sources.
public struct SourceOpener: Sendable {
    /// Of each source.
    public struct Options: Sendable {
        public var pool = PostgreSQLPool.Options()
        /// Largest reply of a server over HTTP.
        public var httpReply: ByteCount = .mebibytes(16)
        /// Whether servers over HTTP may be at link-local addresses, where clouds tell credentials.
        public var allowsLinkLocal = false
        /// Where DuckDB's engine is; nil: where it is found by its name.
        public var duckDBLibrary: String?
        public var duckDB = DuckDBDatabase.Options()
        /// The collections of this cluster; nil where there are none to be asked.
        public var collections: (any PointCollections)?
        /// Runs the jq programs of functions; nil where there is no jq.
        public var transform: JSONTransform?

        public init() {}
    }

    private let loops: EventLoops
    let environment: [String: String]
    private let options: Options
    let http: HTTPClient
    /// Reads files.
    let pool = BlockingPool(name: "schemas", threads: 1, queueLimit: 64)

    public init(loops: EventLoops, environment: [String: String], options: Options = Options()) {
        self.loops = loops
        self.environment = environment
        self.options = options
        var limits = HTTPClientLimits()
        limits.allowsLinkLocal = options.allowsLinkLocal
        http = HTTPClient(loops: loops, limits: limits)
    }

    /// Nil for a source without data of its own. A server that does not answer is no error here: its requests are told.
    public func open(_ definition: SourceDefinition) async throws -> (any DataSource)? {
        let path = try SourceDefinition.resolved(definition.path, environment: environment)
        switch definition.kind {
        case .postgres:
            var options = options.pool
            options.isReadOnly = definition.isReadOnly
            let replicas = try definition.replicas.map { try SourceDefinition.resolved($0, environment: environment) }
            return try PostgreSQLSource(definition.name, path, replicas: replicas, loops: loops, options: options)
        case .sqlite: return try await SQLiteSource.open(definition.name, path.reveal(), isReadOnly: definition.isReadOnly)
        case .duckDB:
            return try await DuckDBSource.open(
                definition.name, path.reveal(), library: options.duckDBLibrary, options: options.duckDB)
        case .duckLake:
            return try await DuckDBSource.open(
                definition.name, try DuckLake(definition.name, path), isReadOnly: definition.isReadOnly, library: options.duckDBLibrary,
                options: options.duckDB)
        case .http:
            var limits = HTTPSource.Options()
            limits.reply = options.httpReply
            let address = try HTTPAddress(path, source: definition.name, facts: HTTPFacts(definition.files))
            return try HTTPSource(definition.name, address, client: http, transform: options.transform, options: limits)
        case .vectors: return try await PointsSource(definition.name, try collections(definition))
        case .redis: return try RedisSource(definition.name, path, loops: loops)
        case .extension: return nil
        default: throw Self.unsupported(definition)
        }
    }

    func collections(_ definition: SourceDefinition) throws(ApusError) -> any PointCollections {
        guard let collections = options.collections else { throw Self.unsupported(definition) }
        return collections
    }

    static func unsupported(_ definition: SourceDefinition) -> ApusError {
        let summary = "data source \"\(definition.name)\" is of type \(definition.kind.rawValue), which Apus does not have"
        return switch definition.kind {
        case "mysql", "mssql":
            ApusError(
                .sourceUnsupported, summary, hint: "copy its data, or have PostgreSQL read it through a foreign data wrapper")
        default:
            ApusError(
                .sourceUnsupported, summary, hint: "possible: \(SourceDefinition.Kind.words.joined(separator: ", "))")
        }
    }
}
