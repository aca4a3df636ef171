internal import ApusCatalog
internal import ApusCluster
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectors

/// What changes about collections in use, and deletions that are taken back.
extension ConsoleFace {
    /// `{"replication_factor": 2}`; `?dry_run=true` says what would be loaded and dropped.
    func change(_ request: Request) async throws -> Response {
        try request.require(.administrator)
        let name = CollectionName(try request.parameter("name"))
        let body = try JSONValue(parsing: await request.body.collect(limit: options.maxBody))
        guard let members = body.asObject, members.count == 1, let value = body["replication_factor"] else {
            throw ApusError.field("replication_factor", "it is all that can be changed here, and it is missing or not alone")
        }
        let range = CollectionConfiguration.replicaCounts
        guard let wanted = value.asInteger.flatMap({ Int(exactly: $0) }), range.contains(wanted) else {
            throw ApusError.field("replication_factor", "it is no whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        let isTrial = try Self.isTrial(request)
        let collection = try await vectors.collection(name, deadline: request.deadline)
        let plan = try await cluster.rebalancePlan(replicas: wanted, of: collection.id, deadline: request.deadline)
        if !isTrial { _ = try await vectors.setReplicas(wanted, of: name, by: Self.person(request), deadline: request.deadline) }
        return .json(
            JSONValue.object([
                "collection": .string(collection.name.rawValue), "is_dry_run": .bool(isTrial),
                "replication_factor_before": .integer(Int64(collection.replicas)), "replication_factor": .integer(Int64(wanted)),
                "replicas_to_load": .integer(Int64(plan.underWay.count + plan.planned.count)),
                "replicas_to_drop": .integer(Int64(plan.surplus)), "replicas_missing": .integer(Int64(plan.missing)),
            ]).serialized())
    }

    func mountDeleted(on router: inout Router) {
        router.on(.get, "/api/deleted-collections") { request in
            try request.require(.reader, over: .collections)
            let deleted = try await vectors.deletedCollections(deadline: request.deadline)
            return .json(
                JSONValue.object([
                    "collections": .array(
                        deleted.map { collection in
                            [
                                "id": .integer(collection.id.value), "name": .string(collection.name.rawValue),
                                "aliases": .array(collection.aliases.map { .string($0.rawValue) }),
                                "shards": .integer(Int64(collection.shards)), "created_at": .string(collection.createdAt.description),
                                "deleted_at": .string(collection.deletedAt.description),
                            ]
                        })
                ]).serialized())
        }
        router.on(.post, "/api/deleted-collections/{id}/undelete") { request in
            try request.require(.writer)
            let name = try await vectors.undeleteCollection(
                CollectionID(try request.parameter("id")), as: request.query["name"].map { CollectionName($0) }, by: Self.person(request),
                deadline: request.deadline)
            return .json(JSONValue.object(["collection": .string(name.rawValue)]).serialized())
        }
        router.on(.delete, "/api/deleted-collections/{id}") { request in
            try request.require(.writer)
            let id: Int64 = try request.parameter("id")
            try await vectors.purgeCollection(CollectionID(id), deadline: request.deadline)
            return .json(JSONValue.object(["purged": .integer(id)]).serialized())
        }
    }
}
