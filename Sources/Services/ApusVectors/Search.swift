public import ApusTypes
public import ApusVectorIndex

/// What to look for.
public struct SearchRequest: Sendable {
    /// One of the field.
    public var vector: VectorValue
    /// The name of the field that is searched.
    public var field: String
    /// Most hits wanted; 0 gives none, and more than there are gives all.
    public var limit: Int
    public var filter: Filter
    /// Least similarity, or greatest distance, of a hit; the bound itself passes.
    public var scoreThreshold: Float?
    /// Demands the exact answer where an approximate index would give another.
    public var isExact: Bool
    /// How far an approximate index looks, where it is not left to it: the share of the true hits that it is to find on average, or the
    /// candidates that it keeps (HNSW's ef).
    public var recall: Float?
    public var candidates: Int?
    public var projection: Projection

    public init(
        _ vector: VectorValue, field: String = "", limit: Int, filter: Filter = .everything, scoreThreshold: Float? = nil,
        isExact: Bool = false, projection: Projection = []
    ) {
        self.vector = vector
        self.field = field
        self.limit = limit
        self.filter = filter
        self.scoreThreshold = scoreThreshold
        self.isExact = isExact
        self.projection = projection
    }

    /// In a collection whose only field has no name.
    public init(
        vector: [Float], limit: Int, filter: Filter = .everything, scoreThreshold: Float? = nil, isExact: Bool = false,
        projection: Projection = []
    ) {
        self.init(
            .dense(vector), limit: limit, filter: filter, scoreThreshold: scoreThreshold, isExact: isExact, projection: projection)
    }
}

/// The nearest points that were found, and what is missing from the answer.
public struct SearchResult: Sendable {
    /// Nearest first; equal scores in the order of ids.
    public var hits: [SearchHit]
    /// Shards that did not answer, and why.
    public var missing: [MissingShard]
    /// The oldest moment at which a shard of the answer was last known to be up to date with the catalog.
    public var asOf: Instant
    /// Older than `VectorService.Options.maximumAge`: the catalog is away, or the node is behind.
    public var isStale: Bool
    /// What the search cost; nil where it was put together of several.
    public var trace: SearchTrace?

    public var isComplete: Bool { missing.isEmpty }
}

/// What a search cost.
public struct SearchTrace: Sendable, Hashable {
    /// Points whose distance to the query was computed; nil where an index does not count them.
    public var compared: Int?
    /// Whether the answer is exact: every point was compared.
    public var isExact: Bool
    /// Time in the indexes, without finding the collection, waiting for its logs and reading the hits.
    public var indexTime: Duration
}

public struct SearchHit: Sendable, Hashable {
    /// In the sense of the collection's metric.
    public var score: Float
    public var point: Point
    /// Number of the operation in its shard's log that wrote this version of the point.
    public var version: Int64
}

public struct MissingShard: Sendable {
    public var shard: ShardID
    public var error: ApusError
}

/// A page of points in the order of their ids.
public struct ScrollPage: Sendable {
    public var points: [Point]
    /// Where the next page starts; nil after the last one.
    public var next: PointID?
}
