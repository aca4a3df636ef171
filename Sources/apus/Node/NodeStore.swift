internal import ApusCatalog
internal import ApusConfig
internal import ApusDatabase
internal import ApusRuntime
internal import ApusStore
internal import ApusTypes
internal import Synchronization

/// The node's store: found by what the catalog remembers of it, looked at again and again, attached as soon as it is there.
///
/// A store that is away, full, read-only or another cluster's takes writes away from this node, and nothing else.
final class NodeStore: Sendable {
    private let configuration: Configuration
    private let catalog: Catalog
    private let replicas: ReadReplicas?
    private let health: Health
    private let node: NodeName
    private let clock = BootClock()
    /// The threads that a hung file system may hold.
    let pool: BlockingPool
    private let current = Mutex<(any ObjectStore)?>(nil)
    private let copies = Mutex<(any ObjectCopies)?>(nil)
    /// Between looks, and how long one may take: what hangs is noticed after both at most, within the five seconds that are promised.
    static let lookInterval = Duration.seconds(2)
    static let lookPatience = Duration.milliseconds(2500)
    private static let storeSetting = "store.id"
    private static let kindSetting = "store.kind"

    init(_ configuration: Configuration, catalog: Catalog, replicas: ReadReplicas?, health: Health, node: NodeName) {
        self.configuration = configuration
        self.catalog = catalog
        self.replicas = replicas
        self.health = health
        self.node = node
        pool = BlockingPool(name: "store", threads: configuration.runtime.blockingThreads, queueLimit: 1024)
    }

    /// What an operator recognises it by.
    var place: String { configuration.storeKind == .catalog ? "catalog" : configuration.storeDirectory }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in self.clock.ticks(every: Self.lookInterval) { await self.look() } }
            group.addTask { for await _ in self.clock.ticks(every: .seconds(3600)) { await self.removeLeftovers() } }
            try await group.waitForAll()
        }
    }

    /// What writes of this node that were abandoned have left: unfinished files, never objects.
    private func removeLeftovers() async {
        guard let store = current.withLock({ $0 }) as? DirectoryStore else { return }
        do {
            try await store.removeLeftovers(deadline: clock.now.advanced(by: .seconds(600)))
        } catch {
            Node.log.info("unfinished files of the store were not removed", ["error": "\(error)"])
        }
    }

    /// Opens the store, and where this node maps objects from, unless they are open; reports whether writing to it would work.
    func look() async {
        let deadline = clock.now.advanced(by: Self.lookPatience)
        do {
            let store = try await opened(deadline: deadline)
            // Here, once and by nobody else: a cache that is opened removes what another process was writing, or another cache of this one.
            if copies.withLock({ $0 == nil }) {
                let made = try await store.copies(
                    cachedIn: configuration.node.data + "/cache", capacity: configuration.store.cache, deadline: deadline)
                copies.withLock { $0 = made }
            }
            try await store.probe(deadline: deadline)
            health.recover("store")
        } catch let error as ApusError {
            health.report("store", error, blocks: [.write])
        } catch {
            health.report("store", ApusError(.storeUnavailable, "the store cannot be used", cause: error), blocks: [.write])
        }
    }

    /// Throws `store.unavailable` while the store is not there.
    func open() throws -> any ObjectStore {
        guard let store = current.withLock({ $0 }) else { throw notThere }
        return store
    }

    private var notThere: ApusError { ApusError(.storeUnavailable, "the store \(place) is not there", hint: "apus doctor") }

    /// Where this node maps objects from: the store's own files, or copies in the data directory.
    func mappable() throws -> any ObjectCopies {
        guard let copies = copies.withLock({ $0 }) else { throw notThere }
        return copies
    }

    /// Removes what an earlier process of this node has put and never named: it was killed in between.
    func removeAbandoned() async {
        let deadline = clock.now.advanced(by: .seconds(30))
        do {
            let store = try open()
            for key in try await catalog.objects.abandon(of: node, deadline: deadline) {
                try await store.delete(key, deadline: deadline)
                Node.log.info("removed an object that this node had put and not named", ["key": key.description])
            }
        } catch {
            Node.log.info("objects that this node had put are left to the collector", ["error": "\(error)"])
        }
    }

    /// Collects what nothing names any more. One round; the caller holds the duty.
    func collect(retention: Duration, leader: Epoch, deadline: Instant) async throws {
        var options = ObjectCollector.Options(retention: retention)
        options.intentAge = configuration.retention.objectIntents
        // A node tells nobody how far it has read: that all have passed is what the retention, of a minute at least, stands for.
        _ = try await collector(options)?.collect(watermark: .max, leader: leader, deadline: deadline)
    }

    /// Deletes what no row names at all: what a lost intent, an undone delete or a collector that was killed left behind.
    func sweep(leader: Epoch, deadline: Instant) async throws {
        _ = try await collector(ObjectCollector.Options(retention: configuration.retention.droppedObjects))?.sweep(
            leader: leader, deadline: deadline)
    }

    private func collector(_ options: ObjectCollector.Options) -> ObjectCollector? {
        current.withLock { $0 }.map { ObjectCollector(store: $0, intents: catalog.objects, options: options) }
    }

    private func opened(deadline: Instant) async throws -> any ObjectStore {
        if let store = current.withLock({ $0 }) { return store }
        try await agreeOnKind(deadline: deadline)
        let store: any ObjectStore =
            switch configuration.storeKind {
            case .catalog:
                CatalogStore(database: catalog.database, replicas: replicas, maxBytes: configuration.store.maxCatalogBytes)
            case .directory: try await openDirectory(deadline: deadline)
            }
        await shareSecret(deadline: deadline)
        current.withLock { $0 = store }
        // Where the catalog is the store nothing is stored twice: operations of any size ride in rows.
        if configuration.storeKind == .directory {
            catalog.log.attach(ObjectLogPlacement(store: store, intents: catalog.objects, node: node))
        }
        return store
    }

    /// What the first node has chosen holds for all: objects of one kind of store are not found in another. Throws `store.foreign`.
    func agreeOnKind(deadline: Instant) async throws {
        let settings = try await catalog.settings.all(deadline: deadline)
        let own = configuration.storeKind
        let kind = settings[Self.kindSetting] ?? (settings[Self.storeSetting] == nil ? nil : Configuration.Store.Kind.directory.rawValue)
        guard let kind else { return try await catalog.settings.set(Self.kindSetting, to: own.rawValue, deadline: deadline) }
        guard kind != own.rawValue else { return }
        throw ApusError(
            .storeForeign, "this cluster keeps its objects in \(own == .catalog ? "a directory" : "its catalog"), and this node is not to",
            hint: own == .catalog
                ? "set store.directory to the directory that the other nodes use" : "set store.kind to catalog, and no store.directory")
    }

    /// Leaves the cluster's secret in a store's directory that was given: who may read that may read all that the cluster holds, and its
    /// nodes need nothing else to join.
    private func shareSecret(deadline: Instant) async {
        guard configuration.catalog.isHosted, configuration.storeKind == .directory, let directory = configuration.store.directory,
            let secret = configuration.cluster.secret
        else { return }
        let path = "\(directory)/\(ClusterSecret.fileName)"
        do {
            try await pool.run(deadline: deadline) {
                guard !FileContents.exists(path) else { return }
                try FileContents.write(Array((secret.reveal() + "\n").utf8), to: path, mode: 0o600)
            }
        } catch {
            Node.log.info("the cluster's secret was not left in the store", ["path": path, "error": "\(error)"])
        }
    }

    /// The first node of a new cluster makes an empty directory its store; the catalog remembers which one it is, so that from then on an
    /// empty directory means that a mount is missing.
    private func openDirectory(deadline: Instant) async throws -> DirectoryStore {
        let cluster = ClusterID(catalog.identity.id)
        let remembered = try await catalog.settings.all(deadline: deadline)[Self.storeSetting].map { StoreID($0) }
        let options = DirectoryStore.Options(writer: node.rawValue, reserve: configuration.store.reserve)
        func open() async throws -> DirectoryStore {
            try await DirectoryStore.open(place, cluster: cluster, expecting: remembered, options: options, pool: pool, deadline: deadline)
        }
        if remembered != nil { return try await open() }
        let store: DirectoryStore
        do {
            store = try await open()
        } catch let error as ApusError where error.code == .storeUnavailable {
            var generator = SystemRandomNumberGenerator()
            let id = StoreID(ObjectKey.random(using: &generator).description)
            _ = try await DirectoryStore.initialise(place, cluster: cluster, store: id, deadline: deadline)
            store = try await open()
        }
        try await catalog.settings.set(Self.storeSetting, to: store.identity.store.rawValue, deadline: deadline)
        return store
    }
}
