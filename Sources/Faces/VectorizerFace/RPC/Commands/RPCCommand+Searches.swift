internal import ApusThunder
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

extension RPCCommand {
    static let searches: [String: RPCCommand] = [
        "search.basic": RPCCommand(.reader, over: .collections) { call, arguments in .array(try await call.searchByArguments(arguments)) },
        "search.by_text": RPCCommand(.reader, over: .collections) { call, arguments in
            .map(["results": .array(try await call.searchByArguments(arguments))])
        },
        "search.hybrid": RPCCommand(.reader, over: .collections) { call, arguments in
            let collection = try await call.collection(arguments)
            let options = try arguments.required(1, "request").expectMap().json()
            let query = try await call.face.hybridQuery(options, in: collection, deadline: call.deadline)
            let result = try await call.face.search(query, in: collection.name, deadline: call.deadline)
            return .map([
                "results": .array(try result.whole.hits.map(\.thunder)), "algorithm": .string(query.algorithm),
                "limit": .int(query.request.limit),
            ])
        },
        "search.explain": RPCCommand(.reader, over: .collections) { call, arguments in
            let started = call.face.clock.now
            let collection = try await call.collection(arguments)
            let options = try arguments.required(1, "request").expectMap()
            let limit = try call.limit(options.first("k", "limit", "top_k"))
            let result = try await call.search(
                options.required("vector", "query", "query_vector"), limit: limit, options: options, in: collection)
            let trace = result.trace
            func milliseconds(_ duration: Duration) -> ThunderValue { .float(duration.seconds * 1000) }
            return .map([
                "hits": .array(result.hits.map(\.thunder)), "collection": .string(collection.name.rawValue), "k": .int(limit),
                "stale": .bool(result.isStale),
                "trace": .map([
                    "index": .string(trace?.isExact == true ? "exact" : "graph"),
                    "visited_nodes": trace?.compared.map { .int($0) } ?? .null,
                    // A scan has no beam.
                    "ef_search": trace?.isExact == true ? .int(0) : .null,
                    "hnsw_search_ms": trace.map { milliseconds($0.indexTime) } ?? .null,
                    "total_ms": milliseconds(started.duration(to: call.face.clock.now)),
                ]),
            ])
        },
        "vectors.batch_search": RPCCommand(.reader, over: .collections) { call, arguments in
            var answers: [ThunderValue] = []
            for (index, query) in try arguments.required(0, "requests").expectElements(atMost: call.face.options.maxQueries).enumerated() {
                do {
                    let collection = try await call.face.collection(
                        query.expectMap().required("collection").expectString(), deadline: call.deadline)
                    let result = try await call.search(
                        query.required("query", "vector"), limit: call.limit(query.first("limit", "k")), options: query, in: collection)
                    answers.append(
                        .map([
                            "index": .int(index), "status": .string("ok"), "results": .array(result.hits.map(\.thunder)), "error": .null,
                        ]))
                } catch let error as ApusError {
                    // What fails every query alike is the call's failure, and so is a collection that the key is not for; a text that cannot
                    // be embedded is only its own query's.
                    if error.code == .forbidden || (error.code.surface.http >= 500 && error.code != .embeddingUnavailable) { throw error }
                    answers.append(
                        .map([
                            "index": .int(index), "status": .string("error"), "results": .array([]), "error": .string(error.summary),
                        ]))
                }
            }
            return .array(answers)
        },
    ]
}

extension RPCCall {
    /// `(collection, query, limit)`.
    fileprivate func searchByArguments(_ arguments: RPCArguments) async throws -> [ThunderValue] {
        let collection = try await collection(arguments)
        let limit = try limit(arguments.optional(2, "limit"))
        return try await search(arguments.required(1, "query"), limit: limit, options: nil, in: collection).hits.map(\.thunder)
    }

    fileprivate func limit(_ field: RPCField?) throws -> Int {
        try VectorizerFace.clamp(try field?.expectInt() ?? 10, to: face.options.searchLimit, "limit")
    }

    /// Searches for a text or a vector.
    fileprivate func search(
        _ query: RPCField, limit: Int, options: RPCField?, in collection: CollectionDescription
    ) async throws -> SearchResult {
        let name = collection.name
        let text = query.value.asString
        if let text {
            guard collection.configuration.embedding != nil else { throw ApusError.noEmbedding(query.path, in: name) }
            try VectorService.check(text: text, field: query.path)
        }
        let vector =
            if let text {
                try await face.vectors.embed([text], for: name, deadline: deadline)[0]
            } else {
                try query.vector(dimension: collection.configuration.dimension)
            }
        let filter = try options?.first("filter").map { try VectorizerFace.filter($0.json()) } ?? .everything
        let isExact = try options?.first("exact")?.expectBool() ?? false
        let request = SearchRequest(vector: vector, limit: limit, filter: filter, isExact: isExact, projection: .payload)
        let type = text == nil ? isExact ? "exact" : "vector" : "text"
        let result = try await face.metrics.measureSearch(in: name, type: type, face.clock) {
            try await face.vectors.search(request, in: name, deadline: deadline)
        }
        return try result.whole
    }
}

extension SearchResult {
    /// The client's replies have no place to say that shards are missing, so that is an error here.
    fileprivate var whole: SearchResult {
        get throws(ApusError) {
            if let missing = missing.first { throw missing.error }
            return self
        }
    }
}

extension SearchHit {
    /// `{id, score, payload: JSON text or null}`.
    fileprivate var thunder: ThunderValue {
        .map(["id": .string(point.id.description), "score": .float(Double(score)), "payload": point.payloadText])
    }
}
