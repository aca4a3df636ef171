public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// A TCP server for protocols other than HTTP: one address, open on every loop, and connections whose bytes go to a handler each.
///
/// new -> running -> drained, once each.
public final class StreamServer: Sendable {
    public struct Limits: Sendable, Hashable {
        /// Open connections over all loops. Beyond: closed at once.
        public var connections = 1000
        /// Without the peer taking a byte of what waits for it. Beyond: closed.
        public var writeStallTime: Duration = .seconds(30)
        /// How late limits on time may be noticed.
        public var sweepInterval: Duration = .seconds(1)

        public init() {}
    }

    private let loops: EventLoops
    private let name: String
    private let limits: Limits
    private let count = ConnectionCount()
    private let servers: [LoopStreamServer]

    /// `name` names the listener in logs and metrics. `handler` is called on the connection's loop.
    public init(
        name: String, loops: EventLoops, limits: Limits = Limits(), metrics: MetricsRegistry,
        handler: @escaping @Sendable (StreamConnection) -> any StreamHandler
    ) {
        self.name = name
        self.loops = loops
        self.limits = limits
        let refused = metrics.counter(
            "apus_stream_connections_refused_total", help: "Connections closed because a connection limit was reached.",
            labels: ["listener"]
        ).with(name)
        let open = metrics.gauge("apus_stream_connections", help: "Open connections.", labels: ["listener"]).with(name)
        metrics.onScrape { [weak count] in open.set(Double(count?.count ?? 0)) }
        servers = loops.all.map { [count] in
            LoopStreamServer(loop: $0, limits: limits, count: count, refused: refused, handler: handler)
        }
    }

    /// Listens on a numeric address; port 0 takes any free one. Returns the port.
    ///
    /// Throws `listener.unavailable`; `setting` is what its operator changes then.
    public func start(host: String, port: Int, setting: String) async throws -> Int {
        guard let address = NumericAddress(host: host, port: port) else {
            throw ApusError(
                .listenerUnavailable, "'\(host)' port \(port) is not an address to listen on",
                hint: "give \(setting) a numeric address such as 127.0.0.1, 0.0.0.0 or ::, and a port up to 65535")
        }
        let (sockets, port) = try ListenSocket.open(address, count: servers.count, setting: setting)
        do {
            for (server, socket) in zip(servers, sockets) {
                try await server.loop.run { [name] in try server.listen(name, socket) }
            }
        } catch {
            await onEachLoop { $0.closeListeners() }
            throw error
        }
        return port
    }

    /// Stops accepting, lets every handler finish what it has begun, and closes what is left at `deadline`. Returns how many that were.
    @discardableResult
    public func drain(deadline: Instant) async -> Int {
        await onEachLoop { $0.drain() }
        return await withTaskGroup(of: Int?.self) { group in
            group.addTask { [count] in
                await count.emptied()
                return nil
            }
            group.addTask { [servers] in
                _ = try? await BootClock().sleep(until: deadline)  // cancelled when all connections have ended by themselves
                var aborted = 0
                for server in servers { aborted += (try? await server.loop.run { server.abort() }) ?? 0 }  // it throws nothing
                return aborted
            }
            var aborted = 0
            while let outcome = await group.next() {
                aborted += outcome ?? 0
                if count.count == 0 { group.cancelAll() }
            }
            return aborted
        }
    }

    private func onEachLoop(_ body: @escaping @Sendable (LoopStreamServer) -> Void) async {
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

/// What a protocol makes of one connection. Every call comes on the connection's loop, `closed()` last.
public protocol StreamHandler: AnyObject {
    /// The bytes are valid during the call only.
    func receive(_ bytes: UnsafeRawBufferPointer)
    /// The peer has closed its side; it may still read.
    func inputEnded()
    /// Some of what waited for the peer was taken: `queued` bytes still wait.
    func sent(queued: Int)
    /// Finish what has begun, then the connection.
    func drain()
    /// Time has passed; called every `StreamServer.Limits.sweepInterval` or so.
    func sweep(_ now: Instant)
    func closed()
}
