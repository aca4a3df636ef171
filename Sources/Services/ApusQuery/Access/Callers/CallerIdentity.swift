public import ApusTypes

/// Who asks, as a credential proves it.
public struct CallerIdentity: Sendable, Hashable {
    public var role: String
    /// `apiKey`, `jwt`, `oidc`, `anonymous`, `impersonation`.
    public var kind: String
    public var provider: String
    public var userID: String
    public var userName: String
    /// What else the credential says. Scalars are values of placeholders.
    public var claims: JSONObject = [:]
    /// An administrator of the nodes themselves, whom no row of the catalog binds: whoever locked everybody else out needs one.
    public var isOperator = false
    /// A key of the nodes that is for reading alone, whatever its role may.
    public var isReadOnly = false

    public init(role: String, kind: String, provider: String, userID: String) {
        self.role = role
        self.kind = kind
        self.provider = provider
        self.userID = userID
        userName = userID
    }

    /// Whoever has a key of the nodes, or is the node's own user on its own machine.
    public init(of principal: Principal) {
        let role =
            switch principal.role {
            case .administrator: QueryCaller.administrators
            case .writer: "public"
            case .reader: "readonly"
            }
        self.init(role: role, kind: "apiKey", provider: principal.id == Principal.local.id ? "local" : "apus", userID: principal.id)
        isOperator = principal.role == .administrator
        isReadOnly = principal.role == .reader
    }

    /// Few differ in anything else.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(role)
        hasher.combine(userID)
    }

    public static func anonymous(as role: String) -> CallerIdentity {
        CallerIdentity(role: role, kind: "anonymous", provider: "anonymous", userID: "anonymous")
    }

    private static let impersonation = "impersonation"

    /// The same person with another's role, and perhaps another's name.
    func impersonating(role: String, userID: String?, userName: String?) -> CallerIdentity {
        var other = CallerIdentity(role: role, kind: Self.impersonation, provider: provider, userID: userID ?? self.userID)
        other.userName = userName ?? userID ?? self.userName
        other.claims = ["impersonated_by_role": .string(self.role), "impersonated_by_user_id": .string(self.userID)]
        other.claims["impersonated_by_user_name"] = .string(self.userName)
        other.isReadOnly = isReadOnly
        return other
    }

    /// What placeholders of schemas and rules stand for. A claim does not take the place of what the credential itself says.
    public var values: JSONObject {
        var values: JSONObject = [:]
        // Only who impersonates is somebody's impersonation.
        for (name, value) in claims where kind == Self.impersonation || !name.hasPrefix("impersonated_by_") {
            switch value {
            case .array, .object, .null: break
            default: values["auth." + name] = value
            }
        }
        values["auth.user_id"] = .string(userID)
        values["auth.user_name"] = .string(userName)
        values["auth.role"] = .string(role)
        values["auth.auth_type"] = .string(kind)
        values["auth.provider"] = .string(provider)
        values["auth.user_id_int"] = Int64(userID).map { .integer($0) }
        return values
    }
}
