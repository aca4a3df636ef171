internal import ApusCatalog
internal import ApusEmbedding
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// What begins with a text. (Inserts and searches take texts where they take vectors.)
extension VectorizerFace {
    /// In one reply: some 50 MB of JSON.
    private static let mostNumbers = 1 << 22

    /// `{text | texts, model?, dimension?, collection?}`: the vectors of texts by a provider, or by that of a collection.
    func embed(_ request: Request) async throws -> Response {
        let root = try await body(of: request).root
        let one = try root.first("text")?.expectString()
        let texts = try one.map { [$0] } ?? root.required("texts").expectElements(atMost: options.maxItems).map { try $0.expectString() }
        var provider = try root.first("model", "provider", "embedding_provider").map {
            try EmbeddingProvider(json: $0.value, field: $0.path)
        }
        var dimension = try root.first("dimension")?.expectCount(CollectionConfiguration.dimensions)
        if let name = try root.first("collection")?.expectString(), provider == nil {
            let collection = try await collection(name, request)
            guard let own = collection.configuration.embedding else { throw ApusError.noEmbedding("collection", in: collection.name) }
            (provider, dimension) = (own, collection.configuration.dimension)
        }
        let chosen = try provider ?? EmbeddingProvider(named: "bm25")
        let length = try await vectors.dimension(of: chosen, wanted: dimension, deadline: request.deadline)
        guard texts.count * length <= Self.mostNumbers else {
            throw ApusError(
                .requestTooLarge, "\(texts.count) vectors of \(length) numbers are too much for one reply",
                hint: "send at most \(Self.mostNumbers / length) texts at a time", context: ["field": "texts"])
        }
        let embedded = try await vectors.embed(texts, with: chosen, dimension: length, deadline: request.deadline)
        var writer = JSONWriter(reserving: 256 + embedded.count * length * 12)
        writer.object {
            if let one {
                $0.member("text", one)
                $0.key("embedding")
                $0.floats(embedded[0])
            } else {
                $0.key("embeddings")
                $0.array { for vector in embedded { $0.floats(vector) } }
            }
            $0.member("model", chosen.name)
            $0.member("provider", chosen.name)
            $0.member("dimension", length)
        }
        return .json(writer.bytes)
    }

    /// `{query, vector?, alpha, algorithm, dense_k, sparse_k, final_k, filter, with_vector, text_field}`.
    func searchHybrid(_ request: Request) async throws -> Response {
        let root = try await body(of: request).root
        let collection = try await collection(request.parameter("name"), request)
        let query = try await hybridQuery(root, in: collection, deadline: request.deadline)
        let result = try await search(query, in: collection.name, deadline: request.deadline)
        if try root.first("strict")?.expectBool() ?? false { try result.requireComplete() }
        var writer = JSONWriter(reserving: 256 + result.hits.count * 256)
        writer.object {
            let withVector = query.request.projection.contains(.vector)
            write(result, Query(limit: query.request.limit, payloadKey: "payload", withVector: withVector), to: &$0)
            $0.member("query", query.request.text)
            $0.member("limit", query.request.limit)
            $0.member("collection", collection.name.rawValue)
            $0.member("alpha", query.alpha)
            $0.member("algorithm", query.algorithm)
        }
        return .json(writer.bytes)
    }

    /// A hybrid search as it was asked for.
    struct HybridQuery: Sendable {
        var request: HybridRequest
        var alpha: Double
        var algorithm: String
    }

    func hybridQuery(_ root: JSONElement, in collection: CollectionDescription, deadline: Instant) async throws -> HybridQuery {
        let text = try root.required("query", "text").expectString()
        guard root.first("query_sparse") == nil else {
            throw ApusError.invalid("query_sparse", "the words of 'query' are searched for; sparse vectors of a client are not")
        }
        let alpha = try root.first("alpha")?.expectNumber() ?? 0.7
        guard (0...1).contains(alpha) else { throw ApusError.invalid("alpha", "it is not from 0 to 1") }
        let algorithm = try root.first("algorithm")?.expectString().lowercased() ?? "rrf"
        var vector: [Float]
        if let element = root.first("vector", "query_vector") {
            vector = try element.vector(dimension: collection.configuration.dimension)
        } else {
            guard collection.configuration.embedding != nil else { throw ApusError.noEmbedding("query", in: collection.name) }
            try VectorService.check(text: text, field: "query")
            vector = try await vectors.embed([text], for: collection.name, deadline: deadline)[0]
        }
        var hybrid = HybridRequest(vector: vector, text: text)
        switch algorithm {
        case "rrf": hybrid.fusion = .reciprocal()
        case "weighted": hybrid.fusion = .weighted(alpha: alpha)
        case "alpha": hybrid.fusion = .blended(alpha: alpha)
        default: throw ApusError.invalid("algorithm", "it is none of rrf, weighted and alpha")
        }
        hybrid.denseLimit = try root.first("dense_k")?.expectCount(0...options.maxItems) ?? 20
        hybrid.lexicalLimit = try root.first("sparse_k", "lexical_k")?.expectCount(0...options.maxItems) ?? 20
        hybrid.limit = try Self.clamp(
            root.first("final_k", "limit", "top_k")?.expectCount(0...options.maxItems) ?? 10, to: options.searchLimit, "final_k")
        hybrid.filter = try root.first("filter").map(Self.filter) ?? .everything
        hybrid.member = try root.first("text_field")?.expectString() ?? hybrid.member
        let withVector = try root.first("with_vector", "include_vector")?.expectBool() ?? false
        hybrid.projection = withVector ? [.payload, .vector] : .payload
        return HybridQuery(request: hybrid, alpha: alpha, algorithm: algorithm)
    }

    func search(_ query: HybridQuery, in name: CollectionName, deadline: Instant) async throws -> SearchResult {
        try await metrics.measureSearch(in: name, type: "hybrid", clock) {
            try await vectors.search(query.request, in: name, deadline: deadline)
        }
    }

    /// One way of embedding, as `/stats` tells of it.
    struct ProviderFacts {
        var name: String
        var dimension: Int

        func write(to writer: inout JSONWriter) {
            writer.object {
                $0.member("name", name)
                $0.member("dimension", dimension)
                $0.member("default", name == "bm25")
            }
        }
    }

    /// Those that work now: the hashed ones, and the models that are installed. Without the catalog nobody knows which these are.
    func providers(_ request: Request) async throws -> [ProviderFacts] {
        let hashed = EmbeddingProvider.names.filter { $0 != EmbeddingProvider.miniLM.name }
            .map { ProviderFacts(name: $0, dimension: EmbeddingProvider.defaultDimension) }
        guard let models = vectors.models else { return hashed }
        do {
            return hashed
                + (try await models.list(deadline: request.deadline)).map {
                    ProviderFacts(name: EmbeddingProvider.model($0.name).name, dimension: $0.dimension)
                }
        } catch let error as ApusError where error.code == .catalogUnavailable {
            return hashed
        }
    }
}
