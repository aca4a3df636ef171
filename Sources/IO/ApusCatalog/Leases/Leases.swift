internal import ApusDatabase
public import ApusMembership
public import ApusTypes

/// The leases of the cluster: one, `leader`. Every other duty belongs to a node's session.
public final class Leases: Sendable {
    public static let leader = "leader"

    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// Seeks the lease for `node` once `run()` is called. `process` tells this process from all others, before and after.
    public func keeper(_ name: String = Leases.leader, node: NodeName, process: String, terms: LeaseTerms = LeaseTerms()) -> LeaseKeeper {
        let holder = "\(node)/\(process)"
        let rows = LeaseRows(access: access, table: .lease, name: name, holder: holder, length: terms.length)
        let machine = LeaseMachine(holder: holder, terms: terms.suited(to: access.dialect))
        return LeaseKeeper(name: name, rows: rows, machine: machine, clock: access.clock, report: nil)
    }

    /// Who holds the lease by the catalog's own words, even if that process is dead; nil if nobody does.
    public func holder(of name: String = Leases.leader, deadline: Instant) async throws -> (node: NodeName, epoch: Epoch)? {
        let rows = try await access.read(
            Statement("SELECT holder, epoch FROM apus.lease WHERE name = $1", [.text(name)]), deadline: deadline)
        guard let row = rows.first, !row.isNull(0) else { return nil }
        let holder = try row.text(0)
        guard let end = holder.lastIndex(of: "/") else { return nil }
        return (NodeName(String(holder[..<end])), Epoch(try row.integer(1)))
    }
}

/// The sessions of nodes: what a node's heartbeats renew, and what its duties stand on.
public final class Sessions: Sendable {
    private let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    /// Seeks the session of `node` for this process: a second process of the same name waits until the first is gone. `report` is
    /// written with each heartbeat: what the node says of itself, as JSON, a few hundred bytes.
    public func keeper(
        node: NodeName, process: String, terms: LeaseTerms = LeaseTerms(), report: @escaping @Sendable () -> String = { "{}" }
    ) -> LeaseKeeper {
        let rows = LeaseRows(access: access, table: .session, name: node.rawValue, holder: process, length: terms.length)
        let machine = LeaseMachine(holder: process, terms: terms.suited(to: access.dialect))
        return LeaseKeeper(name: "session of \(node)", rows: rows, machine: machine, clock: access.clock, report: report)
    }
}

extension CatalogTransaction {
    /// Lets the rest of the transaction take effect only under `epoch` of the lease, whose next holder waits until it has ended. First in
    /// the transaction. Throws `lease.stale`.
    public func require(lease name: String, epoch: Epoch) async throws {
        let rows = try await run(LeaseRows.holding(.lease, name: name, epoch: epoch, dialect: dialect))
        guard !rows.isEmpty else { throw ApusError.leaseStale("the lease \(name)", epoch) }
    }

    /// The same for a duty that stands on a node's session.
    public func require(session node: NodeName, epoch: Epoch) async throws {
        let rows = try await run(LeaseRows.holding(.session, name: node.rawValue, epoch: epoch, dialect: dialect))
        guard !rows.isEmpty else { throw ApusError.leaseStale("the session of \(node)", epoch) }
    }
}

extension ApusError {
    static func leaseStale(_ what: String, _ epoch: Epoch) -> ApusError {
        ApusError(.leaseStale, "\(what) is no longer held under epoch \(epoch); nothing was changed")
    }
}

extension LeaseTerms {
    /// One process owns a SQLite catalog, so nobody else can believe that it holds anything.
    fileprivate func suited(to dialect: SQLDialect) -> LeaseTerms {
        var terms = self
        if dialect == .sqlite { terms.settles = false }
        return terms
    }
}
