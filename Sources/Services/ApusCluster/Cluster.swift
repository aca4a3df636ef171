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
        /// Host and port of the RPC listener; empty when there is none.
        public var rpcAddress = ""
        public var roles: Set<NodeRole> = [.manager, .worker]
        /// Of Apus.
        public var version: String
        /// What the store's operator calls it: a path, or "catalog".
        public var storePlace: String
        /// How long sessions and the leader's lease last.
        public var terms = LeaseTerms()
        /// Silence of a node's heartbeats after which it is said to be suspect, and down.
        public var suspectAfter: Duration = .seconds(3)
        public var downAfter: Duration = .seconds(5)

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
    /// Held while this process is the one that runs under the node's name; each renewal is a heartbeat.
    public let session: LeaseKeeper
    /// Held while this node leads.
    public let leadership: LeaseKeeper
    let health: Health
    let clock: any MonotonicClock
    let watch: Mutex<HeartbeatWatch>
    let log = Logger("cluster")

    public init(identity: NodeIdentity, catalog: Catalog, health: Health, clock: any MonotonicClock, options: Options) {
        self.identity = identity
        self.catalog = catalog
        self.health = health
        self.clock = clock
        self.options = options
        startedAt = clock.now
        watch = Mutex(HeartbeatWatch(limits: .init(suspect: options.suspectAfter, down: options.downAfter)))
        var generator = SystemRandomNumberGenerator()
        let process = ObjectKey.random(using: &generator).description
        session = catalog.sessions.keeper(node: identity.name, process: process, terms: options.terms)
        leadership = catalog.leases.keeper(node: identity.name, process: process, terms: options.terms)
    }

    /// Where other nodes and people reach this one: `http://192.168.1.10:15002`. Empty until it joins.
    public var url: String { address.withLock { $0 } }

    /// Writes this node's row and takes the shards that nobody serves. Before it serves anything; again is harmless.
    ///
    /// Throws `node.alive` while another process runs under the same name.
    public func join(at url: String, deadline: Instant) async throws {
        address.withLock { $0 = url }
        guard !catalog.isReadOnly else { return }
        try await refuseTwin(deadline: deadline)
        let incarnation = try await catalog.nodes.register(
            NodeRegistration(
                name: identity.name, url: url, rpcAddress: options.rpcAddress, roles: options.roles, version: options.version,
                hasGeneratedName: identity.isGenerated, metadata: JSONValue.object(["id": .string(identity.id)]).description),
            deadline: deadline)
        log.info("the node has joined", ["node": identity.name.rawValue, "incarnation": String(incarnation)])
        _ = try await adoptShards(deadline: deadline)
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
        guard !catalog.isReadOnly else { return }
        try await catalog.nodes.set(.left, of: identity.name, deadline: deadline)
    }

    /// Heartbeats, leads when it is this node's turn, does the leader's duties, and watches the others, until the task is cancelled.
    public func run(duties: [Duty] = []) async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.look() }
            guard !catalog.isReadOnly else { return }
            group.addTask { await self.session.run() }
            guard options.roles.contains(.manager) else { return }
            group.addTask { await self.leadership.run() }
            for duty in duties { group.addTask { await self.perform(duty) } }
        }
        try Task.checkCancellation()
    }

    /// Reads the nodes each second, so that the node knows who lives, and its health says when the catalog is away. A node without its
    /// catalog serves reads from what it holds, and refuses writes.
    private func look() async {
        var foreign: Int64?
        while await sleep(.seconds(1)) {
            do {
                let nodes = try await catalog.nodes.list(deadline: clock.now.advanced(by: .seconds(2)))
                watch.withLock { $0.observe(nodes, at: clock.now) }
                health.recover("catalog")
                // Heartbeats under this node's name that are not its own: two processes were started at once, or one was frozen meanwhile.
                let heartbeats = session.epoch == nil ? nodes.first { $0.name == identity.name }?.heartbeats : nil
                if let heartbeats, let foreign, heartbeats > foreign {
                    health.report("session", twinError, blocks: [.read, .write])
                } else if session.epoch != nil {
                    health.recover("session")
                }
                foreign = heartbeats
            } catch let error as ApusError {
                health.report("catalog", error, blocks: [.write])
            } catch { return }  // cancelled
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

    /// Makes this node serve every shard that no node serves. Returns how many those were.
    public func adoptShards(deadline: Instant) async throws -> Int {
        let orphans = try await catalog.shards.list(deadline: deadline).filter { !$0.isServed }
        for shard in orphans { try await catalog.shards.assign(shard.id, to: identity.name, state: .serving, deadline: deadline) }
        return orphans.count
    }
}
