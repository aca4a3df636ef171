public import ApusTypes
public import ApusVectorIndex

/// One stage of a query: what it ranks, and how. Without stages before it all points are ranked, else those that the stages found.
public struct PointQuery: Sendable {
    public enum Kind: Sendable {
        /// In the order of ids, each with a score of 1.
        case everything
        /// `diversity` has points that are alike left out for others.
        case nearest(QueryVector, diversity: MarginalRelevance?)
        /// The neighbours of one vector that is made of many.
        case average(positive: [QueryVector], negative: [QueryVector])
        case examples(ExampleQuery<QueryVector>)
        case ordered(PointOrder)
        /// In no order.
        case random
        /// One ranking of those of the stages before.
        case fusion(Fusion)
    }

    public var kind: Kind
    /// Stages before this one.
    public var prefetch: [PointQuery] = []
    /// The field whose vectors are compared.
    public var field = ""
    /// Applies to what this stage ranks, not to the stages before it.
    public var filter: Filter = .everything
    public var limit = 10
    public var offset = 0
    /// Scores beyond it, the bound itself excluded except after a fusion.
    public var scoreThreshold: Float?
    public var isExact = false
    /// That an approximate index keeps: HNSW's ef. Nil leaves it to the index.
    public var candidates: Int?
    /// Where points that are named by their ids have their vectors; nil for the collection and the field themselves.
    public var lookup: (collection: CollectionName?, field: String?)?

    public init(_ kind: Kind) { self.kind = kind }

    /// Most vectors that a query gives as examples: each point that matches is compared with all of them.
    public static let mostExamples = 1000
    /// Most comparisons of points with points that were picked before.
    public static let mostPairs = 10_000_000

    /// Throws `request.invalid` for more examples.
    func checkSize() throws(ApusError) {
        let examples =
            switch kind {
            case .examples(let query): query.count
            case .average(let positive, let negative): positive.count + negative.count
            case .everything, .nearest, .ordered, .random, .fusion: 0
            }
        guard examples <= Self.mostExamples else {
            throw ApusError(
                .requestInvalid, "the query has \(examples) examples; at most \(Self.mostExamples) are allowed", context: ["field": "query"]
            )
        }
    }

    /// Throws `request.invalid` where picking so many of the candidates that were found takes more comparisons than `mostPairs`.
    static func checkPairs(_ picked: Int, among candidates: Int) throws(ApusError) {
        let picked = min(picked, candidates)
        guard picked * candidates <= mostPairs else {
            throw ApusError(
                .requestInvalid, "\(picked) points are picked among \(candidates): at most \(mostPairs) pairs of them are compared",
                hint: "lower the limit or candidates_limit", context: ["field": "limit"])
        }
    }

    /// Places of the ranking that are looked at.
    var wanted: Int {
        let (sum, isOverflow) = limit.addingReportingOverflow(offset)
        return isOverflow ? .max : sum
    }
}

/// A vector, or the point that has it.
public enum QueryVector: Sendable, Hashable {
    case value(VectorValue)
    case point(PointID)
}

/// How much difference counts against nearness, 0...1, and among how many of the nearest is chosen.
public struct MarginalRelevance: Sendable, Hashable {
    /// Most points that are chosen among: each is compared with each that is chosen.
    public static let mostCandidates = 16_384

    public var diversity: Float
    public var candidates: Int?

    public init(diversity: Float, candidates: Int? = nil) {
        self.diversity = diversity
        self.candidates = candidates
    }

    /// How many of the nearest are looked at for so many points.
    func among(_ limit: Int) -> Int { min(candidates ?? limit, Self.mostCandidates) }
}

/// The order of points by a value of their payloads. A point has a place for each value that it has there, and none without.
public struct PointOrder: Sendable {
    public var path: PayloadPath
    public var isDescending: Bool
    /// Where to begin, that value included.
    public var start: OrderValue?

    public init(path: PayloadPath, isDescending: Bool = false, start: OrderValue? = nil) {
        self.path = path
        self.isDescending = isDescending
        self.start = start
    }

    func admits(_ value: OrderValue) -> Bool {
        guard let start else { return true }
        return isDescending ? value <= start : value >= start
    }
}

/// A point that a query found.
public struct QueryHit: Sendable {
    public var point: Point
    public var score: Float
    /// Number of the operation in its shard's log that wrote this version of the point.
    public var version: Int64
    /// What it was ordered by.
    public var order: OrderValue?
}

/// Points that share a value.
public struct PointGroup: Sendable {
    public var value: Scalar
    public var hits: [QueryHit]
}
