public import ApusCatalog
public import ApusRuntime
internal import ApusStore
public import ApusTypes
internal import ApusVectorIndex
internal import Synchronization

/// The vectors service of one node: collections of points in shards that follow the catalog's logs.
///
/// A write is encoded for each shard, appended to the logs in one transaction, applied to memory in the order of the log, and then
/// acknowledged, so that the next search sees it. From time to time the points in memory are sealed into segments. Nothing is kept that
/// logs and segments cannot rebuild. `run()` must be running: it loads what the catalog holds, follows what other nodes write, and seals.
public final class VectorService: Sendable {
    public struct Options: Sendable {
        /// How old a node's last look at the log may be when it answers; older, it looks first (while the catalog answers).
        public var maximumAge: Duration = .seconds(1)
        /// How often the heads of all shards are read, in one query.
        public var lookInterval: Duration = .milliseconds(400)
        /// How long after its commit a write is acknowledged at the latest, even if this node's memory does not show it yet.
        public var acknowledgeWithin: Duration = .milliseconds(1200)
        /// Read from the log at a time.
        public var readSize: ByteCount = .mebibytes(8)
        /// Points in one operation of a deletion by filter.
        public var deletionSize = 10_000
        /// Bytes of an update by filter, all of which is one transaction.
        public var updateSize: ByteCount = .mebibytes(64)
        /// Threads that one search is spread over.
        public var threadsPerSearch: Int
        /// How often it is looked whether shards are to be sealed, and by how many threads one is.
        public var sealInterval: Duration = .milliseconds(500)
        public var sealingThreads = EventLoops.coreCount
        public var sealPolicy = SealPolicy()
        /// How often each segment in use is read again and compared with its checksums.
        public var scrubInterval: Duration = .seconds(24 * 3600)
        /// How long another node may take for what a person waits for; what it has not answered then is missing.
        public var peerPatience: Duration = .milliseconds(1800)
        /// How long another node may take for its answer before a second replica is asked too.
        public var hedgeAfter: Duration = .milliseconds(100)
        /// Larger operations are not sent to the nodes that serve a shard, which read them from its log.
        public var tellLimit: ByteCount = .kibibytes(64)
        /// For copies of segments' links and codes in huge pages.
        public var searchMemory: ByteCount = .gibibytes(1)

        public init(threadsPerSearch: Int = EventLoops.coreCount) { self.threadsPerSearch = max(1, threadsPerSearch) }
    }

    let catalog: Catalog
    let pool: BlockingPool
    let health: Health?
    let clock: any MonotonicClock
    let options: Options
    /// Nil where the node has no store to keep models in.
    public let models: EmbeddingModels?
    let log = Logger("vectors")
    /// Raised to have the follower look at the heads before its time.
    let wake: Watermark
    /// The version of the catalog's feed that was applied.
    let followed: Watermark
    /// What seals shards: it leaves the processor to requests.
    let sealing: BlockingPool
    /// The other nodes; nil where there is only one, which serves everything.
    let peers: (any VectorPeers)?
    /// Which of several replicas is asked first.
    let turns = Atomic(0)
    /// The node and its session, which hold duties, while there is one; nil where there is only one node.
    let sealer: (@Sendable () -> Sealer?)?
    let mended = Atomic(0)
    let searchMemory: SearchMemory
    /// Is told of each write through this node, and of what may be one, before it is acknowledged.
    private let whenWritten = Mutex<(@Sendable (CollectionName) -> Void)?>(nil)
    let times: WriteTimes
    /// One collection is verified at a time: it is work of the background.
    let isVerifying = Atomic(false)
    /// For segments and snapshots. Nil: nothing is sealed, shards that have segments cannot be loaded, and there are no snapshots.
    let objects: ObjectAccess?
    /// What the catalog says about collections besides what they are made with.
    let attributes = Mutex(CollectionAttributeRows())
    private let state = Mutex(State())

    private struct State {
        /// Nil until the catalog was read for the first time.
        var collections: [CollectionName: LoadedCollection]?
        /// Looks at the logs that failed, one after the other.
        var failedLooks = 0
        /// The place in the feed that was applied.
        var place: FeedPosition?
    }

    /// `pool` runs scans, loading and embedding: as many threads as there are cores is right.
    public init(
        catalog: Catalog, pool: BlockingPool, health: Health? = nil, models: EmbeddingModels? = nil, options: Options = Options(),
        objects: ObjectAccess? = nil, peers: (any VectorPeers)? = nil, sealer: (@Sendable () -> Sealer?)? = nil,
        metrics: MetricsRegistry = MetricsRegistry()
    ) {
        times = WriteTimes(metrics)
        self.objects = objects
        self.peers = peers
        searchMemory = SearchMemory(limit: options.searchMemory)
        sealing = BlockingPool(name: "seal", threads: max(1, options.sealingThreads), queueLimit: 64, niceness: 10)
        self.sealer = sealer
        self.catalog = catalog
        self.pool = pool
        self.health = health
        self.models = models
        self.options = options
        clock = catalog.clock
        wake = Watermark(clock: catalog.clock)
        followed = Watermark(clock: catalog.clock)
        reportUnready("the catalog is not read yet")
    }

    /// `body` is called with the collection of each write through this node, and of what may have been one, before its writer is answered.
    public func onWrite(_ body: @escaping @Sendable (CollectionName) -> Void) { whenWritten.withLock { $0 = body } }

    func tellOfWrite(to name: CollectionName) { whenWritten.withLock { $0 }?(name) }

    func reportUnready(_ summary: String) { health?.report("vectors", ApusError(.nodeUnready, summary), blocks: [.read, .write]) }

    /// Throws `store.unavailable` where there is no place for objects.
    func requireObjects() throws(ApusError) -> ObjectAccess {
        guard let objects else { throw ApusError(.storeUnavailable, "this node has no store", hint: "apus doctor") }
        return objects
    }

    // MARK: The collections of this node

    /// Nobody waits for a catalog that is known to be away. One look may have failed because this process stood still.
    var isCatalogAway: Bool { state.withLock { $0.failedLooks >= 2 } }

    var place: FeedPosition? {
        get { state.withLock { $0.place } }
        set { state.withLock { $0.place = newValue } }
    }

    func countLook(hasFailed: Bool) { state.withLock { $0.failedLooks = hasFailed ? $0.failedLooks + 1 : 0 } }

    /// Throws `catalog.unavailable` at once while the catalog is known to be away: waiting for it would only hold the client up.
    func requireCatalog() throws(ApusError) {
        if isCatalogAway { throw ApusError(.catalogUnavailable, "the catalog does not answer at this moment", hint: "apus doctor catalog") }
    }

    /// Throws `node.unready` before the catalog was read for the first time.
    func loaded() throws(ApusError) -> [CollectionName: LoadedCollection] {
        guard let collections = state.withLock({ $0.collections }) else {
            throw ApusError(.nodeUnready, "this node has not read the catalog yet")
        }
        return collections
    }

    var hasReadCatalog: Bool { state.withLock { $0.collections != nil } }

    func allShards() -> [Shard] { state.withLock { $0.collections?.values.flatMap(\.shards) ?? [] } }

    /// Those that this node has a replica of.
    func hostedShards() -> [Shard] { allShards().filter(\.isHosted) }

    /// The collection `name`, after a look at the catalog if this node does not know it. Throws `collection.unknown`, and `auth.forbidden`
    /// when the caller's key is not for it: this is where each access is judged, by the collection's own name, whatever alias was said.
    func find(_ name: CollectionName, deadline: Instant) async throws -> LoadedCollection {
        if let known = try loaded()[name] ?? aliased(name) {
            try Caller.scope.require(known.name)
            return known
        }
        try requireCatalog()
        guard let row = try await findRow(name, deadline: deadline) else {
            try Caller.scope.require(name)
            throw Self.unknown(name)
        }
        try Caller.scope.require(row.name)
        let collection = try await adopt(row, isNew: false, deadline: deadline)
        // Another node has just made it, most likely, so there is little to load; a large one answers `node.unready` until it is there.
        await ready(collection, deadline: deadline)
        return collection
    }

    /// Has the follower look at a collection that it has not seen yet, and waits for that as long as a write would.
    func ready(_ collection: LoadedCollection, deadline: Instant) async {
        let hosted = collection.shards.filter(\.isHosted)
        guard hosted.contains(where: { $0.lookedAt.value == 0 }) else { return }
        wake.rise(by: 1)
        let patience = min(deadline, clock.now.advanced(by: options.acknowledgeWithin))
        for shard in hosted { _ = await shard.lookedAt.wait(for: 1, until: patience) }
    }

    private func load(_ row: CollectionRow, isNew: Bool = false) throws(ApusError) -> LoadedCollection {
        try LoadedCollection(row, incarnation: catalog.incarnation, isNew: isNew, node: peers?.node, clock: clock)
    }

    /// Makes a collection of the catalog known, with the nodes that serve it.
    func adopt(_ row: CollectionRow, isNew: Bool, deadline: Instant) async throws -> LoadedCollection {
        let collection = adopt(try load(row, isNew: isNew))
        if peers != nil { adopt(try await catalog.shards.list(of: row.id, deadline: deadline), for: collection.shards) }
        return collection
    }

    /// Makes a collection known, unless it is, or a newer one of its name is.
    @discardableResult
    func adopt(_ collection: LoadedCollection) -> LoadedCollection {
        state.withLock { state in
            if let known = state.collections?[collection.name], known.id >= collection.id { return known }
            state.collections?[collection.name] = collection
            return collection
        }
    }

    /// Forgets collections that are gone. Nobody looks at their logs any more, so who waits for that is told.
    func forget(_ isGone: (LoadedCollection) -> Bool) {
        let gone = state.withLock { state in
            let gone = state.collections?.filter { isGone($0.value) } ?? [:]
            for name in gone.keys { state.collections?[name] = nil }
            return gone.values
        }
        for shard in gone.flatMap(\.shards) { shard.end(asOf: clock.now) }
    }

    /// Takes the catalog's list as the truth, all at once: what is new is to be loaded, what is gone is forgotten, the rest stays. So does
    /// what was made after the list was read: ids rise.
    func reconcile(_ rows: [CollectionRow], readAt: Instant) {
        let read = rows.compactMap(understood)
        let newest = rows.map(\.id).max() ?? CollectionID(0)
        state.withLock { state in
            let known = state.collections ?? [:]
            var collections = known.filter { $0.value.id > newest }
            for collection in read where collections[collection.name] == nil {
                collections[collection.name] = known[collection.name].flatMap { $0.id == collection.id ? $0 : nil } ?? collection
            }
            for row in rows { collections[row.name]?.adopt(row, readAt: readAt) }
            state.collections = collections
        }
    }

    /// A collection that this program does not understand is left out, and said to be.
    private func understood(_ row: CollectionRow) -> LoadedCollection? {
        do throws(ApusError) {
            return try load(row)
        } catch {
            log.error("a collection cannot be served", ["collection": row.name.rawValue, "error": error.description])
            return nil
        }
    }

    func adoptReporting(_ row: CollectionRow, readAt: Instant) {
        if let collection = understood(row) { adopt(collection).adopt(row, readAt: readAt) }
    }

    static func unknown(_ name: CollectionName) -> ApusError {
        ApusError(
            .collectionUnknown, "there is no collection '\(name)'", hint: "apus collection list", context: ["collection": name.rawValue])
    }
}
