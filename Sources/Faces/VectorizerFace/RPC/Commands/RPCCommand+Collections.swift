internal import ApusEmbedding
internal import ApusThunder
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

extension RPCCommand {
    static let collections: [String: RPCCommand] = [
        "collections.list": RPCCommand(.reader, over: .collections) { call, _ in
            .array(try call.face.vectors.collections().map { .string($0.name.rawValue) })
        },
        "collections.list_empty": RPCCommand(.reader, over: .collections) { call, _ in
            .array(try await call.emptyCollections().map { .string($0.rawValue) })
        },
        "collections.get_info": RPCCommand(.reader, over: .collections) { call, arguments in
            let name = try arguments.required(0, "collection").expectString()
            let collection = try await call.face.wholeCollection(name, deadline: call.deadline)
            let configuration = collection.configuration
            // A count that leaves shards out would look like the whole.
            guard collection.isComplete else {
                throw ApusError(.nodeUnready, "not all shards of '\(collection.name)' are loaded yet")
            }
            return .map([
                "name": .string(collection.name.rawValue), "metric": .string(configuration.metric.rawValue),
                "dimension": .int(configuration.dimension), "vector_count": .int(collection.points),
                "document_count": .int(collection.points), "created_at": .string(collection.createdAt.description),
                "updated_at": .string((collection.updatedAt ?? collection.createdAt).description),
                "shard_count": .int(configuration.sharding.shards),
                "embedding_provider": configuration.embedding.map { .string($0.name) } ?? .null,
            ])
        },
        "collections.create": RPCCommand(.writer, over: .collections) { call, arguments in
            let name = try collectionName(arguments.required(0, "name").expectString())
            let options = try arguments.required(1, "config").expectMap().json()
            let created = try await call.face.createCollection(name, options, deadline: call.deadline)
            return .map([
                "name": .string(created.name.rawValue), "dimension": .int(created.configuration.dimension),
                "metric": .string(created.configuration.metric.rawValue), "success": .bool(true),
            ])
        },
        "collections.delete": RPCCommand(.writer, over: .collections) { call, arguments in
            let name = try collectionName(arguments.required(0, "name").expectString())
            try await call.face.naming(name) { try await call.face.vectors.deleteCollection(name, deadline: call.deadline) }
            return .map(["success": .bool(true)])
        },
        // Every write was durable before it was acknowledged: there is nothing left to save.
        "collections.force_save": RPCCommand(.writer, over: .collections) { call, arguments in
            _ = try await call.collection(arguments)
            return .map(["success": .bool(true), "message": .string("every acknowledged write is saved already")])
        },
        "collections.cleanup_empty": RPCCommand(.administrator) { call, arguments in
            let options = arguments.optional(0, "config")
            let isTrial = try options?.value.asBool ?? options?.first("dry_run")?.expectBool() ?? false
            var names = try await call.emptyCollections()
            if !isTrial {
                var removed: [CollectionName] = []
                for name in names {
                    do {
                        if try await call.face.vectors.deleteCollectionIfEmpty(name, deadline: call.deadline) { removed.append(name) }
                    } catch let error as ApusError where error.code == .collectionUnknown { continue }  // somebody else was faster
                }
                names = removed
            }
            return .map([
                "removed": .int(names.count), "dry_run": .bool(isTrial), "collections": .array(names.map { .string($0.rawValue) }),
            ])
        },
    ]
}

extension RPCCall {
    /// The collection that the first argument names.
    func collection(_ arguments: RPCArguments) async throws -> CollectionDescription {
        try await face.collection(arguments.required(0, "collection").expectString(), deadline: deadline)
    }

    /// One with shards that are not loaded is not known to be empty.
    func emptyCollections() async throws -> [CollectionName] {
        try await face.vectors.wholeCollections(deadline: deadline).filter { $0.isComplete && $0.points == 0 }.map(\.name)
    }
}
