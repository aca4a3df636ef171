public import ApusSchemas
public import ApusTypes

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
    /// Of what it was made of, the same on all nodes that serve the same.
    let digest: Digest
    let speakingSQL: [String: any SQLSource]
    /// The collections that are tables of it.
    public let collections: Set<String>

    /// Without a digest it is taken to be like no other.
    public init(
        version: UInt64, api: DataAPI, sources: [String: any DataSource], suspended: [String: String] = [:], digest: Digest? = nil
    ) {
        self.version = version
        self.api = api
        self.sources = sources
        self.suspended = suspended
        self.digest = digest ?? Digest(of: (0..<32).map { _ in UInt8.random(in: .min ... .max) })
        let model = api.model
        collections = Set(model.objects.values.filter { model.sources[$0.source]?.hasPoints == true }.map(\.relation))
        speakingSQL = sources.compactMapValues { $0 as? any SQLSource }
    }
}
