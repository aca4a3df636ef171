internal import ApusRuntime
public import ApusTypes
internal import ApusVectorIndex

extension VectorService {
    /// The points that a query of any number of stages finds, best first.
    ///
    /// Throws what `search` throws, the error of a shard that cannot answer, `point.unknown` for a point whose vector was asked for, and
    /// `request.invalid` for a query that makes no sense, and for hits that do not fit the reply.
    public func query(
        _ query: PointQuery, in name: CollectionName, with projection: Projection, within budget: ReplyBudget = .none, deadline: Instant
    ) async throws -> [QueryHit] {
        let collection = try await find(name, deadline: deadline)
        if query.prefetch.isEmpty, case .nearest(.value(let vector), diversity: nil) = query.kind, query.wanted <= Self.piece {
            // What most requests are: nothing is looked up twice.
            let found = try await neighbours(of: vector, query, query.wanted, projection, collection, deadline: deadline)
            try budget.take(found.lazy.map(\.point))
            return found.dropFirst(query.offset).map { QueryHit(point: $0.point, score: $0.score, version: $0.version) }
        }
        var query = query
        query.limit = min(query.limit, budget.mostPoints + 1)
        let ranked = try await run(query, collection, deadline: deadline)
        return try await hits(ranked, collection, projection, within: budget, deadline: deadline)
    }

    /// A point on its way through the stages.
    struct Ranked: Sendable {
        var id: PointID
        var score: Float
        var version: Int64
        var order: OrderValue?
    }

    func hits(
        _ ranked: [Ranked], _ collection: LoadedCollection, _ projection: Projection, within budget: ReplyBudget, deadline: Instant
    ) async throws -> [QueryHit] {
        try budget.check(count: ranked.count)
        guard !projection.isEmpty, !ranked.isEmpty else {
            return ranked.map { QueryHit(point: Point(id: $0.id, vectors: .init()), score: $0.score, version: $0.version, order: $0.order) }
        }
        let points = try await points(
            Array(Set(ranked.map(\.id))), in: collection, with: projection, within: budget, deadline: deadline)
        let byID = Dictionary(points.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        // One that was deleted since it was found is left out.
        return ranked.compactMap { ranked in
            byID[ranked.id].map { QueryHit(point: $0, score: ranked.score, version: ranked.version, order: ranked.order) }
        }
    }

    /// Runs `body` in the pool, unless there is little to do.
    private func offLoop<Value: Sendable>(_ work: Int, deadline: Instant, _ body: @escaping @Sendable () -> Value) async throws -> Value {
        work < 256 ? body() : try await pool.run(deadline: deadline, body)
    }

    func run(_ query: PointQuery, _ collection: LoadedCollection, deadline: Instant) async throws -> [Ranked] {
        guard query.limit >= 0, query.offset >= 0 else {
            throw ApusError(.requestInvalid, "'limit' and 'offset' cannot be negative", context: ["field": "limit"])
        }
        try query.filter.validate()
        try query.checkSize()
        let wanted = query.wanted
        let ranked: [Ranked]
        if query.prefetch.isEmpty {
            ranked = try await leaf(query, wanted, collection, deadline: deadline)
        } else {
            var sources: [[Ranked]] = []
            for stage in query.prefetch { sources.append(try await run(stage, collection, deadline: deadline)) }
            ranked =
                if case .fusion(let fusion) = query.kind {
                    try await fused(sources, fusion, wanted, threshold: query.scoreThreshold, deadline: deadline)
                } else {
                    try await rescored(query, sources, wanted, collection, deadline: deadline)
                }
        }
        return Array(ranked.prefix(wanted).dropFirst(query.offset))
    }

    private func fused(
        _ sources: [[Ranked]], _ fusion: Fusion, _ limit: Int, threshold: Float?, deadline: Instant
    ) async throws -> [Ranked] {
        if case .reciprocalRank(_, let weights) = fusion, !weights.isEmpty, weights.count != sources.count {
            throw ApusError(
                .requestInvalid, "there are \(weights.count) weights for \(sources.count) prefetches",
                context: ["field": "query.rrf.weights"])
        }
        return try await offLoop(sources.reduce(0) { $0 + $1.count }, deadline: deadline) {
            let versions = Dictionary(sources.joined().map { ($0.id, $0.version) }, uniquingKeysWith: max)
            let entries = fusion.fused(sources.map { $0.map { .init(id: $0.id, score: $0.score) } }, limit: limit)
            return entries.filter { entry in threshold.map { entry.score >= $0 } ?? true }
                .map { Ranked(id: $0.id, score: $0.score, version: versions[$0.id] ?? 0) }
        }
    }

    // MARK: All points

    private func leaf(_ query: PointQuery, _ limit: Int, _ collection: LoadedCollection, deadline: Instant) async throws -> [Ranked] {
        switch query.kind {
        case .fusion: throw ApusError(.requestInvalid, "a fusion needs prefetches", context: ["field": "query.fusion"])
        case .everything: return try await firstByID(limit, query.filter, collection, deadline: deadline)
        case .ordered(let order): return try await ordered(order, limit, query.filter, collection, deadline: deadline)
        case .random: return try await sampled(limit, query.filter, collection, deadline: deadline)
        case .nearest, .average, .examples: break
        }
        guard let (field, examples, relevance) = try await comparison(query, collection, deadline: deadline) else { return [] }
        guard case .nearest(let vector) = examples else {
            return try await scanned(examples, query, limit, collection, deadline: deadline)
        }
        let count = relevance?.among(limit) ?? limit
        let found = try await neighbours(of: vector, query, count, [], collection, deadline: deadline)
            .map { Ranked(id: $0.point.id, score: $0.score, version: $0.version) }
        guard let relevance else { return found }
        try PointQuery.checkPairs(limit, among: found.count)
        let points = try await points(Array(Set(found.map(\.id))), in: collection, with: .vector, deadline: deadline)
        return try await offLoop(found.count * limit.clamped, deadline: deadline) {
            Self.picked(found, points, vector, field, relevance, limit)
        }
    }

    /// All shards answer, or the error of one that does not is thrown.
    private func neighbours(
        of vector: VectorValue, _ query: PointQuery, _ limit: Int, _ projection: Projection, _ collection: LoadedCollection,
        deadline: Instant
    ) async throws -> [SearchHit] {
        let metric = collection.configuration.fields[try collection.configuration.fieldNumber(query.field)].metric
        var request = SearchRequest(
            vector, field: query.field, limit: limit, filter: query.filter, scoreThreshold: query.bound(for: metric),
            isExact: query.isExact, projection: projection)
        request.candidates = query.candidates
        let result = try await search(request, in: collection.name, deadline: deadline)
        if let missing = result.missing.first { throw missing.error }
        return result.hits
    }

    private func firstByID(_ limit: Int, _ filter: Filter, _ collection: LoadedCollection, deadline: Instant) async throws -> [Ranked] {
        let found = try await ask(collection, deadline: deadline) { _ in PageQuestion(start: nil, limit: limit, filter: filter) }
        return Array(found.flatMap(\.answer).sorted { $0.id < $1.id }.prefix(limit))
    }

    /// Compares every point that matches with the examples.
    private func scanned(
        _ examples: ExampleQuery<VectorValue>, _ query: PointQuery, _ limit: Int, _ collection: LoadedCollection, deadline: Instant
    ) async throws -> [Ranked] {
        let number = try collection.configuration.fieldNumber(query.field)
        let field = collection.configuration.fields[number]
        let scorer = ExampleScorer(field, examples)
        let filter = query.filter
        let found = try await ask(collection, deadline: deadline) { _ in
            ExamplesQuestion(field: number, examples: examples, limit: limit, filter: filter)
        }
        let sorted = found.flatMap(\.answer).sorted { scorer.precedes($0, $1) }
        return query.cut(Array(sorted.prefix(limit)), field.metric)
    }

    private func sampled(_ limit: Int, _ filter: Filter, _ collection: LoadedCollection, deadline: Instant) async throws -> [Ranked] {
        let found = try await ask(collection, deadline: deadline) { _ in SampleQuestion(limit: limit, filter: filter) }
        return found.flatMap(\.answer).sorted { $0.number < $1.number }.prefix(limit).map(\.ranked)
    }

    // MARK: The points of earlier stages

    private func rescored(
        _ query: PointQuery, _ sources: [[Ranked]], _ limit: Int, _ collection: LoadedCollection, deadline: Instant
    ) async throws -> [Ranked] {
        let versions = Dictionary(sources.joined().map { ($0.id, $0.version) }, uniquingKeysWith: max)
        let comparison = try await comparison(query, collection, deadline: deadline)
        guard !versions.isEmpty else { return [] }
        var weighted: Comparison? = comparison
        if case (let field, .nearest(let vector), let relevance)? = comparison, case .sparse(idf: true) = field.kind {
            let weighed = try await weigh([vector], query.field, collection, deadline: deadline)
            weighted = (field, .nearest(weighed[0]), relevance)
        }
        // All points of a stage may be more than the memory holds: only their places are kept.
        var places: [Ranked] = []
        let ids = Array(versions.keys)
        for start in stride(from: 0, to: ids.count, by: Self.piece) {
            if start > 0 { await Task.yield() }
            let piece = Array(ids[start..<min(ids.count, start + Self.piece)])
            let points = try await points(piece, in: collection, with: [.vector, .payload], deadline: deadline)
            places += try await offLoop(points.count * (query.filter.conditions + (weighted?.examples.count ?? 0)), deadline: deadline) {
                [weighted] in Self.places(points.filter(query.filter.matches), versions, query, weighted)
            }
        }
        let found = try await offLoop(places.count, deadline: deadline) { [places, weighted] in
            Self.sorted(places, query, weighted, limit)
        }
        // What is rare weighs more in the scores, and not where points are compared with each other.
        guard case (let field, .nearest(let vector), let relevance?)? = comparison else { return found }
        try PointQuery.checkPairs(limit, among: found.count)
        let points = try await points(found.map(\.id), in: collection, with: .vector, deadline: deadline)
        return try await offLoop(found.count * limit.clamped, deadline: deadline) {
            Self.picked(found, points, vector, field, relevance, limit)
        }
    }

    private typealias Comparison = (field: VectorField, examples: ExampleQuery<VectorValue>, relevance: MarginalRelevance?)

    /// In no order.
    private static func places(
        _ points: [Point], _ versions: [PointID: Int64], _ query: PointQuery, _ comparison: Comparison?
    ) -> [Ranked] {
        func ranked(_ point: Point, _ score: Float = 1, _ order: OrderValue? = nil) -> Ranked {
            Ranked(id: point.id, score: score, version: versions[point.id] ?? 0, order: order)
        }
        switch query.kind {
        case .everything, .random: return points.map { ranked($0) }
        case .ordered(let order):
            return points.flatMap { point in order.values(of: point.payload ?? []).map { ranked(point, 1, $0) } }
        case .fusion, .nearest, .average, .examples:
            guard let comparison else { return [] }
            let scorer = ExampleScorer(comparison.field, comparison.examples)
            return points.compactMap { point in
                point.vectors[comparison.field.name].flatMap(scorer.score).map { ranked(point, $0) }
            }
        }
    }

    private static func sorted(_ places: [Ranked], _ query: PointQuery, _ comparison: Comparison?, _ limit: Int) -> [Ranked] {
        switch query.kind {
        case .everything: return places.sorted { $0.id < $1.id }
        case .random: return places.shuffled()
        case .ordered(let order): return places.sorted(by: order.precedes)
        case .fusion, .nearest, .average, .examples:
            guard let (field, examples, relevance) = comparison else { return [] }
            let scorer = ExampleScorer(field, examples)
            let sorted = places.sorted { scorer.precedes($0, $1) }
            return query.cut(Array(sorted.prefix(relevance?.among(limit) ?? limit)), field.metric)
        }
    }

    private static func picked(
        _ found: [Ranked], _ points: [Point], _ vector: VectorValue, _ field: VectorField, _ relevance: MarginalRelevance, _ limit: Int
    ) -> [Ranked] {
        let vectors = Dictionary(points.map { ($0.id, $0.vectors[field.name]) }, uniquingKeysWith: { first, _ in first })
        let candidates = found.compactMap { ranked in (vectors[ranked.id] ?? nil).map { (ranked, $0) } }
        return Diversity.picked(candidates.map(\.1), near: vector, in: field, diversity: relevance.diversity, limit: limit)
            .map { candidates[$0].0 }
    }

    // MARK: Vectors

    /// What vectors are compared with, and in which field: the query with vectors for all points that it names. Nil for a stage that compares
    /// no vectors.
    private func comparison(
        _ query: PointQuery, _ collection: LoadedCollection, deadline: Instant
    ) async throws -> (VectorField, ExampleQuery<VectorValue>, MarginalRelevance?)? {
        var named: Set<PointID> = []
        func collect(_ vector: QueryVector) -> QueryVector {
            if case .point(let id) = vector { named.insert(id) }
            return vector
        }
        let examples: ExampleQuery<QueryVector>
        var relevance: MarginalRelevance?
        switch query.kind {
        case .nearest(let vector, let diversity): (examples, relevance) = (.nearest(vector), diversity)
        case .examples(let query): examples = query
        case .average(let positive, let negative): examples = .sumScores(positive: positive, negative: negative)
        case .everything, .ordered, .random, .fusion: return nil
        }
        let field = collection.configuration.fields[try collection.configuration.fieldNumber(query.field)]
        _ = examples.map(collect)
        let lookup = query.lookup?.collection ?? collection.name
        let place = query.lookup?.field ?? field.name
        var values: [PointID: VectorValue] = [:]
        if !named.isEmpty {
            for point in try await points(Array(named), in: lookup, with: .vector, deadline: deadline) {
                values[point.id] = point.vectors[place]
            }
        }
        func value(_ vector: QueryVector) throws(ApusError) -> VectorValue {
            switch vector {
            case .value(let value):
                try field.check(query: value, at: "vector")
                return value
            case .point(let id):
                guard let value = values[id] else {
                    throw ApusError(
                        .pointUnknown, "there is no point '\(id)' with a vector '\(place)' in collection '\(lookup)'",
                        context: ["id": id.description])
                }
                try field.check(query: value, at: "vector")
                return value
            }
        }
        let found: ExampleQuery<VectorValue> = try examples.map(value)
        if case .average = query.kind, case .sumScores(let positive, let negative) = found {
            guard let average = VectorValue.average(positive: positive, negative: negative) else {
                throw ApusError(.requestInvalid, "at least one positive example is needed", context: ["field": "query.recommend.positive"])
            }
            return (field, .nearest(average), nil)
        }
        guard case .sparse(idf: true) = field.kind else { return (field, found, relevance) }
        if case .nearest = found { return (field, found, relevance) }  // the search weighs it
        var vectors: [VectorValue] = []
        _ = found.map {
            vectors.append($0); return $0
        }
        var weighted = try await weigh(vectors, query.field, collection, deadline: deadline)[...]
        return (field, found.map { _ in weighted.removeFirst() }, relevance)
    }

    /// Sparse vectors with each number weighed by how rare its place is.
    private func weigh(
        _ vectors: [VectorValue], _ field: String, _ collection: LoadedCollection, deadline: Instant
    ) async throws -> [VectorValue] {
        let number = try collection.configuration.fieldNumber(field)
        var weighed: [VectorValue] = []
        for vector in vectors { weighed.append(try await weighted(vector, number, collection, deadline: deadline)) }
        return weighed
    }
}

extension PointQuery {
    /// The threshold as a search wants it, which lets the bound itself pass.
    fileprivate func bound(for metric: Metric) -> Float? {
        scoreThreshold.map { metric.isSimilarity ? $0.nextUp : $0.nextDown }
    }

    /// What comes before the first score that is beyond the threshold in the sense of the metric.
    fileprivate func cut(_ ranked: [VectorService.Ranked], _ metric: Metric) -> [VectorService.Ranked] {
        guard let scoreThreshold else { return ranked }
        return Array(ranked.prefix { metric.isNearer($0.score, than: scoreThreshold) })
    }
}

extension ExampleScorer {
    func precedes(_ left: VectorService.Ranked, _ right: VectorService.Ranked) -> Bool {
        left.score == right.score ? left.id < right.id : isDescending ? left.score > right.score : left.score < right.score
    }
}

extension Filter {
    func matches(_ point: Point) -> Bool {
        (point.payload ?? []).withUnsafeBytes { payload in
            matches(id: point.id, payload: payload) { name in point.vectors[name] != nil }
        }
    }
}
