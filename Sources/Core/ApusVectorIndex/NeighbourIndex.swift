/// Answers which points are nearest to a vector. The service asks through this and does not know whether the answer is found by a scan
/// or in a graph.
public protocol NeighbourIndex: Sendable {
    /// About how many numbers the query is compared with, or what takes as long: all that it asks for counts.
    func work(of query: NeighbourQuery) -> Int

    /// Into how many parts of about equal work a search is best split, at most `limit`; each may run on a thread of its own.
    func parts(atMost limit: Int) -> Int

    /// The nearest points of one part that match the query, nearest first, equal scores in the order of their ids. The answer
    /// to the query is the merge of all parts (`TopNeighbours`).
    func neighbours(of query: NeighbourQuery, part: Int, of parts: Int) -> [Neighbour]
}

/// What an index is asked. The vector is one of the index's field.
public struct NeighbourQuery: Sendable {
    public var vector: VectorValue
    public var limit: Int
    public var filter: Filter
    public var scoreThreshold: Float?
    /// Whether only the exact answer will do.
    public var isExact: Bool
    /// How many candidates an approximate search keeps, where it is not left to the index: HNSW's ef, `mostCandidates` at most.
    public var candidates: Int?
    public static let mostCandidates = 10_000
    /// The share of the true neighbours that an approximate search is to find on average; nil leaves it to the index.
    public var recall: Float?
    /// The score of the worst of `limit` points that are found already: others need not be found.
    var bound: Float?

    public init(
        vector: VectorValue, limit: Int, filter: Filter = .everything, scoreThreshold: Float? = nil, isExact: Bool = true,
        candidates: Int? = nil, recall: Float? = nil
    ) {
        self.recall = recall
        self.candidates = candidates
        self.vector = vector
        self.limit = limit
        self.filter = filter
        self.scoreThreshold = scoreThreshold
        self.isExact = isExact
    }
}

extension NeighbourQuery {
    /// What reading the payloads of so many rows takes, in numbers compared.
    func work(filtering rows: Int) -> Int { filter.isEverything ? 0 : rows * Self.workPerPayload * filter.conditions }
    private static let workPerPayload = 2048

    /// What comparing so many vectors of a field takes that have so many numbers together, one after another.
    func work(comparing vectors: Int, numbers: Int) -> Int {
        switch vector {
        case .dense: numbers
        case .multiple(let vectors): numbers * vectors.count
        // Steps through places take longer than products.
        case .sparse(let vector): 16 * (numbers + vectors * vector.indices.count)
        }
    }
}

public struct Neighbour: Sendable, Hashable {
    public var id: PointID
    public var score: Float
    /// Where the index's snapshot has the rest of the point.
    public var row: UInt32

    public init(id: PointID, score: Float, row: UInt32) {
        self.id = id
        self.score = score
        self.row = row
    }

    /// The order of results: nearer first, then by id.
    public func precedes(_ other: Neighbour, by metric: Metric) -> Bool {
        score == other.score ? id < other.id : metric.isNearer(score, than: other.score)
    }
}

/// Keeps the `limit` best of what it is offered.
public struct TopNeighbours {
    private var best: Best<Neighbour>

    public init(limit: Int, metric: Metric) { best = Best(limit) { $0.precedes($1, by: metric) } }

    /// The score that a newcomer must at least equal; nil while there is room.
    public var worstScore: Float? { best.worst?.score }

    public mutating func offer(_ neighbour: Neighbour) { best.offer(neighbour) }

    /// The best, in order.
    public func sorted() -> [Neighbour] { best.sorted }
}
