internal import ApusThunder
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// Many points at once. Each item has a result of its own.
extension RPCCommand {
    static let batches: [String: RPCCommand] = [
        "vectors.batch_insert": RPCCommand(.writer, over: .collections) { call, arguments in
            let collection = try await call.collection(arguments)
            var batch = PointBatch<Point>()
            for item in try arguments.required(1, "items").expectElements(atMost: call.face.options.maxItems) {
                let named = item.first("id", "client_id")
                batch.add(named: named != nil, id: try? named?.expectPointID()) { () throws(ApusError) in
                    let id = try item.expectMap().first("id", "client_id")?.expectPointID() ?? .random()
                    let vector = try item.required("data", "vector", "embedding").vector(dimension: collection.configuration.dimension)
                    return (id, Point(id: id, vector: vector, payload: try item.first("payload", "metadata")?.expectPayload()))
                }
            }
            return try await call.insert(&batch, into: collection.name)
        },
        "vectors.batch_insert_texts": RPCCommand(.writer, over: .collections) { call, arguments in
            var batch = PointBatch<Point>()
            for item in try arguments.required(1, "items").expectElements(atMost: call.face.options.maxItems) {
                let named = item.first("id", "client_id")
                batch.addText(named: named != nil, id: try? named?.expectPointID()) { () throws(ApusError) in
                    (
                        try item.expectMap().first("id", "client_id")?.expectPointID() ?? .random(),
                        try item.required("text", "content").expectText(), try item.first("payload", "metadata")?.expectPayload()
                    )
                }
            }
            let name = try await call.collectionForTexts(arguments).name
            try await call.embed(&batch, for: name)
            return try await call.insert(&batch, into: name)
        },
        "vectors.batch_update": RPCCommand(.writer, over: .collections) { call, arguments in
            let collection = try await call.collection(arguments)
            var batch = PointBatch<PointUpdate>()
            for item in try arguments.required(1, "updates").expectElements(atMost: call.face.options.maxItems) {
                batch.add(named: true, id: try? item.first("id")?.expectPointID()) { () throws(ApusError) in
                    let update = try PointUpdate(
                        id: item.expectMap().required("id"), vector: item.first("data", "vector", "embedding"),
                        payload: item.first("payload", "metadata"), dimension: collection.configuration.dimension)
                    return (update.id, update)
                }
            }
            if !batch.accepted.isEmpty {
                batch.merge(
                    try await call.face.vectors.update(batch.accepted, in: collection.name, mode: .eachItem, deadline: call.deadline))
            }
            return batch.thunder("updated", batch.count - batch.failures)
        },
        "vectors.batch_delete": RPCCommand(.writer, over: .collections) { call, arguments in
            let collection = try await call.collection(arguments)
            var batch = PointBatch<PointID>()
            for item in try arguments.required(1, "ids").expectElements(atMost: call.face.options.maxItems) {
                batch.add(named: true, id: nil) { () throws(ApusError) in
                    let id = try item.expectPointID()
                    return (id, id)
                }
            }
            var deleted = 0
            if !batch.accepted.isEmpty {
                let outcome = try await call.face.vectors.delete(batch.accepted, from: collection.name, deadline: call.deadline)
                batch.merge(outcome)
                deleted = outcome.affected  // an id that was named twice was deleted once
            }
            return batch.thunder("deleted", deleted)
        },
        "vectors.move": RPCCommand(.writer, over: .collections) { call, arguments in try await call.transfer(arguments, isMove: true) },
        "vectors.copy": RPCCommand(.writer, over: .collections) { call, arguments in try await call.transfer(arguments, isMove: false) },
        "vectors.delete_by_filter": RPCCommand(.writer, over: .collections) { call, arguments in
            let collection = try await call.collection(arguments)
            let filter = try VectorizerFace.narrowing(arguments.required(1, "filter").json())
            let outcome = try await call.face.vectors.delete(matching: filter, from: collection.name, deadline: call.deadline)
            return .map(["scanned": .int(collection.points), "matched": .int(outcome.affected), "deleted": .int(outcome.affected)])
        },
        "vectors.bulk_update_metadata": RPCCommand(.writer, over: .collections) { call, arguments in
            let collection = try await call.collection(arguments)
            let filter = try VectorizerFace.narrowing(arguments.required(1, "filter").json())
            let changes = try VectorizerFace.changes(arguments.required(2, "patch").json())
            let outcome = try await call.face.vectors.update(
                matching: filter, with: changes, in: collection.name, deadline: call.deadline)
            return .map(["scanned": .int(collection.points), "matched": .int(outcome.affected), "updated": .int(outcome.affected)])
        },
    ]
}

extension RPCCall {
    fileprivate func insert(_ batch: inout PointBatch<Point>, into name: CollectionName) async throws -> ThunderValue {
        if !batch.accepted.isEmpty {
            let accepted = batch.accepted
            batch.merge(
                try await face.metrics.measureInsert(into: name, face.clock) {
                    try await face.vectors.upsert(accepted, into: name, mode: .eachItem, deadline: deadline)
                })
        }
        return batch.thunder("inserted", batch.count - batch.failures)
    }

    fileprivate func transfer(_ arguments: RPCArguments, isMove: Bool) async throws -> ThunderValue {
        let source = try await face.collection(arguments.required(0, "src").expectString(), deadline: deadline).name
        let destination = try await face.collection(arguments.required(1, "dst").expectString(), deadline: deadline).name
        let ids = try arguments.required(2, "ids").expectPointIDs(atMost: face.options.maxItems)
        let errors = try await face.transfer(ids, from: source, to: destination, isMove: isMove, deadline: deadline)
        return .map([
            "src": .string(source.rawValue), "dst": .string(destination.rawValue),
            isMove ? "moved" : "copied": .int(errors.count { $0 == nil }), "failed": .int(errors.count { $0 != nil }),
            "results": results(ids, errors),
        ])
    }
}

extension PointBatch {
    fileprivate func thunder(_ verb: String, _ done: Int) -> ThunderValue {
        .map([verb: .int(done), "failed": .int(failures), "results": results(ids, errors)])
    }
}

/// `[{index, id, status, error}]`.
private func results(_ ids: [PointID?], _ errors: [ApusError?]) -> ThunderValue {
    .array(
        ids.indices.map { index in
            let error = errors[index].map { error in ids[index].map { VectorizerFace.unknown($0, error) } ?? error }
            return .map([
                "index": .int(index), "id": ids[index].map { .string($0.description) } ?? .null,
                "status": .string(error == nil ? "ok" : "error"), "error": error.map { .string($0.summary) } ?? .null,
            ])
        })
}
