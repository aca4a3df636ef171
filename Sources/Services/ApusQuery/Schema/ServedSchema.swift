public import ApusSchemas

/// What this node serves at one moment: the generated API, and the data sources behind it. A request takes it once and keeps it until its
/// end, so that no request sees two schemas; the sources of an old one close when the last request that uses them is done.
public final class ServedSchema: Sendable {
    /// Rises with each schema that this node serves; what is computed under one is not looked up under another.
    public let version: UInt64
    public let api: DataAPI
    /// By their names. A source of the model that is not here cannot be reached, which requests for it are told.
    public let sources: [String: any DataSource]
    /// Why sources of the configuration or catalog are not served, by their names.
    public let suspended: [String: String]
    let speakingSQL: [String: any SQLSource]

    public init(version: UInt64, api: DataAPI, sources: [String: any DataSource], suspended: [String: String] = [:]) {
        self.version = version
        self.api = api
        self.sources = sources
        self.suspended = suspended
        speakingSQL = sources.compactMapValues { $0 as? any SQLSource }
    }
}
