public import ApusRuntime
internal import ApusSockets
public import ApusTypes
internal import Synchronization

/// Serves the other nodes of the cluster, and tools: health (`grpc.health.v1`) and server reflection (v1 and v1alpha) are open to everybody
/// who can connect, requests are taken from nodes that have proved to know the cluster secret.
///
/// new → listening → draining → closed, once each.
public final class RPCServer: Sendable {
    let identity: RPCIdentity
    let settings: RPCSettings
    let loops: EventLoops
    let health: @Sendable (String) -> RPCHealth?
    private let security: RPCSecurity
    private let methods: [String: Method]
    private let requests: CounterFamily
    private let state = Mutex(State())
    private static let log = Logger("rpc")

    private struct Method {
        let handler: RPCHandler
        let durations: Histogram
    }

    private struct State {
        var listener: Listener?
        var exchanges: [ObjectIdentifier: Exchange] = [:]
        var tools = 0
        var isDraining = false
    }

    /// `handlers` answer by method. `health` says how a service is, by its name ("" is the node), and nil for one that it does not know; it is
    /// asked on any thread and must not block.
    public init(
        identity: RPCIdentity, security: RPCSecurity, settings: RPCSettings = RPCSettings(), loops: EventLoops, metrics: MetricsRegistry,
        health: @escaping @Sendable (String) -> RPCHealth?, handlers: [String: RPCHandler]
    ) {
        self.identity = identity
        self.security = security
        self.settings = settings
        self.loops = loops
        self.health = health
        requests = metrics.counter(
            "apus_rpc_requests_total", help: "Requests of other nodes, by what came of them.", labels: ["method", "outcome"])
        let durations = metrics.histogram(
            "apus_rpc_request_duration_seconds", help: "Time that the handlers of other nodes' requests took.", labels: ["method"],
            buckets: rpcBuckets)
        methods = Dictionary(uniqueKeysWithValues: handlers.map { ($0, Method(handler: $1, durations: durations.with($0))) })
    }

    /// Listens on a numeric address until `drain`; port 0 takes any free one. Returns the port.
    ///
    /// Throws `listener.unavailable`, also when a certificate cannot be used; `setting` is what its operator changes then.
    public func start(host: String, port: Int, setting: String) throws(ApusError) -> Int {
        guard let address = NumericAddress(host: host, port: port) else {
            throw ApusError(
                .listenerUnavailable, "'\(host)' port \(port) is not an address to listen on",
                hint: "give \(setting) a numeric address such as 127.0.0.1, 0.0.0.0 or ::, and a port up to 65535")
        }
        let listener = try Listener(
            address: address.description, security: security, settings: settings, setting: setting,
            accepted: { [weak self] in self?.accept($0, $1) })
        state.withLock { $0.listener = listener }
        return listener.port
    }

    /// Refuses new requests with `node.draining`, finishes those that run, and closes; what is left at `deadline` is cut off. Returns how many
    /// streams that were.
    @discardableResult
    public func drain(deadline: Instant) async -> Int {
        let (listener, exchanges) = state.withLock { state in
            state.isDraining = true
            return (state.listener.take(), Array(state.exchanges.values))
        }
        exchanges.forEach { $0.drain() }
        await wait(until: deadline) { !$0.contains(where: \.isBusy) }
        let open = state.withLock { Array($0.exchanges.values) }
        let left = open.count { $0.isBusy }
        // A status goes behind the replies; what the listener cuts off may overtake them.
        for exchange in open where !exchange.isBusy { exchange.finish() }
        // Those alone: peers that ask again open others, which are only told to go.
        let old = Set(open.map(ObjectIdentifier.init))
        await wait(until: deadline) { exchanges in !exchanges.contains { old.contains(ObjectIdentifier($0)) } }
        await listener?.close()
        return left
    }

    private func wait(until deadline: Instant, _ condition: @Sendable ([Exchange]) -> Bool) async {
        for await now in BootClock().ticks(every: .milliseconds(5)) {
            if now >= deadline || condition(state.withLock { Array($0.exchanges.values) }) { return }
        }
    }

    // MARK: Streams

    /// Streams of peers that are open.
    var streams: Int { state.withLock { $0.exchanges.count } }

    private func accept(_ stream: GRPCStream, _ method: String) {
        let isExchange = method == GRPCStream.exchange
        let isTooMany = state.withLock { state in
            (isExchange ? state.exchanges.values.count { !$0.isProven } : state.tools) >= settings.unprovenStreams
        }
        if isTooMany || !isExchange {
            let tool = isTooMany ? .refusal(GRPCStatus.resourceExhausted, "too many streams have proved nothing") : Tool(method)
            state.withLock { $0.tools += 1 }
            ToolStream(self, stream, tool).begin()
        } else {
            let exchange = Exchange(self, stream)
            let isDraining = state.withLock { state in
                state.exchanges[ObjectIdentifier(exchange)] = exchange
                return state.isDraining
            }
            exchange.begin()
            if isDraining { exchange.drain() }
        }
    }

    func forget(_ exchange: Exchange) { state.withLock { $0.exchanges[ObjectIdentifier(exchange)] = nil } }
    func forgetTool() { state.withLock { $0.tools -= 1 } }

    // MARK: Requests

    /// The frame that answers `request`; nil if nobody waits for it.
    func answer(_ request: Frame.Request, from peer: NodeName) async -> Frame? {
        guard let method = methods[request.method] else {
            return .failure(id: request.id, ApusError(.methodUnknown, "node \(identity.node) has no method '\(request.method)'"))
        }
        let start = BootClock.now
        defer { method.durations.observe(start.duration(to: BootClock.now).seconds) }
        do {
            // What is logged meanwhile, and what other nodes are asked for it, carries the id of the request that all this is for.
            let payload = try await Caller.$current.withValue(.init(scope: .everything, request: request.trace)) {
                try await method.handler(
                    RPCRequest(
                        method: request.method, payload: request.payload, deadline: request.deadline, peer: peer, trace: request.trace))
            }
            guard payload.count <= settings.payload.bytes else {
                throw ApusError(.requestTooLarge, "the reply has more than \(settings.payload)", context: ["method": request.method])
            }
            requests.with(request.method, "ok").increment()
            return .reply(id: request.id, payload: payload)
        } catch {
            if Task.isCancelled {
                requests.with(request.method, "cancelled").increment()
                return nil
            }
            let known = error as? ApusError ?? ApusError(.internalError, "the node failed to answer")
            Self.log.failure(
                "a request of another node failed", status: known.code.surface.http,
                ["method": request.method, "peer": peer.rawValue, "request": request.trace, "error": "\(error)"])
            requests.with(request.method, known.code.rawValue).increment()
            return .failure(id: request.id, known)
        }
    }
}
