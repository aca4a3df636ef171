public import ApusCluster
public import ApusHTTP
public import ApusRuntime
public import ApusTypes
public import ApusVectors

/// Apus's own API: health for probes, status for operators, API keys, the models of the cluster, and the care of collections.
///
/// Its health paths belong on every listener (`mountHealth`), the rest where the console is (`mount`). No other face has paths there.
public struct ConsoleFace: Sendable {
    public struct Options: Sendable {
        /// Beyond: 413.
        public var maxBody: ByteCount = .mebibytes(1)
        /// Of Apus.
        public var version = ""
        /// Where the node listens, of every protocol.
        public var listeners: @Sendable () -> [(name: String, url: String)] = { [] }

        /// Puts a question to all nodes, or to one: the call's name, what each is asked, whom, until when. Throws `node.unknown`.
        public var askNodes: @Sendable (String, @Sendable (NodeName) -> [UInt8], NodeName?, Instant) async throws -> [NodeAnswer] = {
            _, _, _, _ in []
        }

        public init() {}
    }

    let cluster: Cluster
    let access: Access
    let vectors: VectorService
    let health: Health
    let registry: MetricsRegistry
    let clock: any MonotonicClock
    let options: Options

    public init(
        cluster: Cluster, access: Access, vectors: VectorService, health: Health, metrics: MetricsRegistry, clock: any MonotonicClock,
        options: Options = Options()
    ) {
        self.cluster = cluster
        self.access = access
        self.vectors = vectors
        self.health = health
        self.clock = clock
        self.options = options
        registry = metrics
    }

    /// Health paths and everything else. The router's access control must run before them.
    public func mount(on router: inout Router) {
        mountHealth(on: &router)
        router.on(.get, "/metrics") { request in
            try request.require(.reader)
            return Response(type: "text/plain; version=0.0.4; charset=utf-8", bytes: registry.text())
        }
        router.on(.get, "/api/status", status)
        mountKeys(on: &router)
        mountModels(on: &router)
        mountCollections(on: &router)
        mountNodes(on: &router)
        mountJoining(on: &router)
        mountShards(on: &router)
        mountMembers(on: &router)
        mountLogs(on: &router)
        mountVitals(on: &router)
        mountSlow(on: &router)
    }

    /// Below `/api`.
    private static let roots: Set = [
        "status", "keys", "models", "collections", "forecast", "nodes", "records", "shards", "rebalance", "deleted-collections",
        "logs", "vitals", "slow-statements",
    ]

    /// Whether a path is this face's: errors there have its shape, also where another face shares the listener.
    public static func owns(_ path: [String]) -> Bool {
        switch path.first {
        case "api": path.count > 1 && Self.roots.contains(path[1])
        case "health": path.count > 1
        case "metrics": path.count == 1
        default: false
        }
    }
}
