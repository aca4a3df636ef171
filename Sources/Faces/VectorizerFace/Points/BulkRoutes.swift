internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// Writes of many points. Each item has a result of its own inside a 200.
extension VectorizerFace {
    func mountBulk(on router: inout Router) {
        for path in ["/insert_vectors", "/batch_insert", "/insert_texts"] {
            route(&router, .post, path, needs: .writer, over: .collections, insertMany)
        }
        route(&router, .post, "/collections/{name}/vectors", needs: .writer, over: .collections, insertMany)
        route(&router, .post, "/batch_update", needs: .writer, over: .collections, updateMany)
        route(&router, .post, "/batch_delete", needs: .writer, over: .collections, deleteMany)
        for path in ["/delete_by_filter", "/collections/{name}/vectors/delete_by_filter"] {
            route(&router, .post, path, needs: .writer, over: .collections, deleteMatching)
        }
        for path in ["/bulk_update_metadata", "/collections/{name}/vectors/bulk_update_metadata"] {
            route(&router, .post, path, needs: .writer, over: .collections, updateMatching)
        }
        route(&router, .post, "/collections/{name}/vectors/copy", needs: .writer, over: .collections) {
            try await transfer($0, isMove: false)
        }
        route(&router, .post, "/collections/{name}/vectors/move", needs: .writer, over: .collections) {
            try await transfer($0, isMove: true)
        }
    }

    /// The collection is named in the path or in the body.
    private func collectionName(of request: Request, _ root: JSONElement) throws -> String {
        try request.parameters["name"] ?? root.required("collection", "collection_name").expectString()
    }

    private func insertMany(_ request: Request) async throws -> Response {
        let document = try await body(of: request)
        let collection = try await collection(collectionName(of: request, document.root), request)
        let items = try document.root.required("vectors", "points", "texts").expectElements(atMost: options.maxItems)
        var batch = PointBatch<Point>()
        for item in items { batch.addPoint(item, to: collection, document) }
        // Nothing but texts: not a matter of single items.
        if let first = batch.errors.first ?? nil, batch.accepted.isEmpty, batch.errors.allSatisfy({ $0?.code == .embeddingUnavailable }) {
            throw first
        }
        if !batch.accepted.isEmpty {
            try await batch.embed { try await vectors.embed($0, for: collection.name, deadline: request.deadline) }
            let accepted = batch.accepted
            let outcome = try await metrics.measureInsert(into: collection.name, clock) {
                try await vectors.upsert(
                    accepted, into: collection.name, mode: .eachItem, operation: document.operation, deadline: request.deadline)
            }
            batch.merge(outcome)
        }
        var writer = JSONWriter(reserving: 256 + batch.count * 128)
        writer.object {
            $0.member("collection", collection.name.rawValue)
            $0.member("inserted", batch.count - batch.failures)
            $0.member("failed", batch.failures)
            $0.member("count", batch.count)
            $0.key("results")
            $0.array {
                for index in 0..<batch.count {
                    let id = batch.ids[index].map { JSONValue.string($0.description) } ?? .null
                    $0.object {
                        $0.member("index", index)
                        $0.member("id", id)
                        $0.member("client_id", batch.isNamed[index] ? id : .null)
                        Self.write(batch.errors[index], to: &$0)
                        $0.member("vector_ids", .array(batch.errors[index] == nil ? [id] : []))
                        $0.member("vectors_created", batch.errors[index] == nil ? 1 : 0)
                        $0.member("chunked", false)
                    }
                }
            }
        }
        return .json(writer.bytes)
    }

    private func updateMany(_ request: Request) async throws -> Response {
        let document = try await body(of: request)
        let collection = try await collection(collectionName(of: request, document.root), request)
        var batch = PointBatch<PointUpdate>()
        for item in try document.root.required("updates", "vectors").expectElements(atMost: options.maxItems) {
            batch.add(named: true, id: try? item.first("id")?.expectPointID()) { () throws(ApusError) in
                let update = try Self.update(item, dimension: collection.configuration.dimension)
                return (update.id, update)
            }
        }
        if !batch.accepted.isEmpty {
            batch.merge(
                try await vectors.update(
                    batch.accepted, in: collection.name, mode: .eachItem, operation: document.operation, deadline: request.deadline))
        }
        return Self.reply(collection.name, "updated", batch.count - batch.failures, batch.ids, batch.errors)
    }

    private func deleteMany(_ request: Request) async throws -> Response {
        let document = try await body(of: request)
        let collection = try await collection(collectionName(of: request, document.root), request)
        var batch = PointBatch<PointID>()
        for item in try document.root.required("ids").expectElements(atMost: options.maxItems) {
            batch.add(named: true, id: nil) { () throws(ApusError) in
                let id = try item.expectPointID()
                return (id, id)
            }
        }
        var deleted = 0
        if !batch.accepted.isEmpty {
            let outcome = try await vectors.delete(
                batch.accepted, from: collection.name, operation: document.operation, deadline: request.deadline)
            batch.merge(outcome)
            deleted = outcome.affected  // an id that was named twice was deleted once
        }
        return Self.reply(collection.name, "deleted", deleted, batch.ids, batch.errors)
    }

    /// `{filter}`; an empty filter is refused, because it would delete everything.
    private func deleteMatching(_ request: Request) async throws -> Response {
        let document = try await body(of: request)
        let collection = try await collection(collectionName(of: request, document.root), request)
        let filter = try Self.narrowingFilter(document.root)
        let outcome = try await vectors.delete(
            matching: filter, from: collection.name, operation: document.operation, deadline: request.deadline)
        return Self.counts(collection.name, ["scanned": collection.points, "matched": outcome.affected, "deleted": outcome.affected])
    }

    /// `{filter, patch}`: the patch's members are put into each matching payload; one that is null removes the member.
    /// All points or none.
    private func updateMatching(_ request: Request) async throws -> Response {
        let document = try await body(of: request)
        let collection = try await collection(collectionName(of: request, document.root), request)
        let filter = try Self.narrowingFilter(document.root)
        let changes = try Self.changes(document.root.required("patch", "metadata", "payload"))
        let outcome = try await vectors.update(
            matching: filter, with: changes, in: collection.name, operation: document.operation, deadline: request.deadline)
        return Self.counts(collection.name, ["scanned": collection.points, "matched": outcome.affected, "updated": outcome.affected])
    }

    static func changes(_ patch: JSONElement) throws(ApusError) -> [PayloadChange] {
        guard let members = patch.value.asObject, !members.isEmpty else { throw .invalid(patch.path, "it is not an object with members") }
        let removed = members.filter { $0.value.isNull }.map(\.key)
        let kept = JSONObject(members.filter { !$0.value.isNull }.map { ($0.key, $0.value) })
        return (kept.isEmpty ? [] : [.merge(JSONValue.object(kept).serialized())]) + (removed.isEmpty ? [] : [.remove(removed)])
    }

    private static func narrowingFilter(_ root: JSONElement) throws(ApusError) -> Filter { try narrowing(root.required("filter")) }

    /// A filter that asks for something.
    static func narrowing(_ element: JSONElement) throws(ApusError) -> Filter {
        let filter = try filter(element)
        guard !filter.isEverything else { throw .invalid("filter", "it asks nothing and would match every point") }
        return filter
    }

    /// `{destination, ids}`: copies points, or moves them: a move deletes at the source what has arrived at the destination.
    private func transfer(_ request: Request, isMove: Bool) async throws -> Response {
        let root = try await body(of: request).root
        let source = try await collection(request.parameter("name"), request)
        let destination = try await collection(root.required("destination", "dst", "target", "to").expectString(), request)
        var ids: [PointID] = []
        for element in try root.required("ids", "vector_ids").expectElements(atMost: options.maxItems) {
            ids.append(try element.expectPointID())
        }
        let errors = try await transfer(ids, from: source.name, to: destination.name, isMove: isMove, deadline: request.deadline)
        return Self.reply(
            source.name, isMove ? "moved" : "copied", errors.count { $0 == nil }, ids, errors,
            ["src": source.name.rawValue, "dst": destination.name.rawValue])
    }

    /// What came of each point; nil where it has arrived.
    func transfer(
        _ ids: [PointID], from source: CollectionName, to destination: CollectionName, isMove: Bool, deadline: Instant
    ) async throws -> [ApusError?] {
        guard source != destination else { throw ApusError.invalid("destination", "it is the source itself") }
        var failures: [PointID: ApusError] = [:]
        var arrived: Set<PointID> = []
        if isMove {
            (arrived, failures) = try await vectors.move(ids, from: source, to: destination, deadline: deadline)
        } else {
            let points = try await vectors.points(ids, in: source, deadline: deadline)
            if !points.isEmpty {
                let outcome = try await vectors.upsert(points, into: destination, mode: .eachItem, deadline: deadline)
                for (index, point) in points.enumerated() { failures[point.id] = outcome.error(index) }
            }
            arrived = Set(points.map(\.id)).subtracting(failures.keys)
        }
        return ids.map { id in arrived.contains(id) ? nil : failures[id] ?? ApusError(.pointUnknown, "Vector not found: \(id)") }
    }

    private static func counts(_ name: CollectionName, _ counts: KeyValuePairs<String, Int>) -> Response {
        var writer = JSONWriter()
        writer.object {
            $0.member("collection", name.rawValue)
            for (key, count) in counts { $0.member(key, count) }
        }
        return .json(writer.bytes)
    }

    private static func reply(
        _ name: CollectionName, _ verb: String, _ done: Int, _ ids: [PointID?], _ errors: [ApusError?],
        _ more: KeyValuePairs<String, String> = [:]
    ) -> Response {
        var writer = JSONWriter()
        writer.object {
            $0.member("collection", name.rawValue)
            for (key, value) in more { $0.member(key, value) }
            $0.member("count", ids.count)
            $0.member(verb, done)
            $0.member("failed", errors.count { $0 != nil })
            $0.key("results")
            $0.array {
                for index in ids.indices {
                    $0.object {
                        $0.member("index", index)
                        $0.member("id", ids[index].map { .string($0.description) } ?? .null)
                        write(ids[index].flatMap { id in errors[index].map { unknown(id, $0) } } ?? errors[index], to: &$0)
                    }
                }
            }
        }
        return .json(writer.bytes)
    }

    /// What came of one item.
    private static func write(_ error: ApusError?, to writer: inout JSONWriter) {
        writer.member("status", error == nil ? "ok" : "error")
        guard let error else { return }
        writer.member("error", error.summary)
        writer.member("code", error.code.rawValue)
        if let field = error.context["field"] { writer.member("field", field) }
    }
}
