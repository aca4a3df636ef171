internal import ApusCluster
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

extension QdrantFace {
    func mountCollections(on routes: inout Routes) {
        routes.on(.get, "/collections", needs: .reader) { _ in
            let names = try vectors.collections().map { JSONValue.object(["name": .string($0.name.rawValue)]) }
            return .result(["collections": .array(names)])
        }
        routes.on(.get, "/collections/{collection}/exists", needs: .reader) { request in
            do {
                _ = try await vectors.collection(try name(request), deadline: request.deadline)
                return .result(["exists": true])
            } catch let error as ApusError where error.code == .collectionUnknown {
                return .result(["exists": false])
            }
        }
        routes.on(.get, "/collections/{collection}", needs: .reader) { request in
            let name = try name(request)
            let collection = try await vectors.wholeCollection(name, deadline: request.deadline)
            let settings = CollectionSettings(try await vectors.settings(of: name, deadline: request.deadline))
            return .result(Self.info(collection, settings, try await payloadSchema(of: name, request)))
        }
        routes.on(.put, "/collections/{collection}", needs: .writer, create)
        routes.on(.patch, "/collections/{collection}", needs: .writer) { request in
            let name = try name(request)
            let root = try await body(of: request)
            let fields = try await vectors.collection(name, deadline: request.deadline).configuration.fields
            let replicas = try root.member("params")?.member("replication_factor")?.expectCount(atLeast: 1)
            try await vectors.configure(name, deadline: request.deadline) { text in
                var settings = CollectionSettings(text)
                try settings.update(root, fields)
                return settings.text
            }
            if let replicas {
                _ = try await vectors.setReplicas(
                    min(replicas, CollectionConfiguration.replicaCounts.upperBound), of: name, by: request.principal?.id ?? "somebody",
                    deadline: request.deadline)
            }
            return .result(true)
        }
        routes.on(.delete, "/collections/{collection}", needs: .writer) { request in
            do {
                try await vectors.deleteCollection(try name(request), deadline: request.deadline)
                return .result(true)
            } catch let error as ApusError where error.code == .collectionUnknown {
                return .result(false)
            }
        }
    }

    private func create(_ request: Request) async throws -> Answer {
        let name = try name(request)
        try CollectionReading.check(collection: name)
        let root = try await body(of: request)
        let settings = try CollectionSettings(creating: root)
        let configuration = try CollectionReading.configuration(root, options.sharding)
        try await cluster.requireActiveNode(deadline: request.deadline)
        do {
            let replicas = try root.member("replication_factor")?.expectCount(atLeast: 1)
            _ = try await vectors.createCollection(
                name, configuration, settings: settings.text,
                replicas: min(replicas ?? options.replicas, CollectionConfiguration.replicaCounts.upperBound),
                deadline: request.deadline)
        } catch var error as ApusError where error.code == .collectionExists {
            if error.context["alias"] != nil {
                throw ApusError.wrong("Can't create collection with name \(name). Alias with the same name already exists")
            }
            error.context["collection"] = name.rawValue
            throw error
        }
        return .result(true)
    }

    private static func info(_ collection: CollectionDescription, _ settings: CollectionSettings, _ schema: JSONObject) -> JSONValue {
        let configuration = collection.configuration
        var params = settings.told("params", CollectionSettings.params)
        params["replication_factor"] = .integer(Int64(collection.replicas))
        params["shard_number"] = .integer(Int64(configuration.sharding.shards))
        var dense = JSONObject()
        var sparse = JSONObject()
        for field in configuration.fields {
            let own = settings[field.isSparse ? "sparse_vectors" : "vectors"][field.name]?.asObject ?? JSONObject()
            if field.isSparse {
                sparse[field.name] = .object(JSONObject(field.hasIDF ? [("modifier", "idf")] : []).merged(with: own))
            } else {
                dense[field.name] = .object(Self.vector(field).merged(with: own))
            }
        }
        params["vectors"] = dense.count == 1 ? dense[""] ?? .object(dense) : .object(dense)
        if !sparse.isEmpty { params["sparse_vectors"] = .object(sparse) }
        var config = JSONObject([
            ("params", .object(params)), ("hnsw_config", .object(settings.told("hnsw_config", CollectionSettings.hnsw))),
            ("optimizer_config", .object(settings.told("optimizer_config", CollectionSettings.optimizers))),
            ("wal_config", .object(settings.told("wal_config", CollectionSettings.wal))),
            ("quantization_config", settings.object["quantization_config"] ?? .null),
        ])
        for name in ["strict_mode_config", "metadata"] { if let value = settings.object[name] { config[name] = value } }
        return [
            "status": collection.problem != nil ? "red" : collection.isComplete ? "green" : "yellow",
            "optimizer_status": collection.problem.map { ["error": .string($0.summary)] } ?? "ok",
            "indexed_vectors_count": .integer(Int64(collection.indexed)), "points_count": .integer(Int64(collection.points)),
            "segments_count": .integer(Int64(collection.shards.reduce(0) { $0 + $1.segments.count })), "config": .object(config),
            "payload_schema": .object(schema),
        ]
    }

    private static func vector(_ field: VectorField) -> JSONObject {
        let distance =
            switch field.metric {
            case .cosine: "Cosine"
            case .dot: "Dot"
            case .euclidean: "Euclid"
            case .manhattan: "Manhattan"
            }
        var object: JSONObject = ["size": .integer(Int64(field.dimension ?? 0)), "distance": .string(distance)]
        if case .multiple = field.kind { object["multivector_config"] = ["comparator": "max_sim"] }
        return object
    }
}
