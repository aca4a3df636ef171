public import ApusCluster
public import ApusHTTP
public import ApusRuntime
public import ApusTypes
public import ApusVectors

/// Qdrant's REST API in front of the vectors service: what `qdrant-client` 1.20 sends, answered with the shapes, texts and status codes of
/// its server. Under `/qdrant` on Vectorizer's listener, or at the root of a listener of its own (`docs/qdrant.md`).
public struct QdrantFace: Sendable {
    public struct Options: Sendable {
        /// Beyond: 413. Qdrant's own limit.
        public var maxBody: ByteCount = .mebibytes(32)
        /// Points of one reply, as `ReplyBudget` counts them. Beyond: 400.
        public var maxReply: ByteCount = .mebibytes(64)
        /// An uploaded snapshot. Beyond: 413.
        public var maxSnapshot: ByteCount = .gibibytes(64)
        /// Requests in one batch of queries or of operations. Beyond: 400.
        public var maxBatch = 1000
        /// Of a collection that is created without `shard_number`.
        public var sharding: Sharding = .single
        /// Of one that is created without `replication_factor`.
        public var replicas = 1
        /// Of Apus.
        public var version = ""

        public init() {}
    }

    /// The version of Qdrant's API that clients are told: theirs compare it with their own.
    public static let apiVersion = "1.20.0"

    let vectors: VectorService
    let cluster: Cluster
    let health: Health
    let registry: MetricsRegistry
    let clock: any MonotonicClock
    let options: Options
    let metrics: QdrantMetrics
    /// Asks other servers for snapshots.
    let client: HTTPClient?

    public init(
        vectors: VectorService, cluster: Cluster, health: Health, metrics: MetricsRegistry, clock: any MonotonicClock,
        client: HTTPClient? = nil, options: Options = Options()
    ) {
        self.vectors = vectors
        self.cluster = cluster
        self.health = health
        self.clock = clock
        self.client = client
        self.options = options
        registry = metrics
        self.metrics = QdrantMetrics(metrics, vectors: vectors)
    }

    /// Adds the face's routes under `prefix` (`/qdrant`, or nothing for the root). The router's access control must run before them.
    /// `withMetrics` is false where another face has `/metrics` at the same place.
    public func mount(on router: inout Router, under prefix: String = "/qdrant", withMetrics: Bool = true) {
        var routes = Routes(face: self, prefix: prefix, router: router)
        mountService(on: &routes, withMetrics: withMetrics)
        mountCollections(on: &routes)
        mountAliases(on: &routes)
        mountIndexes(on: &routes)
        mountPoints(on: &routes)
        mountPayloads(on: &routes)
        mountQueries(on: &routes)
        mountSnapshots(on: &routes)
        mountCluster(on: &routes)
        router = routes.router
    }

    /// Whether a path is this face's where it is mounted under `/qdrant`: errors there have its shape.
    public static func owns(_ path: [String]) -> Bool { path.first == "qdrant" }

    /// What a route answers: the result of the envelope, or a whole response.
    enum Answer {
        case result(JSONValue)
        /// Writes the result.
        case written((inout JSONWriter) -> Void)
        case response(Response)
    }

    /// Adds routes with what all of them share: the role they need and what they reach, the envelope, metrics.
    struct Routes {
        let face: QdrantFace
        let prefix: String
        var router: Router

        mutating func on(
            _ method: Method, _ path: String, needs role: Principal.Role?, over reach: Principal.Reach? = nil,
            _ handler: @escaping @Sendable (Request) async throws -> Answer
        ) {
            let reach = reach ?? (path.hasPrefix("/collections") ? .collections : .everything)
            let face = face
            router.on(method, prefix + path) { request in
                let start = face.clock.now
                func seconds() -> Double { start.duration(to: face.clock.now).seconds }
                do {
                    if let role { try request.require(role, over: reach) }
                    var request = request
                    try request.applyTimeout(face.clock)
                    let answers = OldAnswers()
                    let result = try await OldAnswers.$seen.withValue(answers) { [request] in try await handler(request) }
                    var response: Response
                    switch result {
                    case .response(let whole): response = whole
                    case .result(let value): response = QdrantFace.envelope(seconds()) { $0.value(value) }
                    case .written(let write): response = QdrantFace.envelope(seconds(), write)
                    }
                    if role == .reader, let age = face.vectors.age(of: answers) {
                        // Its client shows nothing of this; proxies and logs do.
                        response.headers["Age"] = String(Int(age.seconds))
                        response.headers["Warning"] = #"110 apus "the catalog does not answer; this is what the node holds""#
                    }
                    face.metrics.count(method, path, response.status, seconds())
                    return response
                } catch let error as ApusError {
                    face.metrics.count(method, path, error.code.surface.http, seconds())
                    throw error
                }
            }
        }
    }

    fileprivate static func envelope(_ seconds: Double, _ write: (inout JSONWriter) -> Void) -> Response {
        var writer = JSONWriter(reserving: 256)
        writer.object {
            $0.key("result")
            write(&$0)
            $0.member("status", "ok")
            $0.member("time", seconds)
        }
        return .json(writer.bytes)
    }

    /// A list in JSON, made with a pause now and then in which the loop serves others.
    static func list<Element>(
        _ elements: [Element], _ write: (Element, inout JSONWriter) -> Void
    ) async -> [UInt8] {
        var bytes = [UInt8(ascii: "[")]
        var pause = written
        for element in elements {
            if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
            var writer = JSONWriter()
            write(element, &writer)
            bytes += writer.bytes
            if bytes.count >= pause {
                pause = bytes.count + written
                await Task.yield()
            }
        }
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }

    /// Bytes between two pauses: some milliseconds.
    private static let written = 1 << 20

    /// The parsed body: an object.
    func body(of request: Request) async throws -> JSONElement {
        let bytes = try await request.body.collect(limit: options.maxBody)
        guard !bytes.isEmpty else { throw ApusError.format("", "EOF while parsing a value at line 1 column 0") }
        let root = try JSONDocument(parsing: bytes).root
        guard root.kind == .object else { throw ApusError.format("", "invalid type: expected an object") }
        return root
    }

    /// The collection that the path names.
    func name(_ request: Request) throws -> CollectionName { try CollectionName(request.parameter("collection")) }
}

extension Request {
    /// The client's own patience (`timeout`, seconds) where it is shorter than the server's, and parameters that are only checked: this
    /// server writes to all replicas and reads what was acknowledged, whichever consistency or ordering is asked for.
    fileprivate mutating func applyTimeout(_ clock: any MonotonicClock) throws {
        if let text = query["timeout"] {
            guard let seconds = Int(text) else { throw ApusError.query("timeout", "invalid digit found in string") }
            guard seconds >= 1 else { throw ApusError.invalidQuery("timeout", "value \(seconds) invalid, must be 1 or larger") }
            deadline = min(deadline, clock.now.advanced(by: .seconds(min(seconds, 86_400))))
        }
        if let ordering = query["ordering"], !["weak", "medium", "strong"].contains(ordering) {
            throw ApusError.query("ordering", "unknown variant `\(ordering)`, expected one of `weak`, `medium`, `strong`")
        }
        if let consistency = query["consistency"], !["majority", "quorum", "all"].contains(consistency) {
            guard let factor = Int(consistency) else { throw ApusError.query("consistency", "expected a number, majority, quorum or all") }
            guard factor >= 1 else { throw ApusError.invalidQuery("consistency", "value \(factor) invalid, must be 1 or larger") }
        }
        if let wait = query["wait"], wait != "true", wait != "false" {
            throw ApusError.query("wait", "provided string was not `true` or `false`")
        }
    }

    /// Whether the client waits until the write shows. All of them do show when they are answered; only the word differs.
    var waits: Bool { query["wait"] == "true" }
}
