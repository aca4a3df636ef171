public import ApusRuntime
internal import ApusSockets
public import ApusTypes
internal import Synchronization

/// The HTTP/1.1 server: every listener is open on every loop, and a request is handled on the loop that read it.
///
/// new -> running -> drained, once each.
public final class HTTPServer: Sendable {
    private let loops: EventLoops
    private let configurations: [ListenerConfiguration]
    private let limits: HTTPLimits
    private let census = ConnectionCensus()
    private let servers: [LoopServer]
    private let metrics: ServerMetrics
    private let listeners = Mutex<[Listener]>([])
    private let certificates = Mutex<[CertificateWatch]>([])

    public init(
        loops: EventLoops, listeners: [ListenerConfiguration], limits: HTTPLimits = .standard, metrics: MetricsRegistry
    ) {
        self.loops = loops
        self.configurations = listeners
        self.limits = limits
        self.metrics = ServerMetrics(metrics)
        let bodies = MemoryBudget(limit: limits.collectedBodies)
        servers = loops.all.map { [census, metrics = self.metrics] in
            LoopServer(loop: $0, limits: limits, census: census, bodies: bodies, metrics: metrics)
        }
    }

    /// Opens all listeners, or none. Throws `listener.unavailable` or `tls.invalid`, saying which and what to do about it.
    public func start() async throws -> [BoundListener] {
        var bound: [BoundListener] = []
        var opened: [(Listener, [ListenSocket])] = []
        do {
            for configuration in configurations {
                let listener = try Listener(configuration, metrics)
                let address = try address(of: configuration)
                let (sockets, port) = try ListenSocket.open(
                    address, count: servers.count, setting: "listener '\(configuration.name)'")
                opened.append((listener, sockets))
                bound.append(
                    BoundListener(name: configuration.name, host: address.host, port: port, isTLS: configuration.tls != nil))
            }
        } catch {
            for (_, sockets) in opened { sockets.forEach { $0.close() } }
            throw error
        }
        do {
            for (listener, sockets) in opened {
                metrics.watch(listener)
                for (server, socket) in zip(servers, sockets) { try await server.loop.run { try server.listen(listener, socket) } }
            }
        } catch {
            await onEachLoop { $0.closeListeners() }
            throw error
        }
        let watches = opened.compactMap { [loops] in $0.0.tls.map { CertificateWatch($0, loop: loops.first) } }
        for watch in watches { loops.first.execute { watch.start() } }
        certificates.withLock { $0 = watches }
        listeners.withLock { $0 = opened.map(\.0) }
        return bound
    }

    /// Has other routers answer from now on, by their listeners' names; requests under way end where they are. Once for each listener: a
    /// server that was opened to say that its node is not ready yet.
    public func route(_ routers: [String: Router]) {
        for listener in listeners.withLock({ $0 }) { routers[listener.name].map(listener.route) }
    }

    /// Reads all certificates again, as SIGHUP asks for. One that is not right is logged, and the old one stays in use.
    public func reloadCertificates() {
        for watch in certificates.withLock({ $0 }) { loops.first.execute { watch.reload() } }
    }

    private func address(of configuration: ListenerConfiguration) throws(ApusError) -> NumericAddress {
        guard let address = NumericAddress(host: configuration.host, port: configuration.port) else {
            throw ApusError(
                .listenerUnavailable, "'\(configuration.host)' port \(configuration.port) is not an address to listen on",
                hint: "give listener '\(configuration.name)' a numeric address such as 127.0.0.1, 0.0.0.0 or ::, and a port up to 65535")
        }
        return address
    }

    /// Stops accepting, lets running requests finish with `Connection: close`, and aborts what is left at `deadline`.
    ///
    /// No request is lost that a client could send: who has connected, or is connecting, has `HTTPLimits.drainGrace` to begin one.
    /// Handlers that run on are cancelled one second before that, so that a stream can still say goodbye.
    /// Returns how many connections were aborted.
    @discardableResult
    public func drain(deadline: Instant) async -> Int {
        await onEachLoop { $0.drain() }
        // Handshakes that have begun end within a round trip.
        let handshakes = min(deadline, BootClock.now.advanced(by: .milliseconds(100)))
        _ = try? await BootClock().sleep(until: handshakes)  // cancelled: nobody wants to wait for them
        await onEachLoop { $0.closeListeners() }
        for watch in certificates.withLock({ $0 }) { loops.first.execute { watch.stop() } }
        return await withTaskGroup(of: Int?.self) { group in
            group.addTask { [census] in
                await census.emptied()
                return nil
            }
            group.addTask { [census, servers] in
                let clock = BootClock()
                // Cancelled when all connections have ended by themselves; or because who drains has no time left.
                _ = try? await clock.sleep(until: deadline.advanced(by: .seconds(-1)))
                if census.count > 0 { for server in servers { server.loop.execute { server.cancelHandlers() } } }
                _ = try? await clock.sleep(until: deadline)
                var aborted = 0
                for server in servers { aborted += (try? await server.loop.run { server.abort() }) ?? 0 }  // it throws nothing
                return aborted
            }
            var aborted = 0
            while let outcome = await group.next() {
                aborted += outcome ?? 0
                if census.count == 0 { group.cancelAll() }
            }
            return aborted
        }
    }

    private func onEachLoop(_ body: @escaping @Sendable (LoopServer) -> Void) async {
        for server in servers {
            await withCheckedContinuation { continuation in
                server.loop.execute {
                    body(server)
                    continuation.resume()
                }
            }
        }
    }
}
