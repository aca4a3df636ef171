internal import ApusCatalog
internal import ApusCluster
internal import ApusRuntime
internal import ApusThunder
internal import ApusTypes
internal import ApusVectors

/// The node, its keys and its cluster.
extension RPCCommand {
    static let administration: [String: RPCCommand] = [
        "admin.stats": RPCCommand(.reader, over: .collections) { call, _ in
            let (collections, points) = try await call.face.counts(deadline: call.deadline)
            return .map([
                "collections_count": .int(collections), "total_vectors": .int(points), "version": .string(call.face.options.version),
                "uptime_seconds": .int(call.face.uptime),
            ])
        },
        "admin.status": RPCCommand(.reader, over: .collections) { call, _ in
            let readiness = call.face.health.readiness()
            let counts = try? await call.face.counts(deadline: call.deadline)  // unready says why there are none
            return .map([
                "ready": .bool(readiness.isReady), "collections_count": counts.map { .int($0.collections) } ?? .null,
                "total_vectors": counts.map { .int($0.points) } ?? .null, "version": .string(call.face.options.version),
                "uptime_seconds": .int(call.face.uptime), "node": .string(call.face.cluster.identity.name.rawValue),
                "problems": .array(readiness.problems.map { .string("\($0.component): \($0.summary)") }),
            ])
        },
        "admin.indexing_progress": RPCCommand(.reader, over: .collections) { call, _ in
            let collections = try await call.face.vectors.wholeCollections(deadline: call.deadline)
            return .map([
                "total_collections": .int(collections.count), "indexed_collections": .int(collections.count { $0.isComplete }),
                "loading": .array(collections.filter { !$0.isComplete }.map { .string($0.name.rawValue) }),
            ])
        },
        "auth.me": RPCCommand(.reader, over: .collections) { call, _ in
            .map([
                "username": .string(call.principal.id), "authenticated": .bool(true), "role": .string("\(call.principal.role)"),
                "collections": call.principal.scope.thunder,
            ])
        },
        "auth.api_keys_create": RPCCommand(.administrator) { call, arguments in
            let options = try arguments.required(0, "request").expectMap()
            let role = try options.first("role")?.expectString() ?? APIKeyRole.reader.rawValue
            guard let role = APIKeyRole(rawValue: role == "admin" ? "administrator" : role) else {
                throw ApusError.invalid("role", "it is none of \(APIKeyRole.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            // A client that asks for less than a role gives must not get more without a word.
            if let field = options.first("permissions", "scopes", "expires_in", "expires_at") {
                throw ApusError.invalid(field.path, "keys have a role and collections, and no permissions, scopes or end of their own")
            }
            let patterns = try options.first("collections")?.expectElements(atMost: CollectionScope.mostPatterns).map {
                try $0.expectString()
            }
            let (key, secret) = try await call.access.create(
                name: options.required("name").expectString(), role: role, scope: patterns.map { try CollectionScope($0) } ?? .everything,
                deadline: call.deadline)
            return .map([
                "api_key": .string(secret.reveal()), "id": .string(key.id), "name": .string(key.name), "role": .string(key.role.rawValue),
                "collections": key.scope.thunder,
            ])
        },
        "auth.api_keys_list": RPCCommand(.administrator) { call, _ in
            .array(
                try await call.access.list(deadline: call.deadline).map { key in
                    .map([
                        "id": .string(key.id), "name": .string(key.name), "role": .string(key.role.rawValue),
                        "collections": key.scope.thunder, "created_at": .string(key.createdAt.description),
                        "revoked_at": key.revokedAt.map { .string($0.description) } ?? .null, "active": .bool(key.revokedAt == nil),
                    ])
                })
        },
        "auth.api_keys_revoke": RPCCommand(.administrator) { call, arguments in
            let id = try arguments.required(0, "id").expectString()
            guard try await call.access.revoke(id: id, deadline: call.deadline) else {
                throw ApusError(.keyUnknown, "there is no key '\(id)' in force")
            }
            return .map(["success": .bool(true)])
        },
        "replication.status": RPCCommand(.reader, over: .collections) { call, _ in
            .map([
                "enabled": .bool(false), "role": .string("standalone"), "replicas": .array([]),
                "message": .string("every write is in the catalog before it is acknowledged; nodes do not replicate to each other"),
            ])
        },
        "cluster.rebalance": RPCCommand(.administrator) { call, _ in
            try await call.face.rebalance(deadline: call.deadline).thunder
        },
        "cluster.rebalance_status": RPCCommand(.reader) { call, _ in
            try await call.face.rebalanceStatus(deadline: call.deadline).thunder
        },
    ]
}

extension VectorizerFace.RebalanceStatus {
    fileprivate var thunder: ThunderValue {
        .map([
            "success": .bool(true), "status": .string(status), "message": .string(message), "shards_to_move": .int(moves),
            "shards_moved": .int(0), "total_shards": .int(plan.shards),
        ])
    }
}

extension CollectionScope {
    /// Null for all.
    fileprivate var thunder: ThunderValue { patterns.map { .array($0.map(ThunderValue.string)) } ?? .null }
}
