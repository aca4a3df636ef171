public import ApusCatalog
public import ApusCluster
internal import ApusDatabase
public import ApusHTTP
public import ApusRuntime
import ApusSockets
internal import ApusStore
public import ApusTypes
public import ApusVectors
internal import ConsoleFace
public import DatabaseTestKit
public import HTTPTestKit
internal import QdrantFace
internal import Synchronization
public import TestKit
public import VectorizerFace

/// A cluster of one.
private struct LonePeers: VectorPeers {
    let cluster: Cluster
    var node: NodeName { cluster.identity.name }

    func isUsable(_ node: NodeName) -> Bool { false }

    func call(_ node: NodeName, _ method: String, _ message: [UInt8], deadline: Instant) async throws -> [UInt8] {
        throw ApusError(.peerUnavailable, "there is no node \(node)")
    }

    func place(replicas: Int, deadline: Instant) async throws -> @Sendable ([ShardID]) -> [ShardPlacement] {
        let new = try await cluster.newShards(replicas: replicas, deadline: deadline)
        return { new.placements(of: $0) }
    }
}

/// A whole node in this process: SQLite catalog in a temporary directory, services, both faces on a real server on loopback.
public struct TestNode: Sendable {
    public struct Options: Sendable {
        public var isLoopbackTrusted = true
        public var http = HTTPLimits.standard
        public var face = VectorizerFace.Options()
        public var host = "127.0.0.1"
        public var maxStale: Duration = .seconds(300)
        public var vectors = VectorService.Options()
        public var log = ShardLog.Options()
        public var rpc = VectorizerRPC.Options()
        /// Of the catalog as a store of models.
        public var storeLimit: ByteCount = .gibibytes(1)
        public init() { face.version = "0.1-test" }
    }

    public let port: Int
    /// Of Vectorizer's binary protocol.
    public let rpcPort: Int
    public let catalog: Catalog
    public let cluster: Cluster
    public let access: Access
    public let vectors: VectorService
    public let health: Health
    public let database: RemovableDatabase
    public let directory: TemporaryDirectory
    public let clock: BootClock
    /// The epochs under which the leader's duty was done.
    public let duties: Duties
    /// Of its HTTP listener.
    public let routes: [(method: ApusHTTP.Method, path: String)]

    public final class Duties: Sendable {
        private let epochs = Mutex<[Epoch?]>([])
        func add(_ epoch: Epoch) { epochs.withLock { $0.append(epoch) } }
        public func contains(_ epoch: Epoch?) -> Bool { epochs.withLock { $0.contains(epoch) } }
    }

    public var deadline: Instant { clock.now.advanced(by: .seconds(20)) }

    /// Starts a node in `directory` (a new one when nil), runs `body`, and stops the node.
    public static func with<Value: Sendable>(
        _ options: Options = Options(), in directory: TemporaryDirectory? = nil, _ body: @Sendable (TestNode) async throws -> Value
    ) async throws -> Value {
        let directory = try directory ?? TemporaryDirectory()
        let clock = BootClock()
        let database = RemovableDatabase(try await SQLiteDatabase.open(path: directory.path + "/catalog.sqlite"))
        var catalogOptions = Catalog.Options()
        catalogOptions.log = options.log
        let catalog = try await Catalog.open(database, clock: clock, options: catalogOptions)
        let health = Health(clock: clock)
        let metrics = MetricsRegistry()
        var random = SystemRandomNumberGenerator()
        let identity = try NodeIdentity.load(directory: directory.path, configuredName: "node-1", using: &random)
        let cluster = Cluster(
            identity: identity, catalog: catalog, health: health, clock: clock,
            options: .init(version: "0.1-test", storePlace: directory.path + "/store"))
        let pool = BlockingPool(name: "vectors", threads: 2, queueLimit: 64)
        let store = CatalogStore(database: database, maxBytes: options.storeLimit)
        let copies = try await LocalCache.open(
            directory.path + "/models", of: store, capacity: .gibibytes(1), deadline: clock.now.advanced(by: .seconds(10)))
        let objects = ObjectAccess(store: { store }, copies: { copies }, intents: catalog.objects, node: identity.name)
        let models = EmbeddingModels(catalog: catalog, objects: objects, pool: pool)
        let vectors = VectorService(
            catalog: catalog, pool: pool, health: health, models: models, options: options.vectors, objects: objects,
            peers: LonePeers(cluster: cluster))
        let access = Access(keys: catalog.keys, clock: clock, maxStale: options.maxStale)
        let face = VectorizerFace(vectors: vectors, cluster: cluster, health: health, metrics: metrics, clock: clock, options: options.face)
        let console = ConsoleFace(cluster: cluster, access: access, vectors: vectors, health: health, metrics: metrics, clock: clock)

        var router = Router()
        let trust = LocalTrust(isEnabled: options.isLoopbackTrusted)
        router.use(AccessControl(trust: trust) { try await access.verify($0, deadline: $1) })
        router.errors { error, request in
            if ConsoleFace.owns(request.path) { return Router.defaultErrorResponse(error, request) }
            return QdrantFace.owns(request.path) ? QdrantFace.errorReply(error, request) : VectorizerFace.errorReply(error, request)
        }
        face.mount(on: &router)
        QdrantFace(vectors: vectors, cluster: cluster, health: health, metrics: metrics, clock: clock).mount(on: &router)
        console.mount(on: &router)
        let routes = router.routes
        let loops = EventLoops(count: 2)
        defer { loops.stop() }
        let server = HTTPServer(
            loops: loops, listeners: [ListenerConfiguration(name: "main", host: options.host, port: 0, router: router)],
            limits: options.http, metrics: metrics)
        var streams = StreamServer.Limits()
        streams.sweepInterval = .milliseconds(20)
        let rpc = VectorizerRPC(face: face, access: access, trust: trust, metrics: metrics, options: options.rpc)
            .server(loops: loops, limits: streams, metrics: metrics)

        return try await withThrowingTaskGroup(of: Void.self) { group in
            let duties = Duties()
            let duty = Duty("test", every: .milliseconds(50)) { epoch, _ in duties.add(epoch) }
            for run in [catalog.run, vectors.run] as [@Sendable () async throws -> Void] { group.addTask { try await run() } }
            group.addTask { try await cluster.run(duties: [duty]) }
            try await cluster.join(at: "http://192.168.1.10:15002", deadline: clock.now.advanced(by: .seconds(10)))
            try await eventually("the node is ready") { (try? vectors.collections()) != nil && health.readiness().isReady }
            let bound = try await server.start()
            let rpcPort = try await rpc.start(host: options.host, port: 0, setting: "rpc.address")
            let node = TestNode(
                port: bound[0].port, rpcPort: rpcPort, catalog: catalog, cluster: cluster, access: access, vectors: vectors, health: health,
                database: database, directory: directory, clock: clock, duties: duties, routes: routes)
            let outcome: Result<Value, any Error>
            do { outcome = .success(try await body(node)) } catch { outcome = .failure(error) }
            await server.drain(deadline: clock.now)
            await rpc.drain(deadline: clock.now)
            group.cancelAll()
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
            await database.close()
            return try outcome.get()
        }
    }

    // MARK: Requests

    public struct Reply: Sendable {
        public var status: Int
        public var raw: RawReply
        /// Null when the body is not JSON.
        public var json: JSONValue

        public subscript(key: String) -> JSONValue? { json[key] }
    }

    /// Sends one request over a connection of its own.
    public func send(
        _ method: String, _ path: String, _ body: [UInt8]? = nil, headers: [(String, String)] = [("Host", "localhost")]
    ) async throws -> Reply {
        let client = try RawClient(port: port)
        var head = "\(method) \(path) HTTP/1.1\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let body { head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n" }
        try await client.send(Array((head + "Connection: close\r\n\r\n").utf8) + (body ?? []))
        let reply = try await ReplyReader(client).next(toHead: method == "HEAD")
        return Reply(status: reply.status, raw: reply, json: (try? JSONValue(parsing: reply.body)) ?? .null)
    }

    public func get(_ path: String) async throws -> Reply { try await send("GET", path) }
    public func delete(_ path: String) async throws -> Reply { try await send("DELETE", path) }
    public func post(_ path: String, _ body: JSONValue, headers: [(String, String)] = []) async throws -> Reply {
        try await send("POST", path, body.serialized(), headers: [("Host", "localhost")] + headers)
    }
    public func post(_ path: String, text: String) async throws -> Reply { try await send("POST", path, Array(text.utf8)) }
}
