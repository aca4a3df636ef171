internal import ApusCatalog
internal import ApusCluster
internal import ApusHTTP
internal import ApusTypes

/// API keys, for administrators only. A secret is shown once, in the reply that makes the key.
extension ConsoleFace {
    func mountKeys(on router: inout Router) {
        router.on(.get, "/api/keys") { request in
            try request.require(.administrator)
            let keys = try await access.list(deadline: request.deadline)
            var writer = JSONWriter()
            writer.object {
                $0.key("keys")
                $0.array { for key in keys { $0.object { Self.write(key, to: &$0) } } }
            }
            return .json(writer.bytes)
        }
        router.on(.post, "/api/keys") { request in
            try request.require(.administrator)
            let body = try JSONValue(parsing: await request.body.collect(limit: options.maxBody))
            guard let name = body["name"]?.asString else {
                throw ApusError(.requestInvalid, "a key needs a 'name'", context: ["field": "name"])
            }
            let role = body["role"]?.asString ?? APIKeyRole.writer.rawValue
            guard let role = APIKeyRole(rawValue: role) else {
                throw ApusError(
                    .requestInvalid, "there is no such role",
                    hint: "roles: \(APIKeyRole.allCases.map(\.rawValue).joined(separator: ", "))", context: ["field": "role"])
            }
            let (key, secret) = try await access.create(
                name: name, role: role, scope: try Self.scope(body["collections"]), deadline: request.deadline)
            var writer = JSONWriter()
            writer.object {
                Self.write(key, to: &$0)
                $0.member("secret", secret.reveal())
            }
            return .json(writer.bytes, status: 201)
        }
        router.on(.delete, "/api/keys/{id}") { request in
            try request.require(.administrator)
            let id: String = try request.parameter("id")
            guard try await access.revoke(id: id, deadline: request.deadline) else {
                throw ApusError(.keyUnknown, "there is no key \(id) in force", hint: "apus key list")
            }
            return .json(JSONValue.object(["id": .string(id), "revoked": true]).serialized())
        }
    }

    /// Null, like nothing said, is all collections.
    private static func scope(_ value: JSONValue?) throws -> CollectionScope {
        guard let value, value != .null else { return .everything }
        guard let elements = value.asArray, case let names = elements.compactMap(\.asString), names.count == elements.count else {
            throw ApusError(.requestInvalid, "'collections' is not an array of names", context: ["field": "collections"])
        }
        return try CollectionScope(names)
    }

    private static func write(_ key: APIKey, to writer: inout JSONWriter) {
        writer.member("id", key.id)
        writer.member("name", key.name)
        writer.member("role", key.role.rawValue)
        writer.member("collections", key.scope.patterns.map { .array($0.map(JSONValue.string)) } ?? .null)
        writer.member("created_at", key.createdAt.description)
        writer.member("revoked_at", key.revokedAt.map { .string($0.description) } ?? .null)
    }
}
