internal import ApusEmbedding
internal import ApusThunder
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// One point, and lists of them.
extension RPCCommand {
    static let points: [String: RPCCommand] = [
        "vectors.insert": RPCCommand(.writer, over: .collections) { call, arguments in
            let collection = try await call.collection(arguments)
            let id = try arguments.optional(1, "id")?.expectPointID() ?? .random()
            let vector = try arguments.required(2, "data").vector(dimension: collection.configuration.dimension)
            let payload = try arguments.optional(3, "payload")?.expectPayload()
            try await call.insert([Point(id: id, vector: vector, payload: payload)], into: collection.name)
            return .map(["id": .string(id.description), "success": .bool(true)])
        },
        "vectors.insert_text": RPCCommand(.writer, over: .collections) { call, arguments in
            // Read before the collection is made that it may need.
            var batch = PointBatch<Point>()
            batch.addText(named: true, id: nil) { () throws(ApusError) in
                (
                    try arguments.optional(1, "id")?.expectPointID() ?? .random(), try arguments.required(2, "text").expectText(),
                    try arguments.optional(3, "payload")?.expectPayload()
                )
            }
            if let error = batch.errors[0] { throw error }
            let name = try await call.collectionForTexts(arguments).name
            try await call.embed(&batch, for: name)
            try await call.insert(batch.accepted, into: name)
            return .map(["id": .string(batch.accepted[0].id.description), "success": .bool(true)])
        },
        "vectors.update": RPCCommand(.writer, over: .collections) { call, arguments in
            let collection = try await call.collection(arguments)
            let update = try PointUpdate(
                id: arguments.required(1, "id"), vector: arguments.optional(2, "data"), payload: arguments.optional(3, "payload"),
                dimension: collection.configuration.dimension)
            let outcome = try await call.face.vectors.update([update], in: collection.name, mode: .eachItem, deadline: call.deadline)
            if let error = outcome.error(0) { throw VectorizerFace.unknown(update.id, error) }
            return .map(["id": .string(update.id.description), "success": .bool(true)])
        },
        "vectors.get": RPCCommand(.reader, over: .collections) { call, arguments in
            let name = try collectionName(arguments.required(0, "collection").expectString())
            let id = try arguments.required(1, "id").expectPointID()
            let points = try await call.face.naming(name) {
                try await call.face.vectors.points([id], in: name, deadline: call.deadline)
            }
            guard let point = points.first else { throw VectorizerFace.unknown(id, ApusError(.pointUnknown, "")) }
            return point.thunder
        },
        "vectors.delete": RPCCommand(.writer, over: .collections) { call, arguments in
            let name = try collectionName(arguments.required(0, "collection").expectString())
            let id = try arguments.required(1, "id").expectPointID()
            let outcome = try await call.face.naming(name) {
                try await call.face.vectors.delete([id], from: name, deadline: call.deadline)
            }
            if let error = outcome.error(0) { throw VectorizerFace.unknown(id, error) }
            return .map(["success": .bool(true)])
        },
        "vectors.list": RPCCommand(.reader, over: .collections) { call, arguments in
            let name = try collectionName(arguments.required(0, "collection").expectString())
            let options = call.face.options
            let page = try VectorizerFace.clamp(
                arguments.optional(1, "page")?.expectInt() ?? 0, to: options.offsetLimit / max(1, options.listLimit), "page")
            let limit = try VectorizerFace.clamp(arguments.optional(2, "limit")?.expectInt() ?? 20, to: options.listLimit, "limit")
            let (found, total) = try await call.face.naming(name) {
                let total = try await call.face.vectors.count(name, deadline: call.deadline)
                let found = try await call.face.vectors.scroll(
                    name, offset: page * limit, limit: limit, with: [.vector, .payload], deadline: call.deadline)
                return (found, total)
            }
            return .map([
                "items": .array(found.points.map(\.thunder)), "total": .int(total), "page": .int(page), "limit": .int(limit),
            ])
        },
        "vectors.embed": RPCCommand(.reader, over: .collections) { call, arguments in
            let text = try arguments.required(0, "text").expectText()
            let provider = try EmbeddingProvider(named: arguments.optional(1, "model")?.expectString() ?? "bm25", field: "model")
            let dimension = try await call.face.vectors.dimension(of: provider, wanted: nil, deadline: call.deadline)
            let vectors = try await call.face.vectors.embed([text], with: provider, dimension: dimension, deadline: call.deadline)
            return .map([
                "embedding": .array(vectors[0].map { .float(Double($0)) }), "model": .string(provider.name),
                "dimension": .int(vectors[0].count),
            ])
        },
    ]
}

extension RPCCall {
    /// Gives the points that came as texts their vectors.
    func embed(_ batch: inout PointBatch<Point>, for name: CollectionName) async throws {
        try await batch.embed { try await face.vectors.embed($0, for: name, deadline: deadline) }
    }

    /// Writes points, all or none.
    func insert(_ points: [Point], into name: CollectionName) async throws {
        _ = try await face.naming(name) {
            try await face.metrics.measureInsert(into: name, face.clock) {
                try await face.vectors.upsert(points, into: name, deadline: deadline)
            }
        }
    }
}

extension PointID {
    /// For a point that its client did not name.
    static func random() -> PointID { .uuid(high: .random(in: .min ... .max), low: .random(in: .min ... .max)) }
}

extension PointUpdate {
    /// An empty vector counts as none, because the client's call has a place for one in any case.
    init(id: RPCField, vector: RPCField?, payload: RPCField?, dimension: Int) throws(ApusError) {
        let vector = vector?.value.asArray?.isEmpty == true ? nil : vector
        guard vector != nil || payload != nil else { throw .invalid("payload", "neither a payload nor a vector is given") }
        self.init(
            id: try id.expectPointID(),
            vectors: try vector.map { field throws(ApusError) in PointVectors(try field.vector(dimension: dimension)) },
            payload: try payload.map { field throws(ApusError) in .replace(try field.expectPayload()) })
    }
}

extension Point {
    /// `{id, data, payload: JSON text or null, document_id}`.
    var thunder: ThunderValue {
        .map([
            "id": .string(id.description), "data": .array(vector.map { .float(Double($0)) }), "payload": payloadText, "document_id": .null,
        ])
    }

    var payloadText: ThunderValue { payload.map { .string(String(decoding: $0, as: UTF8.self)) } ?? .null }
}
