internal import ApusRuntime
internal import ApusSockets
internal import ApusTypes
internal import CUV
internal import Glibc

/// The server's part on one loop: its listening sockets, its connections, and the memory that they share.
///
/// Loop thread only. Connections share one read buffer because a read is parsed, or copied, before the next one begins; an idle
/// connection therefore holds no buffer at all.
final class LoopServer: @unchecked Sendable {  // loop-bound, see above
    let loop: EventLoop
    let limits: HTTPLimits
    let readBuffer: uv_buf_t
    let plainBuffer: UnsafeMutableRawBufferPointer
    let scratch = ReplyBuffer(capacity: 64 << 10)
    let date = DateField()
    /// Bytes since the last sweep.
    var bytesRead = 0
    var bytesWritten = 0
    private(set) var isDraining = false
    /// Not earlier than now, and at most one sweep later: good enough for deadlines, and free.
    private(set) var coarseNow: Instant
    private let census: ConnectionCensus
    let bodies: MemoryBudget
    private let metrics: ServerMetrics
    private var requestCounters: RequestCounters
    private static let log = Logger("http")
    private var connections: [Connection] = []
    private var acceptors: [Acceptor] = []
    private var isSweeping = false
    private var randomState: UInt64

    init(loop: EventLoop, limits: HTTPLimits, census: ConnectionCensus, bodies: MemoryBudget, metrics: ServerMetrics) {
        self.loop = loop
        self.limits = limits
        self.census = census
        self.bodies = bodies
        self.metrics = metrics
        requestCounters = RequestCounters(metrics.requests)
        let size = 64 << 10
        readBuffer = uv_buf_init(.allocate(capacity: size), UInt32(size))
        plainBuffer = .allocate(byteCount: 16 << 10, alignment: 16)  // one TLS record
        coarseNow = BootClock.now
        var generator = SystemRandomNumberGenerator()
        randomState = generator.next()
    }

    deinit {
        readBuffer.base.deallocate()
        plainBuffer.deallocate()
    }

    // MARK: Accepting

    /// Takes `socket` over and accepts from it.
    func listen(_ listener: Listener, _ socket: ListenSocket) throws(ApusError) {
        acceptors.append(
            // Until the socket is closed it holds the server: one that nobody holds any more still serves.
            try Acceptor(socket, name: listener.name, loop: loop) { [self] descriptor, peer in serve(descriptor, peer, listener) })
    }

    private func serve(_ descriptor: Int32, _ peer: NumericAddress, _ listener: Listener) {
        let tcp = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
        uv_tcp_init(loop.uv, tcp)
        guard uv_tcp_open(tcp, descriptor) == 0 else {
            Glibc.close(descriptor)
            return discard(tcp)
        }
        uv_tcp_nodelay(tcp, 1)
        guard census.enter(listener, limits) else { return turnAway(tcp, descriptor, listener) }
        if !isSweeping { startSweeping() }
        let connection = Connection(server: self, listener: listener, tcp: tcp, peer: peer, tls: listener.tls?.session())
        connection.slot = connections.count
        connections.append(connection)
        connection.open()
        if isDraining { connection.drain() }
    }

    /// Beyond the connection limits: says so (a TLS client sees only the end), and closes.
    private func turnAway(_ tcp: UnsafeMutablePointer<uv_tcp_t>, _ descriptor: Int32, _ listener: Listener) {
        metrics.turnedAway.with(listener.name).increment()
        if listener.tls == nil {
            let reply: StaticString = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            _ = send(descriptor, reply.utf8Start, reply.utf8CodeUnitCount, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            shutdown(descriptor, Int32(SHUT_WR))
            // A close with unread bytes is a reset, which would throw the reply away.
            _ = recv(descriptor, readBuffer.base, readBuffer.len, Int32(MSG_DONTWAIT))
        }
        discard(tcp)
    }

    private func discard(_ tcp: UnsafeMutablePointer<uv_tcp_t>) {
        uv_close(UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: uv_tcp_t.self).deallocate()
        }
    }

    /// Forgets a connection that closes.
    func remove(_ connection: Connection) {
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.slot] = last
            last.slot = connection.slot
        }
        census.leave(connection.listener)
    }

    // MARK: Time

    /// How late a limit on time may be noticed.
    private lazy var sweepInterval: Duration = {
        let shortest = min(
            limits.headTime, limits.bodyStallTime, limits.idleTime, limits.writeStallTime, limits.requestTime, limits.drainGrace * 4)
        return max(.milliseconds(10), min(shortest / 8, .seconds(1)))
    }()

    private func startSweeping() {
        isSweeping = true
        let now = BootClock.now
        coarseNow = now.advanced(by: sweepInterval)
        loop.timers.schedule(at: coarseNow) { [self] in sweep() }
    }

    private func sweep() {
        isSweeping = false
        metrics.received.increment(by: bytesRead)
        metrics.sent.increment(by: bytesWritten)
        bytesRead = 0
        bytesWritten = 0
        guard !connections.isEmpty else { return }
        startSweeping()
        let now = BootClock.now
        // Backwards, because a connection that closes is replaced by the last one.
        for index in connections.indices.reversed() where index < connections.count { connections[index].sweep(now) }
    }

    // MARK: Requests

    /// 75 random bits as 15 characters, which Swift keeps without allocating. Not a secret.
    func makeRequestID() -> String {
        var bits = (nextRandom(), nextRandom())
        return String(unsafeUninitializedCapacity: 15) { buffer in
            for index in 0..<15 {
                let digit = UInt8(truncatingIfNeeded: index < 8 ? bits.0 : bits.1) & 31
                if index < 8 { bits.0 >>= 5 } else { bits.1 >>= 5 }
                buffer[index] = digit < 10 ? 48 + digit : 87 + digit
            }
            return 15
        }
    }

    /// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    private func nextRandom() -> UInt64 {
        randomState &+= 0x9e37_79b9_7f4a_7c15
        var mixed = randomState
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A reply has left, or broken off.
    func finished(_ exchange: Exchange, status: Int, _ connection: Connection) {
        let duration = exchange.startedAt.duration(to: BootClock.now)
        requestCounters.count(connection.listener, exchange.request.method, status)
        connection.listener.durations.observe(duration.seconds)
        Self.log.debug(
            "request",
            [
                "request": exchange.request.id, "listener": connection.listener.name, "method": exchange.request.method.rawValue,
                "path": exchange.request.rawPath, "status": "\(status)", "milliseconds": "\(duration.milliseconds)",
                "peer": connection.facts.peerAddress,
            ])
    }

    /// The reply of `exchange` ended early. It counts as 499 when the client left or stalled, and as 500 when its handler failed, whatever
    /// status its head had.
    func broken(_ exchange: Exchange, _ error: any Error, _ connection: Connection) {
        noteBrokenReply(error, connection)
        let isClients = connection.phase == .closed || (error as? ApusError)?.code == .clientGone
        finished(exchange, status: isClients ? 499 : 500, connection)
        guard !isClients else { return }
        Self.log.error(
            "request failed within its reply",
            [
                "request": exchange.request.id, "method": exchange.request.method.rawValue, "path": exchange.request.rawPath,
                "error": "\(error)",
            ])
    }

    /// Something of a reply did not reach its client.
    func noteBrokenReply(_ error: any Error, _ connection: Connection) {
        metrics.broken.increment()
        Self.log.debug("reply broken off", ["listener": connection.listener.name, "error": "\(error)"])
    }

    // MARK: Drain

    /// Ends the idle connections, and lets every other end after its reply. Who is connecting now still gets in, for `closeListeners()`
    /// to end that; who begins to connect is not answered, because the close would reset it.
    func drain() {
        isDraining = true
        acceptors.forEach { $0.ignoreNewConnections() }
        for connection in connections.reversed() { connection.drain() }
    }

    /// Takes in what waits to be accepted, which the close would reset, and accepts no more.
    func closeListeners() {
        acceptors.forEach { $0.close() }
        acceptors = []
    }

    func cancelHandlers() { connections.forEach { $0.cancelHandler() } }

    /// Closes what is left; returns how many connections that were, without those whose last reply is sent.
    func abort() -> Int {
        let left = connections
        let aborted = left.count { $0.phase != .lingering }
        left.forEach { $0.close() }
        return aborted
    }
}
