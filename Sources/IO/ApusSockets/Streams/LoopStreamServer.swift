internal import ApusRuntime
internal import ApusTypes
internal import CUV
internal import Glibc

/// The server's part on one loop. Loop thread only.
///
/// Connections share one read buffer, because a handler takes what it needs before the next read begins.
final class LoopStreamServer: @unchecked Sendable {  // loop-bound, see above
    let loop: EventLoop
    let limits: StreamServer.Limits
    let readBuffer: uv_buf_t
    private let count: ConnectionCount
    private let refused: Counter
    private let handler: @Sendable (StreamConnection) -> any StreamHandler
    private var connections: [StreamConnection] = []
    private var acceptors: [Acceptor] = []
    private var isSweeping = false

    init(
        loop: EventLoop, limits: StreamServer.Limits, count: ConnectionCount, refused: Counter,
        handler: @escaping @Sendable (StreamConnection) -> any StreamHandler
    ) {
        self.loop = loop
        self.limits = limits
        self.count = count
        self.refused = refused
        self.handler = handler
        let size = 64 << 10
        readBuffer = uv_buf_init(.allocate(capacity: size), UInt32(size))
    }

    deinit { readBuffer.base.deallocate() }

    func listen(_ name: String, _ socket: ListenSocket) throws(ApusError) {
        // Until the socket is closed it holds the server.
        acceptors.append(try Acceptor(socket, name: name, loop: loop) { [self] descriptor, peer in serve(descriptor, peer) })
    }

    private func serve(_ descriptor: Int32, _ peer: NumericAddress) {
        guard count.enter(limit: limits.connections) else {
            refused.increment()
            Glibc.close(descriptor)
            return
        }
        let tcp = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
        uv_tcp_init(loop.uv, tcp)
        guard uv_tcp_open(tcp, descriptor) == 0 else {
            Glibc.close(descriptor)
            count.leave()
            uv_close(UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_handle_t.self)) { handle in
                UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: uv_tcp_t.self).deallocate()
            }
            return
        }
        uv_tcp_nodelay(tcp, 1)
        let connection = StreamConnection(server: self, tcp: tcp, peer: peer)
        connection.slot = connections.count
        connections.append(connection)
        if !isSweeping { startSweeping() }
        connection.open(handler(connection))
    }

    /// Forgets a connection that closes.
    func remove(_ connection: StreamConnection) {
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.slot] = last
            last.slot = connection.slot
        }
        count.leave()
    }

    private func startSweeping() {
        isSweeping = true
        loop.timers.schedule(at: BootClock.now.advanced(by: limits.sweepInterval)) { [self] in
            isSweeping = false
            guard !connections.isEmpty else { return }
            startSweeping()
            let now = BootClock.now
            // Backwards, because a connection that closes is replaced by the last one.
            for index in connections.indices.reversed() where index < connections.count { connections[index].sweep(now) }
        }
    }

    func drain() {
        closeListeners()
        for connection in connections.reversed() { connection.drain() }
    }

    func closeListeners() {
        acceptors.forEach { $0.ignoreNewConnections() }
        acceptors.forEach { $0.close() }
        acceptors = []
    }

    /// Closes what is left; returns how many connections that were.
    func abort() -> Int {
        let left = connections
        left.forEach { $0.close() }
        return left.count
    }
}
