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
        let (asOf, isStale) = try await freshen(collection.shards, deadline: deadline)
        var snapshots: [PointSnapshot] = []
        var missing: [MissingShard] = []
        for shard in collection.shards {
            do throws(ApusError) {
                snapshots.append(try shard.table().snapshot())
            } catch {
                missing.append(MissingShard(shard: shard.id, error: error))
            }
        }
        if snapshots.isEmpty, let first = missing.first { throw first.error }
        let query = LexicalQuery(words)
        let text = PayloadText(member: member)
        let found = try await eachInPool(snapshots, deadline: deadline) { snapshot in
            var matches = LexicalMatches<UInt32>(query)
            var counts = [UInt32](repeating: 0, count: query.words)
            snapshot.forEachRow { row in
                guard let payload = snapshot.payload(row) else { return }
                text.read(payload) { bytes in
                    for index in counts.indices { counts[index] = 0 }
                    let length = query.count(in: bytes, into: &counts)
                    matches.add(row, length: length, counts: counts) { filter.isEverything || snapshot.matches(row, filter) }
                }
            }
            return matches
        }
        let statistics = found.dropFirst().reduce(found.first?.collected ?? LexicalMatches<UInt32>(query).collected) { $0 + $1.collected }
        var best: [(score: Double, id: PointID, snapshot: PointSnapshot, row: UInt32)] = []
        let limit = max(0, limit)
        var least = -Double.infinity  // of those that are kept, once they are enough
        func cut() {
            best.sort { $0.score != $1.score ? $0.score > $1.score : $0.id < $1.id }
            best.removeLast(max(0, best.count - limit))
            if best.count == limit, let last = best.last { least = last.score }
        }
        for (snapshot, matches) in zip(snapshots, found) {
            for (row, score) in matches.scored(statistics) {
                if score < least { continue }
                best.append((score, snapshot.id(row), snapshot, row))
                if best.count >= 2 * limit + 16 { cut() }
            }
        }
        cut()
        return SearchResult(
            hits: best.map {
                SearchHit(
                    score: Float($0.score), point: $0.snapshot.point($0.row, projection), version: $0.snapshot.version($0.row))
            }, missing: missing, asOf: asOf, isStale: isStale)
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
