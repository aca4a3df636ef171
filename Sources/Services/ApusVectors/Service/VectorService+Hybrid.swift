public import ApusEmbedding
internal import ApusRuntime
public import ApusTypes
public import ApusVectorIndex

/// A search by meaning and by words at once.
public struct HybridRequest: Sendable {
    /// As many finite numbers as the collection's dimension.
    public var vector: [Float]
    /// What its words are looked for by.
    public var text: String
    /// The member of the payloads that holds the texts.
    public var member = VectorService.textMember
    /// Nearest points, and best texts, that are fused.
    public var denseLimit = 20
    public var lexicalLimit = 20
    /// Most hits wanted.
    public var limit = 10
    public var fusion = RankFusion.reciprocal()
    public var filter = Filter.everything
    public var projection: Projection = []

    public init(vector: [Float], text: String) {
        self.vector = vector
        self.text = text
    }
}

extension VectorService {
    /// Where a point that was written as a text keeps it.
    public static let textMember = "content"

    /// The points that are near and the points whose texts hold the words, fused. Scores are those of the fusion, higher is better.
    /// Throws what `search` throws.
    public func search(_ request: HybridRequest, in name: CollectionName, deadline: Instant) async throws -> SearchResult {
        let metric = try await find(name, deadline: deadline).configuration.metric
        let near = try await search(
            SearchRequest(vector: request.vector, limit: request.denseLimit, filter: request.filter, projection: request.projection),
            in: name, deadline: deadline)
        let worded = try await search(
            words: request.text, of: request.member, limit: request.lexicalLimit, filter: request.filter, projection: request.projection,
            in: name, deadline: deadline)
        let hits = Dictionary(
            (near.hits + worded.hits).map { ($0.point.id, $0) }, uniquingKeysWith: { $0.version >= $1.version ? $0 : $1 })
        let fused = request.fusion.fuse(
            dense: near.hits.map { ($0.point.id, metric.similarity($0.score)) },
            lexical: worded.hits.map { ($0.point.id, Double($0.score)) })
        let missing = near.missing + worded.missing.filter { shard in !near.missing.contains { $0.shard == shard.shard } }
        return SearchResult(
            hits: fused.prefix(max(0, request.limit)).compactMap { entry in
                guard var hit = hits[entry.id] else { return nil }
                hit.score = Float(entry.score)
                return hit
            }, missing: missing, asOf: min(near.asOf, worded.asOf), isStale: near.isStale || worded.isStale)
    }

    /// The points whose texts fit the words best: BM25 with the frequencies of the whole collection as it is now, counted by reading every
    /// text. A shard that cannot answer is named in `missing`; throws only if none can.
    public func search(
        words: String, of member: String = textMember, limit: Int, filter: Filter = .everything, projection: Projection = [],
        in name: CollectionName, deadline: Instant
    ) async throws -> SearchResult {
        try filter.validate()
        let collection = try await find(name, deadline: deadline)
        let asked = try await askAny(collection, deadline: deadline) { _ in WordsQuestion(words: words, member: member, filter: filter) }
        if asked.answers.isEmpty, let first = asked.missing.first { throw first.error }
        let found = asked.answers.map(\.answer)
        let statistics = found.dropFirst().reduce(found[0].collected) { $0 + $1.collected }
        var best = Best<(score: Double, id: PointID)>(max(0, limit)) { $0.score != $1.score ? $0.score > $1.score : $0.id < $1.id }
        for matches in found {
            for (id, score) in matches.scored(statistics) { best.offer((score, id)) }
        }
        let ranked = best.sorted
        let points = try await self.found(ranked.map(\.id), in: collection, with: projection, deadline: deadline)
        // One that was deleted since it was found is left out.
        return SearchResult(
            hits: zip(ranked, points).compactMap { ranked, point in
                point.map { SearchHit(score: Float(ranked.score), point: $0.point, version: $0.version) }
            }, missing: asked.missing, asOf: asked.asOf ?? clock.now, isStale: asked.isStale)
    }
}

extension Metric {
    /// Higher for nearer points, whatever a score of this metric means.
    fileprivate func similarity(_ score: Float) -> Double {
        switch self {
        case .cosine, .dot: Double(score)
        case .euclidean, .manhattan: 1 / (1 + Double(score))
        }
    }
}
