internal import ApusCluster
internal import ApusEmbedding
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

extension VectorizerFace {
    func mountCollections(on router: inout Router) {
        route(&router, .get, "/collections", needs: .reader, over: .collections) { request in
            let collections = try await vectors.wholeCollections(deadline: request.deadline)
            var writer = JSONWriter()
            writer.object {
                $0.key("collections")
                $0.array { for collection in collections { Self.write(collection, to: &$0) } }
                $0.member("total_collections", collections.count)
            }
            return .json(writer.bytes)
        }
        route(&router, .post, "/collections", needs: .writer, over: .collections, createCollection)
        route(&router, .get, "/collections/{name}", needs: .reader, over: .collections) { request in
            let description = try await wholeCollection(request.parameter("name"), deadline: request.deadline)
            var writer = JSONWriter()
            Self.write(description, to: &writer, isDetailed: try request.query.value("detail") ?? false)
            return .json(writer.bytes)
        }
        route(&router, .delete, "/collections/{name}", needs: .writer, over: .collections) { request in
            let name = try collectionName(request.parameter("name"))
            try await naming(name) { try await vectors.deleteCollection(name, deadline: request.deadline) }
            return .json(
                JSONValue.object(["message": .string("Collection '\(name)' deleted successfully"), "collection": .string(name.rawValue)])
                    .serialized())
        }
    }

    /// The collection, or 404 in the words of this API.
    func collection(_ text: String, _ request: Request) async throws -> CollectionDescription {
        try await collection(text, deadline: request.deadline)
    }

    func collection(_ text: String, deadline: Instant) async throws -> CollectionDescription {
        let name = try collectionName(text)
        return try await naming(name) { try await vectors.collection(name, deadline: deadline) }
    }

    func wholeCollection(_ text: String, deadline: Instant) async throws -> CollectionDescription {
        let name = try collectionName(text)
        return try await naming(name) { try await vectors.wholeCollection(name, deadline: deadline) }
    }

    /// Puts errors about the collection itself into the words of this API.
    func naming<Value>(_ name: CollectionName, _ body: () async throws -> Value) async throws -> Value {
        do { return try await body() } catch var error as ApusError {
            if error.code == .collectionUnknown { error.summary = "Collection not found: \(name)" }
            if error.code == .collectionExists { error.summary = "Collection already exists: \(name)" }
            throw error
        }
    }

    private func createCollection(_ request: Request) async throws -> Response {
        let root = try await body(of: request).root
        let name = try collectionName(root.required("name").expectString())
        let created = try await createCollection(name, root, deadline: request.deadline)
        var writer = JSONWriter()
        Self.write(created, to: &writer)
        return .json(writer.bytes)
    }

    /// Makes a collection of what `root` says about it.
    func createCollection(_ name: CollectionName, _ root: JSONElement, deadline: Instant) async throws -> CollectionDescription {
        let (dimension, embedding) = try await embedding(root, deadline: deadline)
        var configuration = CollectionConfiguration(
            dimension: dimension, metric: try Self.metric(root), sharding: options.sharding,
            description: try root.first("description")?.expectString())
        configuration.embedding = embedding
        if let sharding = root.first("sharding") { configuration.sharding = try Self.sharding(sharding) }
        let replicas = try (root.first("replication_factor") ?? root.first("sharding")?.first("replication_factor"))?
            .expectCount(CollectionConfiguration.replicaCounts)
        return try await createCollection(name, configuration, replicas: replicas ?? options.replicas, deadline: deadline)
    }

    func createCollection(
        _ name: CollectionName, _ configuration: CollectionConfiguration, replicas: Int? = nil, deadline: Instant
    ) async throws -> CollectionDescription {
        try await cluster.requireActiveNode(deadline: deadline)
        return try await naming(name) {
            try await vectors.createCollection(name, configuration, replicas: replicas ?? options.replicas, deadline: deadline)
        }
    }

    /// `embedding_provider`: a name or an object, or `none`. Nobody's choice is Vectorizer's default, BM25, for collections of its 512
    /// numbers, and none for others, whose vectors are made elsewhere. With a provider the dimension may be left out.
    private func embedding(_ root: JSONElement, deadline: Instant) async throws -> (dimension: Int, EmbeddingProvider?) {
        let dimension = try root.first("dimension")?.expectCount(CollectionConfiguration.dimensions)
        var provider: EmbeddingProvider?
        if let element = root.first("embedding_provider", "embedding") {
            if element.string?.lowercased() != "none" { provider = try EmbeddingProvider(json: element.value, field: element.path) }
        } else if dimension == EmbeddingProvider.defaultDimension, root["embedding_provider"] == nil {
            provider = try EmbeddingProvider(named: "bm25")
        }
        guard let provider else {
            guard let dimension else { throw ApusError.invalid("dimension", "it is missing") }
            return (dimension, nil)
        }
        return (try await vectors.dimension(of: provider, wanted: dimension, deadline: deadline), provider)
    }

    /// `metric` is what the server reads, `similarity_metric` what its client sends.
    private static func metric(_ root: JSONElement) throws(ApusError) -> Metric {
        var found: Metric?
        for field in ["metric", "similarity_metric"] {
            guard let element = root.first(field) else { continue }
            let metric: Metric
            switch try element.expectString().lowercased() {
            case "cosine": metric = .cosine
            case "dot", "dot_product", "dotproduct", "inner_product": metric = .dot
            case "euclidean", "euclid", "l2": metric = .euclidean
            case "manhattan", "l1": metric = .manhattan
            default: throw .invalid(field, "it is none of cosine, dot, euclidean and manhattan")
            }
            guard found == nil || found == metric else { throw .invalid(field, "metric says something else") }
            found = metric
        }
        return found ?? .cosine
    }

    private static func sharding(_ element: JSONElement) throws(ApusError) -> Sharding {
        guard element.kind == .object else { throw .invalid(element.path, "it is not an object") }
        var sharding = Sharding()
        if let count = element.first("shard_count") { sharding.shards = try count.expectCount(Sharding.shardCounts) }
        if let count = element.first("virtual_nodes_per_shard") {
            sharding.virtualNodes = try count.expectCount(Sharding.virtualNodeCounts)
        }
        if let threshold = element.first("rebalance_threshold") {
            sharding.rebalanceThreshold = try threshold.expectNumber()
            let range = Sharding.rebalanceThresholds
            guard range.contains(sharding.rebalanceThreshold) else {
                throw .invalid(threshold.path, "it is not between \(range.lowerBound) and \(range.upperBound)")
            }
        }
        return sharding
    }

    /// A collection with the keys that the client's `CollectionInfo` knows, and only those: it refuses others. `isDetailed` (asked for with
    /// `?detail=true`) adds what it does not know.
    static func write(_ collection: CollectionDescription, to writer: inout JSONWriter, isDetailed: Bool = false) {
        let configuration = collection.configuration
        writer.object {
            $0.member("name", collection.name.rawValue)
            $0.member("dimension", configuration.dimension)
            $0.member("metric", configuration.metric.rawValue)
            $0.member("similarity_metric", configuration.metric.rawValue)
            $0.member("vector_count", collection.points)
            $0.member("document_count", collection.points)
            $0.member("created_at", collection.createdAt.description)
            $0.member("updated_at", (collection.updatedAt ?? collection.createdAt).description)
            $0.member("status", collection.isComplete ? "ready" : "loading")
            if let embedding = configuration.embedding { $0.member("embedding_provider", embedding.name) }
            if !collection.isComplete {
                let missing = collection.shards.filter { !$0.isLoaded }.count
                $0.member(
                    "error_message", "\(missing) of \(collection.shards.count) shards are not loaded yet; vector_count counts the others")
            }
            guard isDetailed else { return }
            if let description = configuration.description { $0.member("description", description) }
            if let embedding = configuration.embedding { $0.member("embedding", embedding.json) }
            $0.member("memory_bytes", collection.memory.bytes)
            $0.member("replication_factor", collection.replicas)
            $0.key("sharding")
            $0.object {
                $0.member("shard_count", configuration.sharding.shards)
                $0.member("virtual_nodes_per_shard", configuration.sharding.virtualNodes)
                $0.member("rebalance_threshold", configuration.sharding.rebalanceThreshold)
            }
            $0.key("shards")
            $0.array {
                for shard in collection.shards {
                    $0.object {
                        $0.member("shard_id", shard.id.value)
                        $0.member("number", shard.number)
                        $0.member("vector_count", shard.points)
                        $0.member("memory_bytes", shard.memory.bytes)
                        $0.member("applied_sequence", shard.applied)
                        $0.member("is_loaded", shard.isLoaded)
                    }
                }
            }
        }
    }
}
