public import ApusCatalog
public import ApusRuntime
public import ApusTypes

/// This node's membership: its row among the nodes, what it may say about the others, and the background duties.
public final class Cluster: Sendable {
    /// What this node tells the cluster about itself.
    public struct Options: Sendable {
        /// Where other nodes and people reach it: `http://192.168.1.10:15002`.
        public var url: String
        /// Host and port of the RPC listener; empty when there is none.
        public var rpcAddress = ""
        public var roles: Set<NodeRole> = [.manager, .worker]
        /// Of Apus.
        public var version: String
        /// What the store's operator calls it: a path, or "catalog".
        public var storePlace: String

        public init(url: String, version: String, storePlace: String) {
            self.url = url
            self.version = version
            self.storePlace = storePlace
        }
    }

    public let identity: NodeIdentity
    public let catalog: Catalog
    public let options: Options
    public let startedAt: Instant
    let health: Health
    let clock: any MonotonicClock
    let log = Logger("cluster")

    public init(identity: NodeIdentity, catalog: Catalog, health: Health, clock: any MonotonicClock, options: Options) {
        self.identity = identity
        self.catalog = catalog
        self.health = health
        self.clock = clock
        self.options = options
        startedAt = clock.now
    }

    /// Writes this node's row and takes the shards that nobody serves. Before it serves anything; again is harmless.
    public func join(deadline: Instant) async throws {
        guard !catalog.isReadOnly else { return }
        let incarnation = try await catalog.nodes.register(
            NodeRegistration(
                name: identity.name, url: options.url, rpcAddress: options.rpcAddress, roles: options.roles, version: options.version,
                hasGeneratedName: identity.isGenerated, metadata: JSONValue.object(["id": .string(identity.id)]).description),
            deadline: deadline)
        log.info("the node has joined", ["node": identity.name.rawValue, "incarnation": String(incarnation)])
        _ = try await adoptShards(deadline: deadline)
    }

    /// Says that this node is gone for good reason; its row stays, so that a restart finds it.
    public func leave(deadline: Instant) async throws {
        guard !catalog.isReadOnly else { return }
        try await catalog.nodes.set(.left, of: identity.name, deadline: deadline)
    }

    /// Watches the catalog, so that health says when it is away, until the task is cancelled.
    ///
    /// One read a second. A node without its catalog serves reads from what it holds and refuses writes.
    public func run() async throws {
        while true {
            try await clock.sleep(until: clock.now.advanced(by: .seconds(1)), tolerance: nil)
            do {
                _ = try await catalog.nodes.find(identity.name, deadline: clock.now.advanced(by: .seconds(2)))
                health.recover("catalog")
            } catch let error as ApusError {
                health.report("catalog", error, blocks: [.write])
            }
        }
    }

    /// Makes this node serve every shard that no node serves. Returns how many those were.
    public func adoptShards(deadline: Instant) async throws -> Int {
        let orphans = try await catalog.shards.list(deadline: deadline).filter { !$0.isServed }
        for shard in orphans { try await catalog.shards.assign(shard.id, to: identity.name, state: .serving, deadline: deadline) }
        return orphans.count
    }
}
