public import ApusCatalog
internal import ApusDatabase
public import ApusMembership
public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// This node's membership: its row among the nodes, its session, what it sees of the others, and the leader's duties.
public final class Cluster: Sendable {
    /// What this node tells the cluster about itself.
    public struct Options: Sendable {
        /// Proves to who knows the cluster secret that this node knows it, and tells nothing of it: the same on all nodes of the cluster. Nil
        /// where the node has no secret.
        public var secretProof: String?
        /// What this node tells machines that join. Nil where it has no secret.
        public var join: JoinTerms?
        /// What should be the same on all nodes.
        public var settings: [String: String] = [:]
        /// Has a node look at itself and at its ways to the others; nil where it does not answer.
        public var examine: @Sendable (NodeRow, [NodeRow], Instant) async -> NodeFacts? = { _, _, _ in nil }
        public var roles: Set<NodeRole> = [.manager, .worker]
        /// Of Apus.
        public var version: String
        /// What the store's operator calls it: a path, or "catalog".
        public var storePlace: String
        /// Whether the catalog's database is this node's own: it ends with the node, which is not removed therefore.
        public var hostsCatalog = false
        public var storeHome = StoreHome.catalog
        /// How long sessions and the leader's lease last.
        public var terms = LeaseTerms()
        /// When a silent node is suspected, and taken for gone.
        public var membership = MembershipTerms()
        /// How long what a node serves stays its own after it has gone without a word, and after it has said that it leaves. Shards that
        /// nobody else serves are placed elsewhere at once.
        public var absenceGrace: Duration = .seconds(60)
        public var restartWindow: Duration = .seconds(300)
        /// Replicas that may be loading at a time, besides those of shards that too few nodes serve.
        public var movesAtOnce = 4
        /// How often peers are probed, and how long they may take.
        public var probeInterval: Duration = .seconds(1)
        public var probeTime: Duration = .seconds(1)
        /// Whether a node is reached (`NodeProbe`). Nil: nobody is probed.
        public var probe: (@Sendable (NodeRow, Instant) async -> Bool)?

        /// Whether the store is the catalog, a directory in the node's own data directory, or one that was named.
        public enum StoreHome: Sendable { case catalog, ownDirectory, directory }

        public init(version: String, storePlace: String) {
            self.version = version
            self.storePlace = storePlace
        }
    }

    public let identity: NodeIdentity
    public let catalog: Catalog
    public let options: Options
    public let startedAt: Instant
    private let address = Mutex("")
    /// What this node registered, the number that it was given, and the catalog's history in which its row was seen last; nil before it has
    /// joined.
    private let joined = Mutex<(node: NodeRegistration, incarnation: Int64, history: Incarnation)?>(nil)
    /// What the session's row calls this process.
    private let process: String
    /// Held while this process is the one that runs under the node's name; each renewal is a heartbeat.
    public let session: LeaseKeeper
    /// Held while this node leads.
    public let leadership: LeaseKeeper
    let health: Health
    let clock: any MonotonicClock
    let observation: ObservationBook
    let placement = Mutex(PlacementMemory())
    let expected = ExpectedNodes()
    let shards = ShardFollower()
    /// Plans of many shards take long.
    let planning = BlockingPool(name: "placement", threads: 1, queueLimit: 64, niceness: 5)
    let log = Logger("cluster")

    public init(identity: NodeIdentity, catalog: Catalog, health: Health, clock: any MonotonicClock, options: Options) {
        self.identity = identity
        self.catalog = catalog
        self.health = health
        self.clock = clock
        self.options = options
        startedAt = clock.now
        var terms = options.membership
        terms.unreachedGrace = options.absenceGrace
        if options.probe == nil { terms.acquaintance = .zero }
        let observation = ObservationBook(terms: terms)
        self.observation = observation
        var generator = SystemRandomNumberGenerator()
        process = ObjectKey.random(using: &generator).description
        session = catalog.sessions.keeper(
            node: identity.name, process: process, terms: options.terms,
            report: { NodeReport(probes: observation.withLock { $0.probes }).text })
        leadership = catalog.leases.keeper(node: identity.name, process: process, terms: options.terms)
    }

    /// Where other nodes and people reach this one: `http://192.168.1.10:15002`. Empty until it joins.
    public var url: String { address.withLock { $0 } }

    /// Writes this node's row, before it serves anything; again is harmless. What it is to serve is for the leader to say, when others reach it.
    ///
    /// `rpcAddress`: host and port under which other nodes call this one; empty where they cannot. Throws `node.alive` while another process
    /// runs under the same name, `join.secret_missing` and `join.secret_mismatch` where this node is none of the cluster's.
    public func join(at url: String, rpcAddress: String = "", deadline: Instant) async throws {
        address.withLock { $0 = url }
        guard !catalog.isReadOnly else { return }
        try await refuseStranger(deadline: deadline)
        try await refuseTwin(deadline: deadline)
        try await register(
            NodeRegistration(
                name: identity.name, url: url, rpcAddress: rpcAddress, roles: options.roles, version: options.version,
                hasGeneratedName: identity.isGenerated, metadata: metadata.description),
            deadline: deadline)
        // Whoever asks this node next may have it ask the others.
        let nodes = try await catalog.nodes.list(deadline: deadline)
        observation.withLock { $0.read(nodes, by: identity.name, leader: nil, at: clock.now) }
    }

    private var metadata: JSONValue {
        [
            "id": .string(identity.id), "hosts_catalog": .bool(options.hostsCatalog),
            "settings": .object(JSONObject(options.settings.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
        ]
    }

    private func register(_ node: NodeRegistration, deadline: Instant) async throws {
        let incarnation = try await catalog.nodes.register(node, deadline: deadline)
        joined.withLock { $0 = (node, incarnation, catalog.incarnation) }
        log.info("the node has joined", ["node": identity.name.rawValue, "incarnation": String(incarnation)])
    }

    /// The catalog has no row of this node. Either somebody has removed it, or the catalog has another history than the one in which it was seen there last:
    /// then it registers again.
    private func isRemoved(deadline: Instant) async throws -> Bool {
        guard let joined = joined.withLock({ $0 }) else { return false }
        guard try await catalog.feed.head(deadline: deadline).incarnation == joined.history else {
            try await register(joined.node, deadline: deadline)
            return false
        }
        health.report(
            "membership",
            ApusError(
                .nodeRemoved, "this node was removed from the cluster, and stops",
                hint: "start it again if it is to join anew"), blocks: [.read, .write])
        self.joined.withLock { $0 = nil }
        return true
    }

    private static let proofSetting = "secret proof"

    /// Compares what this node knows with what the first node with a secret left in the catalog.
    private func refuseStranger(deadline: Instant) async throws {
        let known = try await catalog.settings.all(deadline: deadline)[Self.proofSetting]
        guard let own = options.secretProof else {
            let others = try await catalog.nodes.list(deadline: deadline).filter { $0.name != identity.name && $0.status != .left }
            guard known != nil || !others.isEmpty else { return }
            throw ApusError(
                .joinSecretMissing, "the cluster of this catalog has other nodes, and this one has no cluster secret",
                hint: "set cluster.secret_file to a file that holds it, or cluster.secret, or APUS_CLUSTER_SECRET in the environment")
        }
        guard let known else { return try await catalog.settings.set(Self.proofSetting, to: own, deadline: deadline) }
        guard known == own else {
            throw ApusError(
                .joinSecretMismatch, "this node's cluster secret is not the one of the cluster of this catalog",
                hint: "copy the file from another node")
        }
    }

    /// Looks for heartbeats that are not ours. One process owns a SQLite catalog, and a node that left says so: nothing to wait for then.
    private func refuseTwin(deadline: Instant) async throws {
        guard catalog.database.dialect == .postgreSQL else { return }
        guard let row = try await catalog.nodes.find(identity.name, deadline: deadline), row.status != .left, let before = row.heartbeats
        else { return }
        for _ in 0..<5 {
            try await clock.sleep(until: clock.now.advanced(by: .milliseconds(500)), tolerance: nil)
            guard let now = try await catalog.nodes.find(identity.name, deadline: deadline)?.heartbeats, now > before else { continue }
            throw twinError
        }
    }

    private var twinError: ApusError {
        ApusError(
            .nodeAlive, "another process runs under the name \(identity.name)",
            hint: "stop it, or give this node another name (node.name) and data directory")
    }

    /// Says that this node has stopped on purpose; its row stays, so that a restart finds it.
    public func leave(deadline: Instant) async throws {
        guard !catalog.isReadOnly, let incarnation else { return }
        try await catalog.nodes.leave(identity.name, incarnation: incarnation, deadline: deadline)
    }

    /// Which registration under this node's name was this process's; nil before it has joined.
    public var incarnation: Int64? { joined.withLock { $0?.incarnation } }

    /// Heartbeats, leads when it is this node's turn, does the leader's duties, and watches the others, until the task is cancelled. Returns
    /// when this node was removed from the cluster; throws `node.alive` where another process has its name.
    public func run(duties: [Duty] = []) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.look() }
            if let probe = options.probe { group.addTask { await self.probePeers(by: probe) } }
            if !catalog.isReadOnly {
                group.addTask { await self.session.run() }
                if options.roles.contains(.manager) {
                    group.addTask { await self.leadership.run() }
                    for duty in duties { group.addTask { await self.perform(duty) } }
                }
            }
            try await group.next()
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// Reads the nodes each second, so that the node knows who lives, and its health says when the catalog is away. A node without its
    /// catalog serves reads from what it holds, and refuses writes. Returns when this node was removed, and throws where it has a twin.
    private func look() async throws {
        // Heartbeats under this node's name that are not its own: two processes were started at once, or this one was frozen while another
        // took its place. That one stays: others know it.
        var foreign: Int64?
        var isTwin = false
        while !isTwin, await sleep(.seconds(1)) {
            do {
                let history = catalog.incarnation
                let nodes = try await catalog.nodes.list(deadline: clock.now.advanced(by: .seconds(2)))
                let epoch = leadership.epoch
                observation.withLock { $0.read(nodes, by: identity.name, leader: epoch, at: clock.now) }
                health.recover("catalog")
                compareSettings(nodes)
                guard let row = nodes.first(where: { $0.name == identity.name }) else {
                    foreign = nil
                    guard try await isRemoved(deadline: clock.now.advanced(by: .seconds(2))) else { continue }
                    return
                }
                joined.withLock { $0?.history = history }
                try await takeBack(row)
                let heartbeats = row.process == nil || row.process == process ? nil : row.heartbeats
                isTwin = (heartbeats ?? 0) > (foreign ?? .max) || isReplaced(in: row)
                foreign = heartbeats
            } catch let error as ApusError {
                health.report("catalog", error, blocks: [.write])
            } catch { return }  // cancelled
        }
        if isTwin { throw twinError }
    }

    /// Another process has registered under this node's name since, and this one holds no session: others are told of that one.
    private func isReplaced(in row: NodeRow) -> Bool { session.epoch == nil && incarnation.map { row.incarnation > $0 } ?? false }

    /// Registers again where another process has done so under this node's name, which holds no session: or the others would ask that one.
    private func takeBack(_ row: NodeRow) async throws {
        guard session.epoch != nil, let joined = joined.withLock({ $0 }), row.incarnation != joined.incarnation else { return }
        log.warning("another process has registered under this node's name", ["node": identity.name.rawValue, "url": row.url])
        try await register(joined.node, deadline: clock.now.advanced(by: .seconds(2)))
    }

    /// Asks some of the others, again and again, whether they answer. What came of it goes with the next heartbeat.
    private func probePeers(by probe: @escaping @Sendable (NodeRow, Instant) async -> Bool) async {
        while await sleep(options.probeInterval) {
            let rows = observation.withLock { $0.beginProbes(by: identity.name) }
            await withDiscardingTaskGroup { group in
                for row in rows {
                    group.addTask {
                        let isReached = await probe(row, self.clock.now.advanced(by: self.options.probeTime))
                        self.observation.withLock { $0.note(.init(incarnation: row.incarnation, isReached: isReached), of: row.name) }
                    }
                }
            }
        }
    }

    private func perform(_ duty: Duty) async {
        while await sleep(duty.interval) {
            guard let epoch = leadership.epoch else { continue }
            do {
                try await duty.perform(epoch, clock.now.advanced(by: .seconds(30)))
            } catch let error as ApusError {
                log.warning("a duty was not done", ["duty": duty.name, "error": error.description])
            } catch { return }  // cancelled
        }
    }

    /// False when the task was cancelled.
    private func sleep(_ duration: Duration) async -> Bool {
        do {
            try await clock.sleep(until: clock.now.advanced(by: duration), tolerance: nil)
            return true
        } catch { return false }
    }
}
