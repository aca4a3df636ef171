public import ApusQueryPlan
public import ApusTypes

/// Who asks, with what that role may do at this moment. A request keeps it to its end.
public final class QueryCaller: Sendable {
    /// The role that manages the cluster.
    static let administrators = "admin"

    public let identity: CallerIdentity
    /// What placeholders stand for.
    public let values: JSONObject
    public let permissions: RolePermissions
    public let limits: RoleLimits
    /// The state of the catalog's permissions that these are of; 0 for whom they do not bind.
    public let sequence: UInt64

    public init(_ identity: CallerIdentity, _ role: RoleStanding, sequence: UInt64) {
        self.identity = identity
        values = identity.values
        permissions = role.permissions
        limits = role.limits
        self.sequence = sequence
    }

    /// What plans and results of this caller depend on beside its values.
    var scope: String { identity.isOperator ? "" : identity.role }

    /// On whose behalf functions of this program work.
    @TaskLocal static var current: QueryCaller?
}
