internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// One point, and lists of them.
extension VectorizerFace {
    func mountPoints(on router: inout Router) {
        route(&router, .get, "/collections/{name}/vectors", needs: .reader, over: .collections, list)
        route(&router, .get, "/collections/{name}/vectors/{id}", needs: .reader, over: .collections) { request in
            let name = try collectionName(request.parameter("name"))
            let point = try await point(named: request.parameter("id"), in: name, request)
            var writer = JSONWriter(reserving: 64 + point.vector.count * 12)
            Self.write(point, to: &writer)
            return .json(writer.bytes)
        }
        route(&router, .delete, "/collections/{name}/vectors/{id}", needs: .writer, over: .collections) { request in
            let name = try collectionName(request.parameter("name"))
            let id = try Self.pointID(request.parameter("id"))
            let operation = try RequestDocument.operation(bytes: [], request: request)
            let outcome = try await naming(name) {
                try await vectors.delete([id], from: name, operation: operation, deadline: request.deadline)
            }
            if let error = outcome.error(0) { throw Self.unknown(id, error) }
            return .json(JSONValue.object(["message": "Vector deleted successfully", "id": .string(id.description)]).serialized())
        }
        route(&router, .post, "/insert", needs: .writer, over: .collections, insert)
        route(&router, .post, "/update", needs: .writer, over: .collections, update)
        route(&router, .post, "/collections/{name}/scroll", needs: .reader, over: .collections, scroll)
        route(&router, .post, "/collections/{name}/count", needs: .reader, over: .collections) { request in
            let root = try await body(of: request).root
            let name = try collectionName(request.parameter("name"))
            let filter = try root.first("filter").map(Self.filter) ?? .everything
            let count = try await naming(name) { try await vectors.count(name, matching: filter, deadline: request.deadline) }
            return .json(JSONValue.object(["count": .integer(Int64(count)), "collection": .string(name.rawValue)]).serialized())
        }
    }

    private func list(_ request: Request) async throws -> Response {
        let name = try collectionName(request.parameter("name"))
        let limit = try Self.clamp(request.query.value("limit") ?? 10, to: options.listLimit, "limit")
        let offset = try Self.clamp(request.query.value("offset") ?? 0, to: options.offsetLimit, "offset")
        let (page, total) = try await naming(name) {
            let total = try await vectors.count(name, deadline: request.deadline)
            return (
                try await vectors.scroll(name, offset: offset, limit: limit, with: [.vector, .payload], deadline: request.deadline), total
            )
        }
        var writer = JSONWriter()
        writer.object {
            $0.key("vectors")
            $0.array { for point in page.points { Self.write(point, to: &$0) } }
            $0.member("total", total)
            $0.member("limit", limit)
            $0.member("offset", offset)
        }
        return .json(writer.bytes)
    }

    /// Pages by id instead of offset: `{"limit", "offset": id, "filter", "with_payload", "with_vector"}`.
    private func scroll(_ request: Request) async throws -> Response {
        let root = try await body(of: request).root
        let name = try collectionName(request.parameter("name"))
        let limit = try root.first("limit")?.expectCount(1...options.maxItems) ?? 10
        let start = try root.first("offset")?.expectPointID()
        let filter = try root.first("filter").map(Self.filter) ?? .everything
        let projection = try Self.projection(root, payload: true, vector: false)
        let page = try await naming(name) {
            try await vectors.scroll(name, from: start, limit: limit, filter: filter, with: projection, deadline: request.deadline)
        }
        var writer = JSONWriter()
        writer.object {
            $0.key("points")
            $0.array { for point in page.points { Self.write(point, to: &$0, with: projection) } }
            $0.member("next_offset", page.next.map { JSONValue.string($0.description) } ?? .null)
        }
        return .json(writer.bytes)
    }

    /// `{collection, id?, vector | text, payload?}`.
    private func insert(_ request: Request) async throws -> Response {
        let document = try await body(of: request)
        let collection = try await collection(document.root.required("collection").expectString(), request)
        var batch = PointBatch<Point>()
        batch.addPoint(document.root, to: collection, document)
        if let error = batch.errors[0] { throw error }
        try await batch.embed { try await vectors.embed($0, for: collection.name, deadline: request.deadline) }
        let id = batch.accepted[0].id.description
        _ = try await metrics.measureInsert(into: collection.name, clock) {
            try await vectors.upsert(batch.accepted, into: collection.name, operation: document.operation, deadline: request.deadline)
        }
        var writer = JSONWriter()
        writer.object {
            $0.member("message", "Vector inserted successfully")
            $0.member("id", id)
            $0.member("vectors_created", 1)
            $0.member("vector_ids", .array([.string(id)]))
            $0.member("collection", collection.name.rawValue)
            $0.member("chunked", false)
        }
        return .json(writer.bytes)
    }

    /// `{collection, id, vector?, payload?}`: what is not sent stays.
    private func update(_ request: Request) async throws -> Response {
        let document = try await body(of: request)
        let collection = try await collection(document.root.required("collection").expectString(), request)
        let change = try Self.update(document.root, dimension: collection.configuration.dimension)
        let outcome = try await vectors.update(
            [change], in: collection.name, mode: .eachItem, operation: document.operation, deadline: request.deadline)
        if let error = outcome.error(0) { throw Self.unknown(change.id, error) }
        return .json(
            JSONValue.object([
                "message": "Vector updated successfully", "id": .string(change.id.description),
                "collection": .string(collection.name.rawValue),
            ]).serialized())
    }

    static func update(_ element: JSONElement, dimension: Int) throws(ApusError) -> PointUpdate {
        let id = try element.required("id", "vector_id").expectPointID()
        let vector = try element.first("vector", "embedding", "data")?.vector(dimension: dimension)
        let payload = try element.first("payload", "metadata")?.expectPayload()
        guard vector != nil || payload != nil else {
            if element.first("text") != nil { throw .invalid("text", "an update takes a vector; insert the text under the same id") }
            throw .invalid("payload", "neither a payload nor a vector is given")
        }
        return PointUpdate(id: id, vectors: vector.map { PointVectors($0) }, payload: payload.map { .replace($0) })
    }

    private func point(named text: String, in name: CollectionName, _ request: Request) async throws -> Point {
        let id = try Self.pointID(text)
        let points = try await naming(name) { try await vectors.points([id], in: name, deadline: request.deadline) }
        guard let point = points.first else { throw Self.unknown(id, ApusError(.pointUnknown, "")) }
        return point
    }

    static func pointID(_ text: String) throws(ApusError) -> PointID {
        do { return try PointID(text) } catch { throw .invalid("id", error.summary) }
    }

    /// An item's error in the words of this API.
    static func unknown(_ id: PointID, _ error: ApusError) -> ApusError {
        guard error.code == .pointUnknown else { return error }
        var error = error
        error.summary = "Vector not found: \(id)"
        return error
    }

    /// Too many are answered with the most that there may be, and the reply says how many that were.
    static func clamp(_ value: Int, to limit: Int, _ field: String) throws(ApusError) -> Int {
        guard value >= 0 else { throw .invalid(field, "it is negative") }
        return min(value, limit)
    }

    static func projection(_ root: JSONElement, payload: Bool, vector: Bool) throws(ApusError) -> Projection {
        var projection: Projection = []
        if try root.first("with_payload", "include_payload")?.expectBool() ?? payload { projection.insert(.payload) }
        if try root.first("with_vector", "with_vectors", "include_vector")?.expectBool() ?? vector { projection.insert(.vector) }
        return projection
    }

    static func write(_ point: Point, to writer: inout JSONWriter, with projection: Projection = [.vector, .payload]) {
        writer.object {
            $0.member("id", point.id.description)
            if projection.contains(.vector) {
                $0.key("vector")
                $0.floats(point.vector)
            }
            if projection.contains(.payload) {
                $0.key("payload")
                if let payload = point.payload { $0.raw(payload) } else { $0.null() }
            }
        }
    }
}
