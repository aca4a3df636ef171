internal import ApusCatalog
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectors

/// The models that texts are embedded with. They are the cluster's, so only administrators change them.
extension ConsoleFace {
    /// How long an upload may take, whatever a short request may.
    private static let uploadTime: Duration = .seconds(1800)

    func mountModels(on router: inout Router) {
        router.on(.get, "/api/models") { request in
            try request.require(.reader)
            let models = try await models.list(deadline: request.deadline)
            var writer = JSONWriter()
            writer.object {
                $0.key("models")
                $0.array { for model in models { Self.write(model, to: &$0) } }
            }
            return .json(writer.bytes)
        }
        // The body is the package, as it comes; nothing of it is kept in memory but its header.
        router.on(.put, "/api/models/{name}") { request in
            try request.require(.administrator)
            let name: String = try request.parameter("name")
            if let size = request.body.announcedSize, size > EmbeddingModels.largest {
                throw ApusError(.objectTooLarge, "the model has \(size); \(EmbeddingModels.largest) is the most")
            }
            let body = request.body
            let model = try await models.add(
                name, { try await body.next() }, deadline: max(request.deadline, clock.now.advanced(by: Self.uploadTime)))
            var writer = JSONWriter()
            Self.write(model, to: &writer)
            return .json(writer.bytes, status: 201)
        }
        router.on(.delete, "/api/models/{name}") { request in
            try request.require(.administrator)
            let name: String = try request.parameter("name")
            try await models.remove(name, deadline: request.deadline)
            return .json(JSONValue.object(["name": .string(name), "removed": true]).serialized())
        }
    }

    private var models: EmbeddingModels {
        get throws {
            guard let models = vectors.models else { throw ApusError(.storeUnavailable, "this node has no store, and so no models") }
            return models
        }
    }

    private static func write(_ model: ModelRow, to writer: inout JSONWriter) {
        writer.object {
            $0.member("name", model.name)
            $0.member("size_bytes", model.size.bytes)
            $0.member("created_at", model.createdAt.description)
            // What the service wrote about it: its dimension above all.
            if let facts = try? JSONValue(parsing: Array(model.description.utf8)).asObject {
                for (key, value) in facts { $0.member(key, value) }
            }
        }
    }
}
