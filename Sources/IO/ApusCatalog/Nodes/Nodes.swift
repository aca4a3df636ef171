internal import ApusDatabase
public import ApusTypes

/// A node as the cluster knows it: what it said when it registered, and the last heartbeat of its session.
public struct NodeRow: Sendable, Hashable {
    public var name: NodeName
    public var url: String
    public var rpcAddress: String
    public var roles: Set<NodeRole>
    public var status: NodeStatus
    /// Rises with each registration.
    public var incarnation: Int64
    /// Of Apus.
    public var version: String
    /// Nobody chose the name, so the row goes when the node has been gone for long.
    public var hasGeneratedName: Bool
    /// A JSON object.
    public var metadata: String
    public var registeredAt: WallTime
    /// Of its session; nil if it has none.
    public var sessionEpoch: Epoch?
    /// Heartbeats of its session; what others compare to find out whether it lives.
    public var heartbeats: Int64?
    /// What it said of itself with its last heartbeat: a JSON object; empty if it never had a session.
    public var report = ""
    /// The process whose session it is; nil where nobody holds it.
    public var process: String?
}

public enum NodeRole: String, Sendable, Hashable, CaseIterable { case manager, worker }

/// joining → active → suspect → down; draining → left. A node that comes back registers again; one that drains does so until it is told to
/// stop that. One that is to be removed drains first.
public enum NodeStatus: String, Sendable, Hashable, CaseIterable {
    case joining, active, suspect, down, draining, removing, stopping, left
}

/// What a node says of itself.
public struct NodeRegistration: Sendable, Hashable {
    public var name: NodeName
    public var url: String
    public var rpcAddress: String
    public var roles: Set<NodeRole>
    public var version: String
    public var hasGeneratedName: Bool
    public var metadata: String

    public init(
        name: NodeName, url: String, rpcAddress: String = "", roles: Set<NodeRole> = [.manager, .worker], version: String = "",
        hasGeneratedName: Bool = false, metadata: String = "{}"
    ) {
        self.name = name
        self.url = url
        self.rpcAddress = rpcAddress
        self.roles = roles
        self.version = version
        self.hasGeneratedName = hasGeneratedName
        self.metadata = metadata
    }
}

/// The nodes of the cluster. Changes are published (`Topic.node`, the name as key); heartbeats are not.
public final class Nodes: Sendable {
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// Adds the node, or takes over its row with the next incarnation number, which is returned.
    ///
    /// Whether another live process has the name is the session's business.
    public func register(_ node: NodeRegistration, status: NodeStatus = .active, deadline: Instant) async throws -> Int64 {
        try await access.transaction(deadline: deadline) { transaction in
            let now = transaction.dialect.clock
            let rows = try await transaction.run(
                Statement(
                    """
                    INSERT INTO apus.node (name, url, rpc_address, roles, status, incarnation, version, has_generated_name, metadata,
                        registered_at, changed_at)
                    VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8,
                    """ + now + ", " + now + """
                        )
                        ON CONFLICT (name) DO UPDATE SET url = excluded.url, rpc_address = excluded.rpc_address, roles = excluded.roles,
                            status = CASE WHEN node.status IN ('draining', 'removing') THEN node.status ELSE excluded.status END,
                            incarnation = node.incarnation + 1, version = excluded.version,
                            has_generated_name = excluded.has_generated_name, metadata = excluded.metadata,
                            registered_at = excluded.registered_at, changed_at = excluded.changed_at
                        RETURNING incarnation
                        """,
                    [
                        .text(node.name.rawValue), .text(node.url), .text(node.rpcAddress),
                        .text(node.roles.map(\.rawValue).sorted().joined(separator: ",")), .text(status.rawValue), .text(node.version),
                        .integer(node.hasGeneratedName ? 1 : 0), .text(node.metadata),
                    ]))
            transaction.publish(.node, key: node.name.rawValue)
            return try rows[0].integer(0)
        }
    }

    /// Throws `node.unknown`. With `leaving` only if those are the nodes that drain or are to be removed, this one aside; throws
    /// `write.aborted` otherwise: two that leave at once must not overlook each other.
    public func set(_ status: NodeStatus, of name: NodeName, ifLeaving leaving: Set<NodeName>? = nil, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            if let leaving {
                let rows = try await transaction.run(
                    Statement(
                        "SELECT name, status FROM apus.node ORDER BY name" + transaction.dialect.forUpdate))
                let seen = try rows.filter { ["draining", "removing"].contains(try $0.text(1)) }.map { NodeName(try $0.text(0)) }
                guard Set(seen).subtracting([name]) == leaving.subtracting([name]) else {
                    throw ApusError(.writeAborted, "other nodes began or ceased to leave meanwhile", hint: "try again")
                }
            }
            let changed = try await transaction.run(
                Statement(
                    "UPDATE apus.node SET status = $2, changed_at = " + transaction.dialect.clock + " WHERE name = $1",
                    [.text(name.rawValue), .text(status.rawValue)])
            ).changed
            guard changed == 1 else { throw Self.unknown(name) }
            transaction.publish(.node, key: name.rawValue)
        }
    }

    /// Says that the node has stopped on purpose; its row stays, so that a restart finds it. One that drains or is to be removed stays that:
    /// it is not expected back. Nothing if another process has registered under its name since.
    public func leave(_ name: NodeName, incarnation: Int64, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            let changed = try await transaction.run(
                Statement(
                    "UPDATE apus.node SET status = CASE WHEN status IN ('draining', 'removing') THEN status ELSE 'left' END, changed_at = "
                        + transaction.dialect.clock + " WHERE name = $1 AND incarnation = $2",
                    [.text(name.rawValue), .integer(incarnation)])
            ).changed
            if changed == 1 { transaction.publish(.node, key: name.rawValue) }
        }
    }

    /// Forgets a node and its replicas. The leader, whose lease must be the given one, forgets those only that are to be removed: somebody may
    /// have thought better of it. Throws `node.unknown`, `lease.stale`.
    public func remove(_ name: NodeName, leader: Epoch? = nil, deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            if let leader { try await transaction.require(lease: Leases.leader, epoch: leader) }
            guard try await Self.remove(name, onlyRemoving: leader != nil, in: transaction) else { throw Self.unknown(name) }
        }
    }

    /// False where there is no such node.
    static func remove(_ name: NodeName, onlyRemoving: Bool = false, in transaction: CatalogTransaction) async throws -> Bool {
        try await Shards.dropReplicas(of: name, in: transaction)
        let removed = try await transaction.run(
            Statement(
                "DELETE FROM apus.node WHERE name = $1" + (onlyRemoving ? " AND status = 'removing'" : ""), [.text(name.rawValue)]))
        guard removed.changed == 1 else { return false }
        transaction.publish(.node, key: name.rawValue)
        return true
    }

    /// By name.
    public func list(deadline: Instant) async throws -> [NodeRow] {
        try await access.read(Statement(Self.selection + " ORDER BY n.name"), deadline: deadline).map(Self.node(row:))
    }

    public func find(_ name: NodeName, deadline: Instant) async throws -> NodeRow? {
        try await access.read(Statement(Self.selection + " WHERE n.name = $1", [.text(name.rawValue)]), deadline: deadline)
            .first.map(Self.node(row:))
    }

    private static let selection: StaticSQL =
        """
        SELECT n.name, n.url, n.rpc_address, n.roles, n.status, n.incarnation, n.version, n.has_generated_name, n.metadata,
               n.registered_at, s.epoch, s.renewals, s.report, NULLIF(s.process, '')
        FROM apus.node AS n LEFT JOIN apus.session AS s ON s.node = n.name
        """

    private static func node(row: Row) throws -> NodeRow {
        NodeRow(
            name: NodeName(try row.text(0)), url: try row.text(1), rpcAddress: try row.text(2),
            roles: Set(try row.text(3).split(separator: ",").compactMap { NodeRole(rawValue: String($0)) }),
            status: NodeStatus(rawValue: try row.text(4)) ?? .down, incarnation: try row.integer(5), version: try row.text(6),
            hasGeneratedName: try row.integer(7) != 0, metadata: try row.text(8),
            registeredAt: WallTime(millisecondsSinceEpoch: try row.integer(9)),
            sessionEpoch: row.isNull(10) ? nil : Epoch(try row.integer(10)), heartbeats: row.isNull(11) ? nil : try row.integer(11),
            report: row.isNull(12) ? "" : try row.text(12), process: row.isNull(13) ? nil : try row.text(13))
    }

    private static func unknown(_ name: NodeName) -> ApusError {
        ApusError(.nodeUnknown, "there is no node \(name)", hint: "'apus node list' lists them")
    }
}
