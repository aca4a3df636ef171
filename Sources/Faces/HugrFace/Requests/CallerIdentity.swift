internal import ApusHTTP
internal import ApusTypes
internal import Synchronization

/// The identities of those who asked lately as themselves: a key is the same with each request.
final class CallerIdentities: Sendable {
    private let known = Mutex<[Principal: CallerIdentity]>([:])

    func identity(of request: Request) throws -> CallerIdentity {
        guard let principal = request.principal, request.headers["x-hugr-impersonated-role"] == nil else {
            return try CallerIdentity(of: request)
        }
        if let identity = known.withLock({ $0[principal] }) { return identity }
        let identity = try CallerIdentity(of: request)
        known.withLock { known in
            if known.count >= 1000 { known.removeAll() }
            known[principal] = identity
        }
        return identity
    }
}

/// Who asks, in the words that placeholders of schemas know, and what they may do.
struct CallerIdentity: Sendable {
    /// `auth.user_id` and the like.
    let values: JSONObject
    let mayMutate: Bool

    /// An administrator may ask as somebody else, who then may do no more than that role: `admin`, or `readonly`.
    init(of request: Request) throws {
        try request.require(.reader)
        guard let principal = request.principal else { throw ApusError(.unauthenticated, "a key is needed") }
        let isAnonymous = principal.id == "anonymous"
        var role = principal.role == .administrator ? "admin" : principal.role == .writer ? "public" : "readonly"
        var user = (id: principal.id, name: principal.id)
        var kind = isAnonymous ? "anonymous" : "apiKey"
        var isWriter = principal.role >= .writer
        var original: JSONObject = [:]
        if let asked = request.headers["x-hugr-impersonated-role"] {
            guard principal.role == .administrator else {
                throw ApusError(.forbidden, "only an administrator may ask in another role")
            }
            guard ["admin", "readonly"].contains(asked) else {
                throw ApusError(.forbidden, "there is no role \"\(asked)\"", hint: "admin, or readonly")
            }
            original = [
                "auth.impersonated_by_role": .string(role), "auth.impersonated_by_user_id": .string(user.id),
                "auth.impersonated_by_user_name": .string(user.name),
            ]
            user.id = request.headers["x-hugr-impersonated-user-id"] ?? user.id
            user.name = request.headers["x-hugr-impersonated-user-name"] ?? user.id
            role = asked
            kind = "impersonation"
            isWriter = asked == "admin"
        }
        var values: JSONObject = [
            "auth.user_id": .string(user.id), "auth.user_name": .string(user.name), "auth.role": .string(role),
            "auth.auth_type": .string(kind), "auth.provider": .string(isAnonymous ? "anonymous" : "x-hugr-api-key"),
        ]
        if let number = Int64(user.id) { values["auth.user_id_int"] = .integer(number) }
        for (name, value) in original { values[name] = value }
        self.values = values
        mayMutate = isWriter
    }
}
