public import ApusHTTP
public import ApusQuery
public import ApusRuntime
public import ApusTypes

/// Hugr's HTTP API in front of the query service: GraphQL over HTTP at `/query`, in the form that its clients read and in that of the
/// specification (https://graphql.github.io/graphql-over-http/draft/).
public struct HugrFace: Sendable {
    public struct Options: Sendable {
        /// Beyond: 413.
        public var maxBody: ByteCount = .mebibytes(8)
        /// Of one message's question over a WebSocket.
        public var requestTime: Duration = .seconds(60)
        /// How long a client of `/subscribe` may take to say who it is.
        public var initTime: Duration = .seconds(10)
        /// Whose pages may open a WebSocket beside the server's own; `*` for all.
        public var origins: [String] = []
        /// Whether there is a page to ask with.
        public var hasPage = true
        /// Where a node that stops finds its open sessions.
        public var sockets = HugrSockets()

        public init() {}
    }

    let queries: QueryService
    let options: Options
    let callers: HugrCallers
    let metrics: HugrMetrics
    private let registry: SchemaRegistry

    public init(
        queries: QueryService, registry: SchemaRegistry, callers: HugrCallers, metrics: MetricsRegistry, options: Options = Options()
    ) {
        self.queries = queries
        self.registry = registry
        self.callers = callers
        self.options = options
        self.metrics = HugrMetrics(metrics)
    }

    /// Adds the face's routes. The router's access control must run before them.
    public func mount(on router: inout Router) {
        router.on(.post, "/query") { try await answer($0) }
        router.on(.get, "/query") { try await answer($0) }
        router.on(.post, "/jq-query") { try await transformed($0) }
        for path in ["/ipc", "/ipc/"] {
            router.on(.post, path) { try await answerParts($0) }
            router.on(.get, path) { try await upgradeParts($0) }
        }
        router.on(.get, "/subscribe") { try await upgradeSubscriptions($0) }
        if options.hasPage { mountPage(on: &router) }
        // No provider: there is nobody to be sent to for a log-in.
        router.on(.get, "/auth/config") { _ in .json(Array("{}".utf8)) }
    }

    /// The service port's routes: open to everybody who reaches it, as Prometheus and probes expect.
    public static func mountService(on router: inout Router, metrics: MetricsRegistry) {
        router.on(.get, "/health") { _ in .text("OK") }
        router.on(.get, "/metrics") { _ in Response(type: "text/plain; version=0.0.4; charset=utf-8", bytes: metrics.text()) }
    }

    /// Paths of the service port that need no credential.
    public static let servicePaths: Set<[String]> = [["health"], ["metrics"]]

    /// Whether a path is this face's: errors there have its shape.
    public static func owns(_ path: [String]) -> Bool {
        ["query", "jq-query", "ipc", "subscribe", "admin"].contains(path.first) || path == ["auth", "config"]
    }

    private func answer(_ request: Request) async throws -> Response {
        let start = BootClock.now
        let media = try ReplyMedia(accepting: request.headers["Accept"])
        var problem: RequestProblem?
        let reply: QueryReply
        do {
            reply = await queries.answer(try await identified(request))
        } catch let error as RequestProblem {
            problem = error
            reply = QueryReply(refusing: error.message)
        }
        metrics.count(reply.outcome, start.duration(to: BootClock.now).seconds)
        return media.response(to: reply, isGet: request.method == .get, isUnreadable: problem?.isUnreadable == true)
    }

    /// Who asks. Waits a moment for the version of the schema that the request must see: one that a change was told to have.
    private func caller(of request: Request) async throws -> QueryCaller {
        let caller = try await callers.caller(of: request)
        guard let text = request.headers["X-Apus-Schema-Version"] else { return caller }
        guard let version = Int64(text), version >= 0 else {
            throw ApusError(
                .requestInvalid, "X-Apus-Schema-Version must be a number", context: ["field": "X-Apus-Schema-Version"])
        }
        try await registry.require(version, deadline: min(request.deadline, BootClock.now.advanced(by: .seconds(2))))
        return caller
    }

    /// What is asked, and by whom. Throws `RequestProblem` where it is no GraphQL request.
    func identified(_ request: Request) async throws -> QueryRequest {
        let caller = try await caller(of: request)
        var asked = try await question(request)
        asked.caller = caller
        asked.isPartial = request.headers["X-Apus-Partial-Data"]?.lowercased() == "true"
        return asked
    }

    /// What a jq program makes of the whole reply, as JSON. What goes wrong with the request or the program is a text.
    private func transformed(_ request: Request) async throws -> Response {
        let start = BootClock.now
        let caller = try await caller(of: request)
        do {
            var asked = try JQRequest(reading: try await request.body.collect(limit: options.maxBody), deadline: request.deadline)
            asked.query.caller = caller
            let variables = asked.query.variables
            let reply = await queries.answer(asked.query)
            metrics.count(reply.outcome, start.duration(to: BootClock.now).seconds)
            return .json(
                try await queries.transform(reply.json(), by: asked.program, variables: variables, deadline: request.deadline))
        } catch let problem as RequestProblem {
            return .text(problem.message + "\n", status: 400)
        } catch let error as ApusError where error.code == .requestInvalid {
            return .text(error.summary + "\n", status: 400)
        }
    }

    private func question(_ request: Request) async throws -> QueryRequest {
        if request.method != .post { return try QueryRequest(reading: request.query, deadline: request.deadline) }
        let media = try RequestMedia(request.headers["Content-Type"])
        let body = try await request.body.collect(limit: options.maxBody)
        return switch media {
        case .json: try QueryRequest(reading: body, deadline: request.deadline)
        case .graphQL: QueryRequest(body, deadline: request.deadline)
        }
    }
}

/// Requests by what came of them.
struct HugrMetrics: Sendable {
    private let answered: Counter
    private let failed: Counter
    private let refused: Counter
    private let forbidden: Counter
    private let limited: Counter
    private let seconds: Histogram
    /// Replies in parts that are being told.
    let streams: Gauge

    init(_ registry: MetricsRegistry) {
        let requests = registry.counter("apus_query_requests_total", help: "GraphQL requests, by what came of them.", labels: ["outcome"])
        answered = requests.with("answered")
        failed = requests.with("failed")
        refused = requests.with("refused")
        forbidden = requests.with("forbidden")
        limited = requests.with("limited")
        streams = registry.gauge("apus_query_streams", help: "Replies of /ipc that are being told.").with()
        seconds = registry.histogram(
            "apus_query_request_seconds", help: "Time of a GraphQL request.", labels: [],
            buckets: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30]
        ).with()
    }

    func count(_ outcome: QueryReply.Outcome, _ time: Double) {
        switch outcome {
        case .answered: answered.increment()
        case .failed: failed.increment()
        case .refused: refused.increment()
        case .forbidden: forbidden.increment()
        case .limited: limited.increment()
        }
        seconds.observe(time)
    }

    func streaming<Value>(_ body: () async -> Value) async -> Value {
        streams.add(1)
        defer { streams.add(-1) }
        return await body()
    }
}
