internal import ApusEmbedding
internal import ApusQuery
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// The cluster's collections as the query service asks for them. What a role may see of them is judged there.
struct NodeCollections: PointCollections {
    let vectors: VectorService

    func names(deadline: Instant) async throws -> [String] { try vectors.collections().map(\.name.rawValue) }

    func facts(of collection: String, deadline: Instant) async throws -> CollectionFacts {
        let name = CollectionName(collection)
        let configuration = try await vectors.collection(name, deadline: deadline).configuration
        let indexes = try await vectors.payloadIndexes(of: name, deadline: deadline)
        return CollectionFacts(
            name: collection, description: configuration.description,
            fields: configuration.fields.compactMap { field in
                guard case .dense(let dimension, let metric) = field.kind else { return nil }
                return CollectionFacts.Field(name: field.name, dimension: dimension, metric: metric)
            },
            provider: configuration.embedding?.name, providerField: configuration.embedding.flatMap { _ in configuration.mainField?.name },
            indexes: indexes.compactMapValues { (try? JSONValue(parsing: Array($0.utf8)))?["type"]?.asString })
    }

    func search(
        _ collection: String, _ vector: [Float], field: String, limit: Int, filter: Filter, _ parts: PointParts, deadline: Instant
    ) async throws -> [FoundPoint] {
        let request = SearchRequest(.dense(vector), field: field, limit: limit, filter: filter, projection: Projection(parts))
        let result = try await vectors.search(request, in: CollectionName(collection), deadline: deadline)
        if let missing = result.missing.first {
            throw ApusError(
                .searchIncomplete,
                "\(result.missing.count) shard(s) of collection \"\(collection)\" did not answer: \(missing.error.summary)",
                hint: "ask again; apus status says which nodes are missing", retry: .after(.seconds(1)))
        }
        return result.hits.map { FoundPoint($0.point, score: $0.score) }
    }

    func count(_ collection: String, matching filter: Filter, deadline: Instant) async throws -> Int {
        try await vectors.count(CollectionName(collection), matching: filter, deadline: deadline)
    }

    func embed(_ text: String, for collection: String, deadline: Instant) async throws -> [Float] {
        try await vectors.embed([text], for: CollectionName(collection), deadline: deadline)[0]
    }

    func points(
        _ collection: String, matching filter: Filter, limit: Int, _ parts: PointParts, deadline: Instant
    ) async throws -> [FoundPoint] {
        let page = try await vectors.scroll(
            CollectionName(collection), limit: limit, filter: filter, with: Projection(parts), within: ReplyBudget(Self.mostBytes),
            deadline: deadline)
        return page.points.map { FoundPoint($0) }
    }

    func points(
        _ collection: String, by path: String, isDescending: Bool, matching filter: Filter, limit: Int, _ parts: PointParts,
        deadline: Instant
    ) async throws -> [FoundPoint] {
        let points = try await vectors.scroll(
            CollectionName(collection), by: PointOrder(path: PayloadPath(path), isDescending: isDescending), limit: limit, filter: filter,
            with: Projection(parts), within: ReplyBudget(Self.mostBytes), deadline: deadline)
        return points.map { FoundPoint($0.point) }
    }

    func points(_ collection: String, _ ids: [PointID], _ parts: PointParts, deadline: Instant) async throws -> [FoundPoint] {
        let points = try await vectors.points(
            ids, in: CollectionName(collection), with: Projection(parts), within: ReplyBudget(Self.mostBytes), deadline: deadline)
        return points.map { FoundPoint($0) }
    }

    /// Of the points of one statement.
    private static let mostBytes = ByteCount.mebibytes(64)
}

extension Projection {
    fileprivate init(_ parts: PointParts) {
        let vectors: Projection = parts.vectors ? [.vector] : []
        if let members = parts.members {
            self = members.isEmpty ? vectors : vectors.members(members)
        } else {
            self = vectors.union(.payload)
        }
    }
}

extension FoundPoint {
    fileprivate init(_ point: Point, score: Float? = nil) {
        var vectors: [String: [Float]] = [:]
        for entry in point.vectors.entries { if case .dense(let vector) = entry.value { vectors[entry.field] = vector } }
        self.init(id: point.id, score: score, payload: point.payload, vectors: vectors)
    }
}
