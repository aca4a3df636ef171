internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

extension VectorizerFace {
    func mountSearch(on router: inout Router) {
        for path in [
            "/collections/{name}/search", "/collections/{name}/search/vector", "/collections/{name}/search/text", "/search",
            "/semantic_search",
        ] {
            route(&router, .post, path, needs: .reader, over: .collections) { request in
                let root = try await body(of: request).root
                let (name, query, result) = try await search(root, collection: request.parameters["name"], request)
                var writer = JSONWriter(reserving: 256 + result.hits.count * 128)
                writer.object {
                    write(result, query, to: &$0)
                    $0.member("collection", name.rawValue)
                    $0.member("limit", query.limit)
                }
                return .json(writer.bytes)
            }
        }
        route(&router, .post, "/batch_search", needs: .reader, over: .collections, searchMany)
        route(&router, .post, "/collections/{name}/hybrid_search", needs: .reader, over: .collections, searchHybrid)
        route(&router, .post, "/embed", needs: .reader, over: .collections, embed)
        for path in ["/intelligent_search", "/contextual_search", "/multi_collection_search"] {
            route(&router, .post, path, needs: .reader, over: .collections) { _ in
                throw ApusError(
                    .embeddingUnavailable, "this call is not offered", hint: "POST /collections/NAME/search/text",
                    context: ["field": "query"])
            }
        }
    }

    /// One query as it was read: what the service is asked, and how its hits are written.
    struct Query {
        var limit: Int
        /// The client's model of a hit knows `metadata` and refuses `payload`; a client that asks for the payload by name gets it by name.
        var payloadKey: String?
        var withVector: Bool
    }

    private func search(
        _ root: JSONElement, collection named: String?, isStrict: Bool = false, _ request: Request
    ) async throws -> (CollectionName, Query, SearchResult) {
        let collection = try await collection(try named ?? root.required("collection").expectString(), request)
        let limit = try Self.clamp(Self.limit(root), to: options.searchLimit, "limit")
        let wantsPayload = try root.first("with_payload", "include_payload")?.expectBool()
        let withVector = try root.first("with_vector", "with_vectors", "include_vector")?.expectBool() ?? false
        let query = Query(limit: limit, payloadKey: wantsPayload.map { $0 ? "payload" : nil } ?? "metadata", withVector: withVector)
        var projection: Projection = query.payloadKey == nil ? [] : .payload
        if withVector { projection.insert(.vector) }
        let (vector, text) = try await vector(of: root, for: collection, request)
        var search = SearchRequest(
            vector: vector, limit: limit,
            filter: try root.first("filter").map(Self.filter) ?? .everything, scoreThreshold: try Self.threshold(root),
            isExact: try root.first("exact")?.expectBool() ?? false, projection: projection)
        search.recall = try root.first("recall").map(Self.recall)
        let result = try await metrics.measureSearch(
            in: collection.name, type: text != nil ? "text" : search.isExact ? "exact" : "vector", clock
        ) {
            try await vectors.search(search, in: collection.name, deadline: request.deadline)
        }
        if try root.first("strict")?.expectBool() ?? isStrict { try result.requireComplete() }
        return (collection.name, query, result)
    }

    /// The numbers that a query gives, or those of its text, and that text.
    func vector(
        of root: JSONElement, for collection: CollectionDescription, _ request: Request
    ) async throws -> (vector: [Float], text: String?) {
        let element = try root.required("vector", "query_vector", "query", "text")
        guard let text = element.string else { return (try element.vector(dimension: collection.configuration.dimension), nil) }
        guard collection.configuration.embedding != nil else { throw ApusError.noEmbedding(element.path, in: collection.name) }
        try VectorService.check(text: text, field: element.path)
        return (try await vectors.embed([text], for: collection.name, deadline: request.deadline)[0], text)
    }

    private static func limit(_ root: JSONElement) throws(ApusError) -> Int {
        guard let element = root.first("limit", "top_k", "k") else { return 10 }
        guard let int = element.int, let limit = Int(exactly: int) else {
            // More than an integer holds is more than there are.
            if element.uint != nil { return .max }
            throw .invalid(element.path, "it is not an integer")
        }
        return limit
    }

    private static func threshold(_ root: JSONElement) throws(ApusError) -> Float? {
        guard let element = root.first("threshold", "score_threshold") else { return nil }
        let threshold = Float(try element.expectNumber())
        guard threshold.isFinite else { throw .invalid(element.path, "it is too large") }
        return threshold
    }

    private static func recall(_ element: JSONElement) throws(ApusError) -> Float {
        let recall = try element.expectNumber()
        guard recall > 0, recall < 1 else { throw .invalid(element.path, "it is not between 0 and 1; `exact` finds all") }
        return Float(recall)
    }

    /// `{queries: [{collection?, vector, …}], collection?, strict?}`: each query has a result of its own.
    private func searchMany(_ request: Request) async throws -> Response {
        let root = try await body(of: request).root
        let shared = try root.first("collection")?.expectString()
        let isStrict = try root.first("strict")?.expectBool() ?? false
        let queries = try root.required("queries", "searches").expectElements(atMost: options.maxQueries)
        var answers: [Result<(name: CollectionName, query: Query, result: SearchResult), ApusError>] = []
        for element in queries {
            do {
                answers.append(
                    .success(
                        try await search(
                            element, collection: element.first("collection")?.expectString() ?? shared, isStrict: isStrict, request)))
            } catch let error as ApusError {
                // What fails every query alike is the request's failure, and so is a collection that the key is not for; a text is only its
                // own query's.
                if error.code == .forbidden || (error.code.surface.http >= 500 && error.code != .embeddingUnavailable) { throw error }
                answers.append(.failure(error))
            }
        }
        var writer = JSONWriter()
        writer.object {
            $0.member("count", answers.count)
            $0.key("results")
            $0.array {
                for (index, answer) in answers.enumerated() {
                    $0.object {
                        $0.member("index", index)
                        switch answer {
                        case .success(let (name, query, result)):
                            $0.member("status", "ok")
                            $0.member("collection", name.rawValue)
                            write(result, query, to: &$0)
                        case .failure(let error):
                            $0.member("status", "error")
                            $0.member("error", error.summary)
                            $0.member("code", error.code.rawValue)
                            $0.member("results", .array([]))
                        }
                    }
                }
            }
        }
        return .json(writer.bytes)
    }

    /// `results`, and what is missing from them, and how old they are. Without marks a partial answer would look whole, and an old one new.
    func write(_ result: SearchResult, _ query: Query, to writer: inout JSONWriter) {
        writer.key("results")
        writer.array {
            for hit in result.hits {
                $0.object {
                    $0.member("id", hit.point.id.description)
                    $0.key("score")
                    $0.float(hit.score)
                    if let key = query.payloadKey {
                        $0.key(key)
                        if let payload = hit.point.payload { $0.raw(payload) } else { $0.null() }
                    }
                    if query.withVector {
                        $0.key("vector")
                        $0.floats(hit.point.vector)
                    }
                }
            }
        }
        writer.member("complete", result.isComplete)
        let age = result.asOf.duration(to: clock.now).milliseconds
        writer.member("as_of", WallTime(millisecondsSinceEpoch: clock.wallTime.millisecondsSinceEpoch - age).description)
        if result.isStale { writer.member("stale", true) }
        guard !result.isComplete else { return }
        writer.key("missing")
        writer.array {
            for shard in result.missing {
                $0.object {
                    $0.member("shard_id", shard.shard.value)
                    $0.member("code", shard.error.code.rawValue)
                    $0.member("reason", shard.error.summary)
                }
            }
        }
    }
}

extension SearchResult {
    /// Throws `search.incomplete` where a shard is missing: what a client asks for with `strict`.
    func requireComplete() throws(ApusError) {
        guard let first = missing.first else { return }
        throw ApusError(
            .searchIncomplete, "\(missing.count) shards did not answer, of them shard \(first.shard): \(first.error.summary)",
            hint: "try again, or leave out 'strict' for what the others have", cause: first.error)
    }
}
