internal import ApusCatalog
internal import ApusCluster
internal import ApusConfig
internal import ApusDatabase
internal import ApusHTTP
internal import ApusQuery
internal import ApusRPC
internal import ApusRuntime
internal import ApusSockets
internal import ApusTypes
internal import ApusVectors
internal import Glibc
internal import HugrFace

/// Runs a node until it is told to stop: SIGTERM and SIGINT finish what is begun, a second one ends at once. SIGHUP reads the
/// certificates again.
func runNode(_ configuration: Configuration) async throws {
    LogOutput.start(
        format: LogOutput.Format(rawValue: configuration.log.format.rawValue) ?? .automatic,
        level: LogLevel(configuration.log.level.rawValue) ?? .info)
    let loops = EventLoops(count: configuration.runtime.loops == 0 ? EventLoops.coreCount : configuration.runtime.loops)
    let signals = Signals.stream([.interrupt, .terminate], on: loops.first)
    let hangUps = Signals.stream([.hangUp], on: loops.first)
    let stop = StopRequest()
    // A second signal is a person who does not want to wait.
    Task {
        var count = 0
        for await _ in signals {
            count += 1
            if count == 1 { stop.request() } else { _exit(ErrorCode.ExitCode.temporary.rawValue) }
        }
    }
    let clock = BootClock()
    let health = Health(clock: clock)
    health.report("node", ApusError(.nodeUnready, "the node is starting"), blocks: Set(Health.Ability.allCases))
    let metrics = MetricsRegistry()
    let front = try await Front.open(configuration, loops: loops, health: health, metrics: metrics)
    let base = NodeBase(
        configuration: configuration, loops: loops, clock: clock, health: health, metrics: metrics, front: front,
        began: clock.now)
    guard let node = try await stop.racing({ try await Node.open(base) }) else { return }
    try await node.serve(until: stop, reloadingOn: hangUps)
}

/// What a node has before it has a catalog.
struct NodeBase: Sendable {
    var configuration: Configuration
    let loops: EventLoops
    let clock: BootClock
    let health: Health
    let metrics: MetricsRegistry
    let front: Front
    let began: Instant
}

/// The composition root: everything a node consists of, made in order, each part given the ones below it.
struct Node: Sendable {
    let base: NodeBase
    var configuration: Configuration { base.configuration }
    var loops: EventLoops { base.loops }
    var clock: BootClock { base.clock }
    var health: Health { base.health }
    var metrics: MetricsRegistry { base.metrics }
    /// The PostgreSQL that this node hosts; nil where others do.
    let hosted: HostedPostgreSQL?
    let nodeMetrics: NodeMetrics
    /// Nil for a node without a cluster secret.
    let calls: RPCPeers?
    let database: any Database
    /// Nil where none is configured.
    let replicas: ReadReplicas?
    let catalog: Catalog
    let store: NodeStore
    let cluster: Cluster
    let vectors: VectorService
    let query: NodeQuery
    var queries: QueryService { query.queries }
    let access: Access
    let listening = OpenListeners()
    static let log = Logger("node")

    /// Opens the catalog and the store. A catalog that is not there yet is waited for; everything else that is wrong is thrown.
    static func open(_ incomplete: NodeBase) async throws -> Node {
        let base = try await completed(incomplete)
        let (configuration, loops, clock, health, metrics) = (base.configuration, base.loops, base.clock, base.health, base.metrics)
        try DataDirectory.create(configuration.node.data)
        var generator = SystemRandomNumberGenerator()
        let identity = try NodeIdentity.load(
            directory: configuration.node.data, configuredName: configuration.node.name, using: &generator)

        let hosted = try await hostCatalog(configuration, loops: loops)
        let database = try await openDatabase(base)
        var options = Catalog.Options()
        options.version = Version.current
        options.log.rowLimit = configuration.vectors.rowAppend
        options.log.unsealedBytes = configuration.vectors.maxUnsealed
        let catalog = try await Catalog.open(database, clock: clock, options: options)

        let replicas = try configuration.readReplicas(of: database, loops: loops, metrics: metrics)
        await replicas?.look()
        let store = NodeStore(configuration, catalog: catalog, replicas: replicas, health: health, node: identity.name)
        // Before it is given shards that it could not load.
        if !catalog.isReadOnly { try await store.agreeOnKind(deadline: clock.now.advanced(by: .seconds(30))) }
        await store.look()

        let calls = try calls(configuration, identity.name, metrics: metrics)
        var clusterOptions = configuration.clusterOptions(storePlace: store.place)
        clusterOptions.secretProof = configuration.secretProof(for: catalog.identity.id)
        clusterOptions.join = configuration.joinTerms
        clusterOptions.settings = configuration.sharedSettings
        clusterOptions.examine = examiner(configuration, identity.name, calls, health)
        clusterOptions.hostsCatalog = hosted != nil
        let nodeMetrics = NodeMetrics(metrics)
        clusterOptions.probe = prober(try Self.calls(configuration, identity.name, metrics: metrics), nodeMetrics)
        let cluster = Cluster(identity: identity, catalog: catalog, health: health, clock: clock, options: clusterOptions)
        let scans = BlockingPool(name: "scans", threads: EventLoops.coreCount, queueLimit: 1024)
        metrics.watchProcess()
        NodeMetrics.watch([scans, store.pool], database, replicas, in: metrics)
        let objects = ObjectAccess(
            store: { try store.open() }, copies: { try store.mappable() }, intents: catalog.objects, node: identity.name)
        let models = EmbeddingModels(catalog: catalog, objects: objects, pool: scans)
        let vectors = VectorService(
            catalog: catalog, pool: scans, health: health, models: models, options: configuration.vectorOptions,
            objects: objects, peers: catalog.isReadOnly ? nil : ClusterPeers(cluster: cluster, calls: calls),
            sealer: { [session = cluster.session, name = identity.name] in session.epoch.map { Sealer(node: name, session: $0) } },
            metrics: metrics)
        let access = Access(keys: catalog.keys, clock: clock, maxStale: configuration.auth.maxStale)
        return Node(
            base: base, hosted: hosted, nodeMetrics: nodeMetrics, calls: calls, database: database,
            replicas: replicas, catalog: catalog, store: store,
            cluster: cluster,
            vectors: vectors, query: try NodeQuery(base, catalog, cluster, calls, access, vectors), access: access)
    }

    /// With the cluster's secret, and what follows from it. A node that is to find it in a shared store waits for it there.
    private static func completed(_ base: NodeBase) async throws -> NodeBase {
        guard case .peer = base.configuration.catalogPlace else { return base }
        var base = base
        while true {
            do throws(ApusError) {
                try NodeOptions.readSecrets(&base.configuration)
                return base
            } catch {
                guard error.code == .joinSecretMissing else { throw error }
                await wait(base, error, reason: error.hint ?? "")
                try Task.checkCancellation()
            }
        }
    }

    /// Says why there is no catalog yet, and lets a second pass.
    private static func wait(_ base: NodeBase, _ error: ApusError, reason: String) async {
        base.health.report("catalog", error, blocks: Set(Health.Ability.allCases))
        log.warning(
            "Waiting for PostgreSQL to become available...",
            [
                "error": error.summary, "reason": reason, "seconds": "\(Int(base.began.duration(to: base.clock.now).seconds))",
            ])
        try? await base.clock.sleep(for: .seconds(1))  // cancelled: the caller's next step says so
    }

    private static func hostCatalog(_ configuration: Configuration, loops: EventLoops) async throws -> HostedPostgreSQL? {
        guard case .hosted(let address) = configuration.catalogPlace else { return nil }
        let hosted = try HostedPostgreSQL(try NodeOptions.hosting(configuration, at: address), loops: loops)
        try await hosted.start()
        return hosted
    }

    private static func openDatabase(_ base: NodeBase) async throws -> any Database {
        let (configuration, clock) = (base.configuration, base.clock)
        guard let url = configuration.catalog.url else { return try await SQLiteDatabase.open(path: configuration.sqlitePath) }
        var refusals = 0
        // The first try is short, so that whoever waits is told soon.
        var patience = Duration.seconds(1)
        while true {
            do {
                let database = try await PostgreSQLDatabase.open(
                    url: url, loops: base.loops, patience: .seconds(1), deadline: clock.now.advanced(by: patience))
                base.health.recover("catalog")
                return database
            } catch let error as ApusError where error.code == .catalogUnavailable {
                let reason = error.context["message"] ?? ""
                // A node's database speaks English. What refuses the password refuses it each time, except while its role is being made.
                let address = reason.contains("password authentication failed") ? configuration.catalog.address : nil
                refusals = address == nil ? 0 : refusals + 1
                patience = address == nil ? configuration.catalog.connectTimeout : .seconds(1)
                let mismatch = address.map { ClusterSecret.mismatch(catalog: $0, cause: error) }
                if let mismatch, refusals >= 5 { throw mismatch }
                await wait(base, error, reason: mismatch?.summary ?? reason)
                try Task.checkCancellation()
            }
        }
    }

    /// What the leader does for all.
    private var duties: [Duty] {
        [
            cluster.placementDuty, cluster.standingsDuty,
            Duty("retention of catalog rows", every: .seconds(10)) { [catalog, configuration] _, deadline in
                _ = try await catalog.retention.sweep(
                    deletedCollections: configuration.retention.deletedCollections, deadline: deadline)
            },
            Duty("object collection", every: .seconds(60)) { [store, configuration] epoch, deadline in
                try await store.collect(retention: configuration.retention.droppedObjects, leader: epoch, deadline: deadline)
            },
            Duty("sweep of stray objects", every: .seconds(6 * 3600)) { [store] epoch, deadline in
                try await store.sweep(leader: epoch, deadline: deadline.advanced(by: .seconds(600)))
            },
        ]
    }

    /// Serves until `stop`, then drains. A part that fails ends the node with its error.
    func serve(until stop: StopRequest, reloadingOn hangUps: AsyncStream<Signals.Signal>) async throws {
        // The other listeners first: a node that cannot listen must not stand among the nodes. Until the vectors are loaded it is unready.
        let (server, bound) = (base.front.server, base.front.bound)
        server.route(try await routers())
        health.recover("node")
        for listener in bound { listening.add(listener.name, listener.url) }
        let rpcServer = rpcServer()
        try await start(rpcServer)
        let (peerServer, peerAddress) = try startPeerServer()
        let url = configuration.node.url ?? bound.first?.url ?? ""
        if configuration.node.url == nil, configuration.listeners.first?.address.isAny == true {
            Self.log.warning("nobody can reach this node under the URL that it announces; set node.url", ["url": url])
        }
        cluster.expect(listedNodes)
        try await cluster.join(at: url, rpcAddress: peerAddress, deadline: clock.now.advanced(by: .seconds(30)))
        try RunFile.write(listening.all, into: configuration.node.data)
        defer { RunFile.remove(from: configuration.node.data) }
        for (name, url) in listening.all { Self.log.notice("listening", ["listener": name, "url": url, "version": Version.current]) }

        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await catalog.run() }
            group.addTask { try await cluster.run(duties: duties) }
            group.addTask { try await vectors.run() }
            group.addTask { try await store.run() }
            group.addTask { try await query.follow() }
            group.addTask { await query.keys.run(catalog, health) }
            if let replicas { group.addTask { try await replicas.run() } }
            if let domain = configuration.cluster.dnsName { group.addTask { try await watch(domain: domain) } }
            if let hosted { group.addTask { try await hosted.supervise() } }
            group.addTask { await nodeMetrics.run(cluster, vectors) }
            group.addTask { await stop.wait() }
            group.addTask { for await _ in hangUps { server.reloadCertificates() } }
            defer { group.cancelAll() }
            try await group.next()
            let noticed = clock.now.advanced(by: configuration.unreadyWait)
            health.drain()
            await handOver()
            try? await clock.sleep(until: noticed)  // cut short: whoever does so is in a hurry
            // What was on its way to this node when it was told to stop, and has come since.
            await handOver()
            Self.log.notice("draining")
            let deadline = clock.now.advanced(by: configuration.http.drainTimeout)
            let aborted = await withTaskGroup(of: Int.self) { group in
                group.addTask { await server.drain(deadline: deadline) }
                group.addTask {
                    await query.sockets.drain()
                    return 0
                }
                group.addTask { await rpcServer?.drain(deadline: deadline) ?? 0 }
                group.addTask { await peerServer?.drain(deadline: deadline) ?? 0 }
                return await group.reduce(0, +)
            }
            if aborted > 0 { Self.log.warning("connections were cut at the end of the drain", ["connections": "\(aborted)"]) }
        }
        do {
            try await cluster.leave(deadline: clock.now.advanced(by: .seconds(2)))
        } catch let error as ApusError {
            Self.log.warning("the catalog was not told that this node leaves", ["error": error.summary])
        }
        calls?.close()
        for source in queries.schemas.current?.sources.values.map(\.self) ?? [] { await source.close() }
        await replicas?.close()
        await database.close()
        if let hosted, !configuration.catalog.keepRunning { try await hosted.stop() }
        Self.log.notice("stopped")
    }

    /// Nobody is to miss what this node alone serves while it is away.
    private func handOver() async {
        guard configuration.membership.handover > .zero else { return }
        do {
            let missing = try await cluster.handOver(deadline: clock.now.advanced(by: configuration.membership.handover))
            if missing > 0 {
                Self.log.warning("shards that only this node serves are missing until others serve them", ["shards": "\(missing)"])
            }
        } catch {
            Self.log.warning("nobody was told to serve what this node serves", ["error": "\(error)"])
        }
    }

    /// Opens the listener of the binary protocol.
    private func start(_ server: StreamServer?) async throws {
        guard let server else { return }
        var address = configuration.rpcAddress
        address.port = try await server.start(host: address.host, port: address.port, setting: "rpc.address (APUS_RPC_ADDRESS)")
        listening.add("rpc", "vectorizer://\(address)")
    }
}
