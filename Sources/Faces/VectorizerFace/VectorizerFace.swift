public import ApusCluster
public import ApusHTTP
public import ApusRuntime
public import ApusTypes
public import ApusVectors

/// Vectorizer's REST API (port 15002) in front of the vectors service and the cluster: what its guides' curl lines and its Python client send.
///
/// Replies hold the fields of the real server and those its documents promise. Where its client refuses unknown keys (a collection) they
/// hold only what it accepts.
public struct VectorizerFace: Sendable {
    public struct Options: Sendable {
        /// Beyond: 413.
        public var maxBody: ByteCount = .mebibytes(64)
        /// Points of one request. Beyond: 400.
        public var maxItems = 10_000
        /// Queries of one batch of searches. Beyond: 400.
        public var maxQueries = 100
        /// A search for more is answered with this many, and says so in `limit`.
        public var searchLimit = 100
        /// A page of a list holds no more; the reply's `limit` says so.
        public var listLimit = 50
        public var offsetLimit = 1_000_000
        /// Of a collection that is created without `sharding`.
        public var sharding: Sharding = .single
        /// Of one that is created without `replication_factor`.
        public var replicas = 1
        /// Of Apus.
        public var version = ""

        public init() {}
    }

    let vectors: VectorService
    let cluster: Cluster
    let health: Health
    let registry: MetricsRegistry
    let clock: any MonotonicClock
    let options: Options
    let metrics: VectorizerMetrics

    public init(
        vectors: VectorService, cluster: Cluster, health: Health, metrics: MetricsRegistry, clock: any MonotonicClock,
        options: Options = Options()
    ) {
        self.vectors = vectors
        self.cluster = cluster
        self.health = health
        self.clock = clock
        self.options = options
        registry = metrics
        self.metrics = VectorizerMetrics(metrics, vectors: vectors)
    }

    /// Adds the face's routes. The router's access control must run before them; each route asks for the role that it needs.
    public func mount(on router: inout Router) {
        mountMonitoring(on: &router)
        mountCollections(on: &router)
        mountPoints(on: &router)
        mountBulk(on: &router)
        mountSearch(on: &router)
        mountCluster(on: &router)
    }

    /// A route for those who may do at least what `role` may, with what it reaches; its failures are counted under its path. What is read from memory that is
    /// too old, because the catalog is away, says so in `Age` and `Warning`, whatever its body has room for.
    func route(
        _ router: inout Router, _ method: Method, _ path: String, needs role: Principal.Role?, over reach: Principal.Reach = .everything,
        _ handler: @escaping Handler
    ) {
        let metrics = metrics
        router.on(method, path) { request in
            do {
                if let role { try request.require(role, over: reach) }
                let answers = OldAnswers()
                var response = try await OldAnswers.$seen.withValue(answers) { try await handler(request) }
                if role == .reader, let age = vectors.age(of: answers) {
                    response.headers["Age"] = String(Int(age.seconds))
                    response.headers["Warning"] = #"110 apus "the catalog does not answer; this is what the node holds""#
                }
                return response
            } catch let error as ApusError {
                metrics.countError(error, endpoint: path)
                throw error
            }
        }
    }

    /// The parsed body, and its digest for requests that may come again.
    func body(of request: Request) async throws -> RequestDocument {
        try RequestDocument(bytes: await request.body.collect(limit: options.maxBody), request: request)
    }
}
