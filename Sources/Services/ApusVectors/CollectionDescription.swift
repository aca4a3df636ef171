public import ApusEmbedding
public import ApusTypes
public import ApusVectorIndex

/// What a collection is made with; it never changes.
public struct CollectionConfiguration: Sendable, Hashable {
    public static let dimensions = 1...65_536
    /// Nodes that serve each shard.
    public static let replicaCounts = 1...16
    /// Most fields.
    public static let mostFields = 64
    /// Longest name of a field, in UTF-8 bytes.
    public static let longestFieldName = 200

    /// The vectors that a point may have: at least one field, with names of their own.
    public var fields: [VectorField]
    public var sharding: Sharding
    /// Free text of whoever made it.
    public var description: String?
    /// How texts that are written to it, or searched for in it, become vectors; nil: they do not.
    public var embedding: EmbeddingProvider?

    public init(_ fields: [VectorField], sharding: Sharding = .single, description: String? = nil) {
        self.fields = fields
        self.sharding = sharding
        self.description = description
    }

    /// With one dense field, which has no name.
    public init(dimension: Int, metric: Metric = .cosine, sharding: Sharding = .single, description: String? = nil) {
        self.init([VectorField(dimension: dimension, metric: metric)], sharding: sharding, description: description)
    }

    /// What is said of a collection where there is room for one field: its unnamed one, else the first that has a dimension.
    public var mainField: VectorField? { fields.first { $0.name.isEmpty } ?? fields.first { $0.dimension != nil } }
    /// Of the main field; 0 where all are sparse.
    public var dimension: Int { mainField?.dimension ?? 0 }
    public var metric: Metric { mainField?.metric ?? .dot }
}

/// How a collection's points spread over shards.
public struct Sharding: Sendable, Hashable {
    public static let shardCounts = 1...256
    public static let virtualNodeCounts = 1...1000
    public static let rebalanceThresholds = 0.0...1.0

    public var shards: Int
    /// Ring entries of each shard: more of them even the shards out.
    public var virtualNodes: Int
    /// How uneven shards may become before a rebalance is advised; kept for clients that set it.
    public var rebalanceThreshold: Double

    public init(shards: Int = 4, virtualNodes: Int = 100, rebalanceThreshold: Double = 0.2) {
        self.shards = shards
        self.virtualNodes = virtualNodes
        self.rebalanceThreshold = rebalanceThreshold
    }

    /// Not sharded.
    public static let single = Sharding(shards: 1)
}

/// A collection as it stands on this node.
public struct CollectionDescription: Sendable {
    public var id: CollectionID
    public var name: CollectionName
    public var configuration: CollectionConfiguration
    public var createdAt: WallTime
    /// When a point was last written or deleted, by the clock of the node that did; nil if none was.
    public var updatedAt: WallTime?
    /// Nodes that are to serve each shard.
    public var replicas: Int
    /// In the order of their numbers in the collection.
    public var shards: [ShardDescription]

    public var points: Int { shards.reduce(0) { $0 + $1.points } }
    public var memory: ByteCount { ByteCount(shards.reduce(0) { $0 + $1.memory.bytes }) }
    /// Points in segments that are large enough for a graph.
    public var indexed: Int {
        let least = SegmentBuilder.Parameters().leastGraph
        return shards.lazy.flatMap(\.segments).filter { $0.rows >= least }.reduce(0) { $0 + $1.living }
    }
    /// Why a shard cannot be answered for; nil while none says so.
    public var problem: ApusError? { shards.lazy.compactMap(\.problem).first }
    /// Whether every shard is loaded, so that counts and searches are whole.
    public var isComplete: Bool { shards.allSatisfy(\.isLoaded) }
}

/// One shard as it stands on this node.
public struct ShardDescription: Sendable {
    public var id: ShardID
    /// 0..<shards.
    public var number: Int
    public var points: Int
    /// What must be in memory for its searches to be quick: points that no segment holds, and what searches look at of segments. This is
    /// what `CollectionForecast.searched` forecasts. Vectors as written and payloads in segments are read from their files as needed.
    public var memory: ByteCount
    /// Last operation of its log that this node has applied.
    public var applied: Int64
    public var isLoaded: Bool
    /// In the order in which they were sealed.
    public var segments: [SegmentDescription] = []
    /// Points that no segment holds yet.
    public var unsealed = 0
    /// Why its log cannot be followed, its segments cannot be read, or nobody answers for it.
    public var problem: ApusError?
}
