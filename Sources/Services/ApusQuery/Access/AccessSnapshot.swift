internal import ApusCatalog
public import ApusQueryPlan
public import ApusTypes

/// What a role may take. Nil: no limit of its own.
public struct RoleLimits: Sendable, Hashable {
    /// Requests that run at the same time on one node; further ones wait.
    public var inFlight: Int?
    /// Rows that one statement may tell.
    public var rows: Int?
    /// Of one request.
    public var time: Duration?
    /// Of one operation: its fields, each as often as the rows of the lists around it.
    public var cost: Int?

    public init(inFlight: Int? = nil, rows: Int? = nil, time: Duration? = nil, cost: Int? = nil) {
        self.inFlight = inFlight
        self.rows = rows
        self.time = time
        self.cost = cost
    }
}

/// A role as the catalog has it.
public struct RoleStanding: Sendable {
    public var isDisabled = false
    public var mayImpersonate = false
    public var permissions = RolePermissions(manages: false)
    public var limits = RoleLimits()
}

/// Roles, permissions and keys as one state of the catalog has them.
struct AccessSnapshot: Sendable {
    /// Another for each state that this node has read: what is planned under one is not looked up under another.
    var sequence: UInt64
    var version: Int64
    var roles: [String: RoleStanding]
    /// By their digests.
    var keys: [String: ManagedKey]

    init(sequence: UInt64, _ rows: [QueryTable: [JSONObject]], version: Int64, deniesByDefault: Bool) {
        self.sequence = sequence
        self.version = version
        let rules = Dictionary(grouping: rows[.permissions] ?? []) { $0["role"]?.asString ?? "" }
        roles = [:]
        for row in rows[.roles] ?? [] {
            guard let name = row["name"]?.asString else { continue }
            var role = RoleStanding()
            role.isDisabled = row["disabled"]?.asBool ?? true
            role.mayImpersonate = row["can_impersonate"]?.asBool ?? false
            // Nothing else could make rules for anybody.
            let isAdministrator = name == QueryCaller.administrators
            role.permissions = RolePermissions(
                (rules[name] ?? []).map(RolePermissions.Rule.init(row:)),
                deniesByDefault: !isAdministrator && (row["deny_by_default"]?.asBool ?? deniesByDefault), manages: isAdministrator)
            role.limits = RoleLimits(
                inFlight: row["max_in_flight"]?.asInteger.map { Int($0) },
                rows: row["max_rows"]?.asInteger.map { Int($0) },
                time: row["max_seconds"]?.asDouble.map { .seconds($0) },
                cost: row["max_cost"]?.asInteger.map { Int($0) })
            roles[name] = role
        }
        keys = [:]
        for row in rows[.keys] ?? [] { if let digest = row["digest"]?.asString { keys[digest] = ManagedKey(row) } }
    }
}

extension RolePermissions.Rule {
    fileprivate init(row: JSONObject) {
        self.init(
            type: row["type_name"]?.asString ?? "", field: row["field_name"]?.asString ?? "",
            // What is not understood is not allowed.
            isDisabled: row["disabled"]?.asBool ?? true, isHidden: row["hidden"]?.asBool ?? true, filter: row["filter"]?.asObject,
            data: row["data"]?.asObject)
    }
}

/// A managed API key, without the key.
struct ManagedKey: Sendable {
    let name: String
    private let defaultRole: String
    private let isDisabled: Bool
    /// Nil for one that does not expire.
    private let expiresAt: WallTime?
    private let headers: JSONObject
    private let claims: JSONObject

    init(_ row: JSONObject) {
        name = row["name"]?.asString ?? ""
        defaultRole = row["default_role"]?.asString ?? ""
        isDisabled = row["disabled"]?.asBool ?? true
        headers = row["headers"]?.asObject ?? [:]
        claims = row["claims"]?.asObject ?? [:]
        let expiry = row["is_temporal"]?.asBool != false ? row["expires_at"]?.asString : nil
        // A time that cannot be read has passed.
        expiresAt = expiry.map { WallTime(millisecondsSinceEpoch: ManagedKeys.instant($0) ?? 0) }
    }

    /// Why it is not valid now; nil where it is.
    func problem(at now: WallTime) -> String? {
        if isDisabled { return "the API key is disabled" }
        guard let expiresAt, expiresAt <= now else { return nil }
        return "the API key has expired"
    }

    /// The role is that of its claims, else that of the header that it names, else its own.
    func identity(_ header: (String) -> String?) -> CallerIdentity {
        let asked = headers["role"]?.asString.flatMap(header)
        var identity = CallerIdentity(
            role: claims["role"]?.asString ?? asked ?? defaultRole, kind: "apiKey", provider: "x-hugr-api-key",
            userID: claims["user_id"]?.asString ?? headers["user_id"]?.asString.flatMap(header) ?? "anonymous")
        identity.userName = claims["user_name"]?.asString ?? headers["user_name"]?.asString.flatMap(header) ?? identity.userID
        identity.claims = JSONObject(claims.filter { !["role", "user_id", "user_name"].contains($0.key) }.map { ($0.key, $0.value) })
        return identity
    }
}
