public import ApusTypes
public import ApusVectorIndex
public import ApusVectors

extension QdrantFace {
    /// A filter in Qdrant's dialect, as the engine evaluates it. Throws 400 and 422 with what is wrong.
    public static func filter(_ element: JSONElement) throws(ApusError) -> Filter { try QdrantFilter(element).filter }

    /// The body of a query of a collection.
    public static func query(_ element: JSONElement, of collection: CollectionName) throws(ApusError) -> PointQuery {
        try QueryReading.query(element, of: collection)
    }
}

/// A query and the stages before it, read from a request's body.
struct QueryReading {
    /// The collection that is asked, to know whose points an id names.
    private let collection: CollectionName
    /// Stages that were read.
    private var stages = 0
    private static let deepest = 16
    /// Over all levels: each stage searches.
    private static let mostStages = 100
    static let defaultLimit = 10

    static func query(_ root: JSONElement, of collection: CollectionName) throws(ApusError) -> PointQuery {
        var reading = QueryReading(collection: collection)
        return try reading.query(root, within: StageFilter(.everything), depth: 1)
    }

    private init(collection: CollectionName) { self.collection = collection }

    /// The filters of a stage and of those around it. Each stage without one of its own shares that of the next around it.
    private struct StageFilter {
        let clauses: QdrantFilter
        let filter: Filter

        /// Throws `request.invalid` for more conditions than a filter may have: before all of them are merged into more stages.
        init(_ clauses: QdrantFilter) throws(ApusError) {
            self.clauses = clauses
            filter = clauses.filter
            try filter.validate()
        }
    }

    private mutating func query(_ root: JSONElement, within outer: StageFilter, depth: Int) throws(ApusError) -> PointQuery {
        guard depth <= Self.deepest else { throw .format(root.path, "prefetches are nested too deep: \(Self.deepest) levels are the most") }
        stages += 1
        guard stages <= Self.mostStages else {
            throw .wrong("a query has more than \(Self.mostStages - 1) prefetches, those of prefetches included", "prefetch")
        }
        guard root.kind == .object else { throw root.mismatch("an object") }
        let prefetches = root.member("prefetch")?.oneOrMany() ?? []
        var ids: Set<PointID> = []
        var query = PointQuery(try kind(root.member("query"), &ids))
        query.field = try root.member("using")?.expectString() ?? ""
        query.limit = try root.member("limit")?.expectCount(atLeast: 1) ?? Self.defaultLimit
        query.offset = try root.member("offset")?.expectCount() ?? 0
        query.scoreThreshold = try root.member("score_threshold")?.expectFloat()
        try read(root.member("params"), into: &query)
        if let lookup = root.member("lookup_from") {
            query.lookup = (
                CollectionName(try lookup.expectObject().required("collection").expectString()),
                try lookup.member("vector")?.expectString()
            )
        }
        try check(query, root, hasPrefetch: !prefetches.isEmpty)
        // Points that are examples are no answers, unless they are examples from elsewhere.
        var own = try root.member("filter").map { element throws(ApusError) in try QdrantFilter(element) }
        if !ids.isEmpty, query.lookup?.collection ?? collection == collection { own = (own ?? .everything).excluding(ids) }
        let filter = try own.map { own throws(ApusError) in try StageFilter(outer.clauses.merged(with: own)) } ?? outer
        query.filter = filter.filter
        for prefetch in prefetches { query.prefetch.append(try self.query(prefetch, within: filter, depth: depth + 1)) }
        return query
    }

    private func check(_ query: PointQuery, _ root: JSONElement, hasPrefetch: Bool) throws(ApusError) {
        switch query.kind {
        case .everything:
            if hasPrefetch { throw .wrong("A query is needed to merge the prefetches. Can't have prefetches without defining a query.") }
            if query.scoreThreshold != nil {
                throw .wrong("A query is needed to use the score_threshold. Can't have score_threshold without defining a query.")
            }
        case .fusion:
            if !hasPrefetch { throw .wrong("cannot apply Fusion without prefetches") }
            if root.member("using") != nil { throw .wrong("Fusion queries cannot be combined with the 'using' field.") }
        case .ordered:
            if query.scoreThreshold != nil { throw .wrong("Can't use score_threshold with an order_by query.") }
        default: break
        }
    }

    private func read(_ params: JSONElement?, into query: inout PointQuery) throws(ApusError) {
        guard let params else { return }
        query.isExact = try params.expectObject().member("exact")?.expectBool() ?? false
        query.candidates = try params.member("hnsw_ef")?.expectCount()
        if let idf = params.member("idf"), idf.string != "global" {
            throw .wrong("params.idf: statistics of a part of the points are not supported here", idf.path)
        }
    }

    // MARK: Kinds

    private func kind(_ element: JSONElement?, _ ids: inout Set<PointID>) throws(ApusError) -> PointQuery.Kind {
        guard let element else { return .everything }
        guard let members = element.members else { return .nearest(try vector(element, &ids), diversity: nil) }
        let said = Set(members.lazy.filter { !$0.value.isNull }.map(\.key))
        if said.contains("indices") { return .nearest(try vector(element, &ids), diversity: nil) }
        if let nearest = element.member("nearest") {
            try element.requireOnly(["nearest", "mmr"])
            return .nearest(try vector(nearest, &ids), diversity: try element.member("mmr").map(Self.relevance))
        }
        guard said.count == 1, let name = said.first, let value = element.member(name) else {
            throw .format(element.path, "expected exactly one kind of query")
        }
        switch name {
        case "recommend": return try recommend(value, &ids)
        case "discover":
            try value.requireOnly(["target", "context"])
            let target = try vector(try value.required("target"), &ids)
            return .examples(
                .discover(
                    target: target, pairs: try value.member("context").map { element throws(ApusError) in try pairs(element, &ids) } ?? []))
        case "context": return .examples(.context(try pairs(value, &ids)))
        case "order_by": return .ordered(try Self.order(value))
        case "sample":
            guard try value.expectString() == "random" else { throw .format(value.path, "unknown variant, expected `random`") }
            return .random
        case "fusion":
            switch try value.expectString() {
            case "rrf": return .fusion(.reciprocalRank(k: Self.defaultK, weights: []))
            case "dbsf": return .fusion(.distribution)
            default: throw .format(value.path, "unknown variant, expected `rrf` or `dbsf`")
            }
        case "rrf":
            try value.requireOnly(["k", "weights"])
            var weights: [Float] = []
            for weight in try value.member("weights")?.expectElements().map(\.self) ?? [] { weights.append(try weight.expectFloat()) }
            return .fusion(.reciprocalRank(k: try value.member("k")?.expectCount(atLeast: 1) ?? Self.defaultK, weights: weights))
        case "formula", "relevance_feedback", "text": throw .wrong("queries of the kind '\(name)' are not supported here", "query.\(name)")
        default: throw .format(value.path, "unknown variant `\(name)`")
        }
    }

    private static let defaultK = 2

    private func vector(_ element: JSONElement, _ ids: inout Set<PointID>) throws(ApusError) -> QueryVector {
        let vector = try VectorReading.query(element)
        if case .point(let id) = vector { ids.insert(id) }
        return vector
    }

    private func vectors(_ element: JSONElement?, _ ids: inout Set<PointID>) throws(ApusError) -> [QueryVector] {
        guard let element else { return [] }
        var vectors: [QueryVector] = []
        for element in try element.expectElements() { vectors.append(try vector(element, &ids)) }
        return vectors
    }

    private func recommend(_ element: JSONElement, _ ids: inout Set<PointID>) throws(ApusError) -> PointQuery.Kind {
        try element.requireOnly(["positive", "negative", "strategy"])
        let positive = try vectors(element.member("positive"), &ids)
        let negative = try vectors(element.member("negative"), &ids)
        let strategy = try element.member("strategy")?.expectString() ?? "average_vector"
        switch strategy {
        case "average_vector":
            guard !positive.isEmpty else { throw .wrong("At least one positive vector ID required with this strategy") }
            return .average(positive: positive, negative: negative)
        case "best_score", "sum_scores":
            guard !positive.isEmpty || !negative.isEmpty else {
                throw .wrong("At least one positive or negative vector ID required with this strategy")
            }
            return .examples(
                strategy == "best_score"
                    ? .bestScore(positive: positive, negative: negative) : .sumScores(positive: positive, negative: negative))
        default: throw .format(element.path, "unknown variant `\(strategy)`, expected `average_vector`, `best_score` or `sum_scores`")
        }
    }

    private func pairs(_ element: JSONElement, _ ids: inout Set<PointID>) throws(ApusError) -> [ExamplePair<QueryVector>] {
        var pairs: [ExamplePair<QueryVector>] = []
        for pair in element.oneOrMany() {
            try pair.requireOnly(["positive", "negative"])
            pairs.append(
                ExamplePair(
                    positive: try vector(try pair.required("positive"), &ids), negative: try vector(try pair.required("negative"), &ids)))
        }
        return pairs
    }

    private static func relevance(_ element: JSONElement) throws(ApusError) -> MarginalRelevance {
        try element.requireOnly(["diversity", "candidates_limit"])
        let candidates = try element.member("candidates_limit")?.expectCount()
        if let candidates, candidates > MarginalRelevance.mostCandidates {
            throw .validation(
                element.path + ".candidates_limit", "value \(candidates) invalid, must be \(MarginalRelevance.mostCandidates) or smaller")
        }
        return MarginalRelevance(
            diversity: Float(try element.member("diversity")?.expectNumber(in: 0...1) ?? 0.5), candidates: candidates)
    }

    /// A key, or `{"key", "direction", "start_from"}`.
    static func order(_ element: JSONElement) throws(ApusError) -> PointOrder {
        if element.string != nil { return PointOrder(path: try element.expectPath()) }
        try element.requireOnly(["key", "direction", "start_from"])
        var order = PointOrder(path: try element.required("key").expectPath())
        if let direction = element.member("direction") {
            switch try direction.expectString() {
            case "asc": break
            case "desc": order.isDescending = true
            default: throw .format(direction.path, "unknown variant, expected `asc` or `desc`")
            }
        }
        if let start = element.member("start_from") {
            if let text = start.string {
                guard let time = PayloadTime(text.utf8) else {
                    throw .format(start.path, "'\(text)' is not in a supported date/time format")
                }
                order.start = .integer(time.microseconds)
            } else if let int = start.int {
                order.start = .integer(int)
            } else {
                order.start = .double(try start.expectNumber())
            }
        }
        return order
    }
}
