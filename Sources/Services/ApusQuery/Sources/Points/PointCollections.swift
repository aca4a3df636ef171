public import ApusTypes
public import ApusVectorIndex

/// The collections of this cluster, as the query service sees them. Errors are `ApusError`s.
public protocol PointCollections: Sendable {
    /// The names of all collections, in order.
    func names(deadline: Instant) async throws -> [String]

    func facts(of collection: String, deadline: Instant) async throws -> CollectionFacts

    /// The points nearest to a vector, nearest first, each with its score. All or nothing: throws `search.incomplete` while a shard does not
    /// answer.
    func search(
        _ collection: String, _ vector: [Float], field: String, limit: Int, filter: Filter, _ parts: PointParts, deadline: Instant
    ) async throws -> [FoundPoint]

    /// The vector of a text, by the collection's provider. Throws `embedding.unavailable` where it has none.
    func embed(_ text: String, for collection: String, deadline: Instant) async throws -> [Float]

    /// How many match. All or nothing.
    func count(_ collection: String, matching filter: Filter, deadline: Instant) async throws -> Int

    /// The first points that match, in the order of their ids. All or nothing.
    func points(
        _ collection: String, matching filter: Filter, limit: Int, _ parts: PointParts, deadline: Instant
    ) async throws -> [FoundPoint]

    /// The first points in the order of a number or time in their payloads, equal ones in the order of their ids. A point comes once for each
    /// such value that it has there, and not where it has none. All or nothing.
    func points(
        _ collection: String, by path: String, isDescending: Bool, matching filter: Filter, limit: Int, _ parts: PointParts,
        deadline: Instant
    ) async throws -> [FoundPoint]

    /// Those that exist of some points, in any order. All or nothing.
    func points(_ collection: String, _ ids: [PointID], _ parts: PointParts, deadline: Instant) async throws -> [FoundPoint]
}

/// What of points is wanted beside their ids.
public struct PointParts: Sendable, Hashable {
    /// Of payloads: those members; none of them: no payload; nil: all. More may come.
    public var members: [String]? = []
    public var vectors = false

    public init() {}

    static let payload = PointParts(members: nil)

    init(members: [String]?, vectors: Bool = false) {
        self.members = members
        self.vectors = vectors
    }
}

public struct FoundPoint: Sendable {
    public var id: PointID
    /// Of a search.
    public var score: Float?
    /// A JSON object; nil where there is none, or where it was not wanted.
    public var payload: [UInt8]?
    /// The dense ones, by their fields.
    public var vectors: [String: [Float]]

    public init(id: PointID, score: Float? = nil, payload: [UInt8]? = nil, vectors: [String: [Float]] = [:]) {
        self.id = id
        self.score = score
        self.payload = payload
        self.vectors = vectors
    }
}

/// What there is to tell of a collection.
public struct CollectionFacts: Sendable, Hashable {
    public struct Field: Sendable, Hashable {
        /// Empty for a collection's unnamed one.
        public var name: String
        public var dimension: Int
        public var metric: Metric

        public init(name: String, dimension: Int, metric: Metric) {
            self.name = name
            self.dimension = dimension
            self.metric = metric
        }
    }

    public var name: String
    public var description: String?
    /// Those that hold one vector of so many numbers.
    public var fields: [Field]
    /// The provider that makes vectors of texts, and the field that those are for.
    public var provider: String?
    public var providerField: String?
    /// The kinds of declared payload indexes (`keyword`, `integer`, …) by their paths.
    public var indexes: [String: String]

    public init(
        name: String, description: String? = nil, fields: [Field], provider: String? = nil, providerField: String? = nil,
        indexes: [String: String] = [:]
    ) {
        self.name = name
        self.description = description
        self.fields = fields
        self.provider = provider
        self.providerField = providerField
        self.indexes = indexes
    }
}
