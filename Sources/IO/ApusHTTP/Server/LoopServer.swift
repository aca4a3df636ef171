internal import ApusRuntime
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
    private let metrics: ServerMetrics
    private var requestCounters: RequestCounters
    private static let log = Logger("http")
    private var connections: [Connection] = []
    private var acceptors: [Acceptor] = []
    private var isSweeping = false
    private var randomState: UInt64

    /// One listening socket.
    private final class Acceptor {
        let listener: Listener
        let tcp = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
        unowned let server: LoopServer

        init(_ listener: Listener, _ server: LoopServer) {
            self.listener = listener
            self.server = server
        }
    }

    init(loop: EventLoop, limits: HTTPLimits, census: ConnectionCensus, metrics: ServerMetrics) {
        self.loop = loop
        self.limits = limits
        self.census = census
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
        let acceptor = Acceptor(listener, self)
        uv_tcp_init(loop.uv, acceptor.tcp)
        acceptor.tcp.pointee.data = Unmanaged.passRetained(acceptor).toOpaque()  // released when the handle is closed
        acceptors.append(acceptor)
        let stream = UnsafeMutableRawPointer(acceptor.tcp).assumingMemoryBound(to: uv_stream_t.self)
        var status = uv_tcp_open(acceptor.tcp, socket.descriptor)
        if status == 0 {
            status = uv_listen(stream, 1024) { stream, status in
                let acceptor = Unmanaged<Acceptor>.fromOpaque(stream!.pointee.data).takeUnretainedValue()
                if status == 0 { acceptor.server.accept(acceptor) }
            }
        }
        guard status == 0 else {
            throw ApusError(.listenerUnavailable, "cannot listen for '\(listener.name)': \(String(cString: uv_strerror(status)))")
        }
    }

    private func accept(_ acceptor: Acceptor) {
        let tcp = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
        uv_tcp_init(loop.uv, tcp)
        let stream = UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_stream_t.self)
        let server = UnsafeMutableRawPointer(acceptor.tcp).assumingMemoryBound(to: uv_stream_t.self)
        var descriptor: uv_os_fd_t = -1
        guard uv_accept(server, stream) == 0,
            uv_fileno(UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_handle_t.self), &descriptor) == 0,
            let peer = SocketAddress(peer: descriptor)
        else { return discard(tcp) }  // the client has left already
        uv_tcp_nodelay(tcp, 1)
        guard census.enter(acceptor.listener, limits) else { return turnAway(tcp, descriptor, acceptor.listener) }
        if !isSweeping { startSweeping() }
        let connection = Connection(
            server: self, listener: acceptor.listener, tcp: tcp, peer: peer, tls: acceptor.listener.tls?.session())
        connection.slot = connections.count
        connections.append(connection)
        connection.open()
    }

    /// Beyond the connection limits: says so (a TLS client sees only the end), and closes.
    private func turnAway(_ tcp: UnsafeMutablePointer<uv_tcp_t>, _ descriptor: Int32, _ listener: Listener) {
        metrics.turnedAway.with(listener.name).increment()
        if listener.tls == nil {
            let reply: StaticString = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            _ = send(descriptor, reply.utf8Start, reply.utf8CodeUnitCount, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            shutdown(descriptor, Int32(SHUT_WR))
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
        let shortest = min(limits.headTime, limits.bodyStallTime, limits.idleTime, limits.writeStallTime)
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
                "id": exchange.request.id, "listener": connection.listener.name, "method": exchange.request.method.rawValue,
                "path": exchange.request.rawPath, "status": "\(status)", "milliseconds": "\(duration.milliseconds)",
                "peer": connection.facts.peerAddress,
            ])
    }

    func noteBrokenReply(_ error: any Error, _ connection: Connection) {
        metrics.broken.increment()
        Self.log.debug("reply broken off", ["listener": connection.listener.name, "error": "\(error)"])
    }

    // MARK: Drain

    /// Takes no new connection, ends the idle ones, and lets every other end after its reply.
    func drain() {
        isDraining = true
        for acceptor in acceptors {
            // What waits in the backlog would be reset by the close: take it in first.
            uv_close(UnsafeMutableRawPointer(acceptor.tcp).assumingMemoryBound(to: uv_handle_t.self)) { handle in
                let tcp = UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: uv_tcp_t.self)
                Unmanaged<Acceptor>.fromOpaque(tcp.pointee.data).release()  // retained in listen(_:_:)
                tcp.deallocate()
            }
        }
        acceptors = []
        for connection in connections.reversed() { connection.drain() }
    }

    func cancelHandlers() { connections.forEach { $0.cancelHandler() } }

    /// Closes what is left; returns how many connections that were.
    func abort() -> Int {
        let left = connections
        left.forEach { $0.close() }
        return left.count
    }
}
