internal import ApusCatalog
internal import ApusCluster
internal import ApusConfig
internal import ApusQuery
internal import ApusRPC
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectors
internal import HugrFace

/// The query service of a node: its schema follows the catalog.
struct NodeQuery: Sendable {
    let registry: SchemaRegistry
    let queries: QueryService
    let cache: QueryCache?
    let slow: SlowStatements
    let keys: SecretKeys
    let access: QueryAccess
    let callers: CallerProviders
    /// Whose keys are asked for; nil where there is nobody.
    let issuer: RemoteIssuer?
    private let anonymousRole: String?
    private static let log = Logger("access")
    let sockets = HugrSockets()

    init(
        _ base: NodeBase, _ catalog: Catalog, _ cluster: Cluster, _ calls: RPCPeers?, _ nodeKeys: Access, _ vectors: VectorService
    ) throws(ApusError) {
        let configuration = base.configuration
        access = QueryAccess(catalog: catalog, options: configuration.accessOptions)
        issuer = configuration.remoteIssuer(loops: base.loops)
        let callers = try configuration.callerOptions()
        anonymousRole = callers.anonymousRole
        self.callers = CallerProviders(access: access, options: callers, remote: issuer) { try await nodeKeys.verify($0, deadline: $1) }
        let keys = try SecretKeys(configuration)
        self.keys = keys
        cache = try configuration.queryCache(catalog, loops: base.loops, metrics: base.metrics)
        let jq = JQWorkers(loops: base.loops, options: .ofThisProgram)
        let opener = configuration.sourceOpener(loops: base.loops, transform: jq.transform, collections: NodeCollections(vectors: vectors))
        registry = SchemaRegistry(
            catalog: catalog, secrets: { keys.current },
            peers: catalog.isReadOnly ? nil : ClusterSchemaPeers(peers: ClusterPeers(cluster: cluster, calls: calls)), health: base.health,
            metrics: base.metrics, describe: { try await opener.describe($0) }, open: { try await opener.open($0) })
        registry.configure(try configuration.sourceDefinitions())
        let isManager = configuration.clusterOptions(storePlace: "").roles.contains(.manager)
        registry.add(
            CoreSource.all(
                registry,
                facts: CoreSource.Facts(version: Version.current, isManager: isManager) {
                    cluster.knownNodes.first { $0.roles.contains(.manager) && $0.status == .active }?.url
                }, access: access, cache: cache))
        // Nobody is told of writes to collections that nobody asks for here.
        if let cache {
            vectors.onWrite { [holder = registry.holder] name in
                if holder.current?.collections.contains(name.rawValue) == true { cache.changed(collection: name.rawValue) }
            }
        }
        var options = configuration.queryOptions
        options.transform = jq.transform
        slow = SlowStatements(threshold: configuration.query.slowTime, metrics: base.metrics)
        queries = QueryService(schemas: registry.holder, loops: base.loops.all.count, cache: cache, slow: slow, options: options)
    }
}

extension JQWorkers.Options {
    /// The program itself, which is a worker when it is started so.
    fileprivate static var ofThisProgram: JQWorkers.Options {
        var options = JQWorkers.Options(executable: "/proc/self/exe")
        options.arguments = [JQProcess.argument]
        return options
    }
}

extension NodeQuery {
    /// Follows the catalog and the issuer. Says what may be done by whoever brings no credential.
    func follow() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await registry.run() }
            group.addTask { try await access.run() }
            if let cache { group.addTask { try await cache.run() } }
            if let issuer { group.addTask { await issuer.run() } }
            if let role = anonymousRole { group.addTask { try await tell(ofAnonymous: role) } }
            while try await group.next() != nil {}
        }
    }

    private func tell(ofAnonymous role: String) async throws {
        for await _ in BootClock().ticks(every: .milliseconds(100)) {
            guard let description = access.description(ofRole: role) else { continue }
            Self.log.warning("whoever reaches this node may ask the query service without a credential", description)
            return
        }
    }
}

/// The other nodes, as the schema's registry sees them.
private struct ClusterSchemaPeers: SchemaPeers {
    let peers: ClusterPeers

    var node: NodeName { peers.node }

    /// As the catalog has them now: one that joined a moment ago is asked too.
    func others(deadline: Instant) async -> [NodeName] {
        let rows = (try? await peers.cluster.nodes(deadline: deadline)) ?? peers.cluster.knownNodes  // what was read last has to do
        return rows.filter { $0.name != node && $0.status != .left }.map(\.name)
    }

    func call(_ node: NodeName, _ method: String, _ message: [UInt8], deadline: Instant) async throws -> [UInt8] {
        try await peers.call(node, method, message, deadline: deadline)
    }
}
