internal import ApusCatalog
internal import ApusCluster
internal import ApusConfig
internal import ApusHTTP
internal import ApusMembership
internal import ApusRender
internal import ApusRuntime
internal import ApusSockets
internal import ApusThunder
internal import ApusTypes
internal import ApusVectors
internal import ConsoleFace
internal import Glibc
internal import HugrFace
internal import QdrantFace
internal import VectorizerFace

extension Node {
    /// What each listener serves, by its name. A node that other machines can reach has an administrator's key from its first start.
    func routers() async throws -> [String: Router] {
        let rpc = configuration.rpc.isEnabled ? [configuration.rpcAddress] : []
        if (configuration.listeners.map(\.address) + rpc).contains(where: { !$0.isLoopback }), !catalog.isReadOnly {
            let file = configuration.node.data + "/admin.key"
            if let key = try await access.makeFirstKey(keptIn: file, deadline: clock.now.advanced(by: .seconds(10))) {
                // At once: what `print` keeps back for a pipe is lost with the process.
                Terminal.write("administrator's key, shown this once and kept in \(file):\n\(key.reveal())\n", to: STDOUT_FILENO)
            }
        }
        return Dictionary(uniqueKeysWithValues: configuration.listeners.map { ($0.name, router(for: $0)) })
    }

    /// The server of Vectorizer's binary protocol; nil when it is turned off.
    func rpcServer() -> StreamServer? {
        let rpc = configuration.rpc
        guard rpc.isEnabled else { return nil }
        var options = VectorizerRPC.Options()
        options.thunder.frame = rpc.maxFrame
        options.thunder.held = rpc.maxFrame
        options.thunder.mostOutput = ByteCount(4 * rpc.maxFrame.bytes)
        options.thunder.idleTime = rpc.idleTimeout
        options.callTime = configuration.http.requestTimeout
        options.isOpenToLocalUser = configuration.rpcAddress.isLoopback
        var limits = StreamServer.Limits()
        limits.connections = rpc.maxConnections
        return VectorizerRPC(face: vectorizerFace(), access: access, trust: trust, metrics: metrics, options: options)
            .server(loops: loops, limits: limits, metrics: metrics)
    }

    private var trust: LocalTrust {
        LocalTrust(isEnabled: configuration.auth.loopback, nodeUser: geteuid(), nodeURL: configuration.node.url)
    }

    private func vectorizerFace() -> VectorizerFace {
        var options = VectorizerFace.Options()
        options.maxBody = configuration.faces.vectorizer.maxBody
        options.maxItems = configuration.vectors.maxPointsPerRequest
        options.sharding = Sharding(
            shards: configuration.vectors.defaultShards, virtualNodes: configuration.vectors.defaultVirtualNodes)
        options.replicas = configuration.vectors.defaultReplicas
        options.version = Version.current
        return VectorizerFace(vectors: vectors, cluster: cluster, health: health, metrics: metrics, clock: clock, options: options)
    }

    private func router(for listener: Configuration.Listener) -> Router {
        var router = Router()
        if listener.faces == [.service] {
            router.use(AccessControl(trust: trust, open: HugrFace.servicePaths) { _, _ in nil })
            HugrFace.mountService(on: &router, metrics: metrics)
            return router
        }
        let isQdrantAtRoot = listener.isQdrantAtRoot
        router.use(FaceCORS(configuration.faces, isQdrantAtRoot: isQdrantAtRoot))
        router.use(Compression())
        let hasHugr = listener.faces.contains(.hugr)
        router.use(
            AccessControl(trust: trust, judgesItself: { hasHugr && HugrFace.owns($0) }) { [access] key, deadline in
                try await access.verify(key, deadline: deadline)
            })
        var consoleOptions = ConsoleFace.Options()
        consoleOptions.maxBody = configuration.faces.console.maxBody
        consoleOptions.version = Version.current
        consoleOptions.listeners = { [listening] in listening.all }
        consoleOptions.askNodes = { try await askNodes($0, $1, only: $2, deadline: $3) }
        let console = ConsoleFace(
            cluster: cluster, access: access, vectors: vectors, health: health, metrics: metrics, clock: clock, options: consoleOptions)
        if listener.faces.contains(.console) { console.mount(on: &router) } else { console.mountHealth(on: &router) }
        if listener.faces.contains(.vectorizer) {
            vectorizerFace().mount(on: &router)
        }
        if listener.faces.contains(.qdrant) {
            mountQdrant(on: &router, atRoot: isQdrantAtRoot, besideConsole: listener.faces.contains(.console))
        }
        if listener.faces.contains(.hugr) {
            var options = HugrFace.Options()
            options.maxBody = configuration.faces.hugr.maxBody
            options.requestTime = configuration.http.requestTimeout
            options.origins = configuration.faces.hugr.corsOrigins
            options.hasPage = configuration.faces.hugrPage
            options.sockets = query.sockets
            HugrFace(
                queries: queries, registry: query.registry, callers: HugrCallers(query.callers, trust: trust), metrics: metrics,
                options: options
            ).mount(on: &router)
        }
        router.errors(listener.errorReply)
        return router
    }

    /// Under `/qdrant`, and at the root too where no other API has the paths there.
    private func mountQdrant(on router: inout Router, atRoot: Bool, besideConsole: Bool) {
        var options = QdrantFace.Options()
        options.maxBody = configuration.faces.qdrant.maxBody
        options.maxReply = configuration.faces.qdrantReply
        options.sharding = Sharding(
            shards: configuration.vectors.defaultShards, virtualNodes: configuration.vectors.defaultVirtualNodes)
        options.replicas = configuration.vectors.defaultReplicas
        options.version = Version.current
        let face = QdrantFace(
            vectors: vectors, cluster: cluster, health: health, metrics: metrics, clock: clock, client: HTTPClient(loops: loops),
            options: options)
        face.mount(on: &router)
        if atRoot { face.mount(on: &router, under: "", withMetrics: !besideConsole) }
    }
}

extension Configuration.Listener {
    /// Whether Qdrant's paths are at the root: those of Vectorizer, which has the same ones, are not there.
    var isQdrantAtRoot: Bool { faces.contains(.qdrant) && !faces.contains(.vectorizer) }

    /// Each client reads errors in a shape of its own.
    func errorReply(_ error: ApusError, _ request: Request) -> Response {
        if ConsoleFace.owns(request.path), faces.contains(.console) || request.path.first == "health" {
            return Router.defaultErrorResponse(error, request)
        }
        if faces.contains(.hugr), HugrFace.owns(request.path) || faces == [.hugr] { return HugrFace.errorReply(error, request) }
        if isQdrantAtRoot || QdrantFace.owns(request.path) { return QdrantFace.errorReply(error, request) }
        return faces.contains(.vectorizer) ? VectorizerFace.errorReply(error, request) : Router.defaultErrorResponse(error, request)
    }
}

extension BoundListener {
    /// `http://127.0.0.1:15002`.
    var url: String { "http\(isTLS ? "s" : "")://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}

extension Configuration {
    /// How long a node that stops says so before it refuses anything: what balancers in front need to notice, and nothing where no other machine
    /// can reach it.
    var unreadyWait: Duration {
        http.unready ?? (listeners.allSatisfy(\.address.isLoopback) ? .zero : LoadBalancerTimings().unreadyWait)
    }

    func clusterOptions(storePlace: String) -> Cluster.Options {
        var options = Cluster.Options(version: Version.current, storePlace: storePlace)
        options.roles = Set(node.roles.map { $0 == .manager ? .manager : .worker })
        options.storeHome = store.kind == .catalog ? .catalog : store.directory == nil ? .ownDirectory : .directory
        options.terms.length = leases.length
        options.terms.renewal = leases.renewal
        options.terms.poll = leases.poll
        options.terms.margin = leases.holderMargin
        options.membership.suspectAfter = membership.suspectAfter
        options.membership.downAfter = membership.downAfter
        options.membership.flapPenalty = membership.flapPenalty
        options.absenceGrace = membership.absenceGrace
        options.restartWindow = membership.restartWindow
        options.movesAtOnce = membership.movesAtOnce
        options.probeInterval = membership.probe
        options.probeTime = membership.probeTimeout
        return options
    }

    var vectorOptions: VectorService.Options {
        var options = VectorService.Options()
        options.sealPolicy.points = vectors.sealPoints
        options.sealPolicy.leastPoints = min(options.sealPolicy.leastPoints, vectors.sealPoints)
        // Long before writes are refused for it.
        options.sealPolicy.bytes = min(options.sealPolicy.bytes, ByteCount(vectors.maxUnsealed.bytes / 4))
        options.scrubInterval = vectors.scrubInterval
        if let memory = MachineMemory.current() { options.searchMemory = min(vectors.searchMemory, ByteCount(memory.usable.bytes / 4)) }
        return options
    }

    var httpLimits: HTTPLimits {
        var limits = HTTPLimits.standard
        limits.connectionsPerListener = http.maxConnections
        limits.connections = http.maxConnections * max(1, listeners.count)
        limits.requestLine = http.maxPathBytes
        limits.head = http.maxHeaderBytes
        limits.headerCount = http.maxHeaders
        limits.headTime = http.headerTimeout
        limits.bodyStallTime = http.bodyTimeout
        limits.idleTime = http.idleTimeout
        limits.requestTime = http.requestTimeout
        return limits
    }
}
