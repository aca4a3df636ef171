public import ApusRuntime
internal import ApusTypes
internal import CUV
internal import Glibc

/// One accepted connection: reads into its handler, writes what it is given in order. Everything but `peerSocket()` is for the
/// connection's loop.
///
/// open -> finishing -> closed, or closed at once.
public final class StreamConnection: @unchecked Sendable {  // loop-bound, see above
    private enum Phase {
        case open
        /// All was said: what waits is sent, then our side is closed; what the peer still sends is dropped, so that its system does not
        /// throw our last bytes away.
        case finishing
        case closed
    }

    public let loop: EventLoop
    /// The peer's address, as text.
    public let peerAddress: String
    var slot = 0
    private let server: LoopStreamServer
    private let tcp: UnsafeMutablePointer<uv_tcp_t>
    private var handler: (any StreamHandler)?
    private var phase = Phase.open
    private var isReading = false
    private var hasInputEnded = false
    private var finishBy: Instant?
    private var stalled: (queued: Int, since: Instant)?

    private static let finishTime = Duration.seconds(2)

    /// `tcp` is an accepted connection; from here on it belongs to this object.
    init(server: LoopStreamServer, tcp: UnsafeMutablePointer<uv_tcp_t>, peer: NumericAddress) {
        self.server = server
        self.tcp = tcp
        loop = server.loop
        peerAddress = peer.description
    }

    private var stream: UnsafeMutablePointer<uv_stream_t> { UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_stream_t.self) }
    private var handle: UnsafeMutablePointer<uv_handle_t> { UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_handle_t.self) }

    func open(_ handler: any StreamHandler) {
        self.handler = handler
        tcp.pointee.data = Unmanaged.passRetained(self).toOpaque()  // released when the handle is closed
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> StreamConnection {
        Unmanaged<StreamConnection>.fromOpaque(context!).takeUnretainedValue()  // set in open()
    }

    /// The peer's socket when it is on this machine, asked of the kernel; nil when the connection is closed.
    public func peerSocket() async -> PeerSocket? {
        await withCheckedContinuation { continuation in
            loop.execute { [self] in
                var descriptor: uv_os_fd_t = -1
                let isOpen = phase != .closed && uv_fileno(handle, &descriptor) == 0
                continuation.resume(returning: isOpen ? PeerSocket(peerOf: descriptor) : nil)
            }
        }
    }

    // MARK: Reading

    /// Nothing is read before the first call.
    public func startReading() {
        guard !isReading, !hasInputEnded, phase != .closed else { return }
        isReading = true
        let status = uv_read_start(
            stream,
            { handle, _, buffer in buffer!.pointee = StreamConnection.of(handle!.pointee.data).server.readBuffer },
            { handle, count, buffer in StreamConnection.of(handle!.pointee.data).read(count, buffer!) })
        if status != 0 { close() }
    }

    /// What the peer sends stays in its socket.
    public func stopReading() {
        guard isReading, phase == .open else { return }
        isReading = false
        uv_read_stop(stream)
    }

    private func read(_ count: Int, _ buffer: UnsafePointer<uv_buf_t>) {
        if count >= 0 {
            guard phase == .open else { return }
            handler?.receive(UnsafeRawBufferPointer(start: buffer.pointee.base, count: count))
        } else if count == Int(UV_EOF.rawValue) {
            hasInputEnded = true
            isReading = false
            uv_read_stop(stream)
            if phase == .open { handler?.inputEnded() } else if queued == 0 { close() }
        } else {
            close()
        }
    }

    // MARK: Writing

    /// Bytes that wait for the peer.
    public var queued: Int { phase == .closed ? 0 : stream.pointee.write_queue_size }

    /// Sends `bytes` behind what waits. What the system does not take at once waits in memory; `queued` says how much.
    public func send(_ bytes: [UInt8]) {
        guard phase == .open, !bytes.isEmpty else { return }
        var taken = 0
        if queued == 0 {
            taken = bytes.withUnsafeBytes { bytes in
                let start = bytes.baseAddress!.assumingMemoryBound(to: CChar.self)  // not empty
                var buffer = uv_buf_init(UnsafeMutablePointer(mutating: start), UInt32(bytes.count))
                return Int(uv_try_write(stream, &buffer, 1))
            }
            guard taken >= 0 || taken == Int(UV_EAGAIN.rawValue) else { return close() }
        }
        guard max(0, taken) < bytes.count else { return }
        if !PendingWrite(bytes, from: max(0, taken), self).start(on: stream) { close() }
    }

    /// Bytes that wait for the socket, in memory of their own.
    private final class PendingWrite {
        private let bytes: UnsafeMutableRawBufferPointer
        private let request = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
        private let connection: StreamConnection

        init(_ bytes: [UInt8], from start: Int, _ connection: StreamConnection) {
            self.connection = connection
            self.bytes = .allocate(byteCount: bytes.count - start, alignment: 1)
            self.bytes.copyBytes(from: bytes[start...])
        }

        deinit {
            bytes.deallocate()
            request.deallocate()
        }

        func start(on stream: UnsafeMutablePointer<uv_stream_t>) -> Bool {
            request.pointee.data = Unmanaged.passRetained(self).toOpaque()  // released by the callback, which always comes
            var buffer = uv_buf_init(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(bytes.count))
            let status = uv_write(request, stream, &buffer, 1) { request, status in
                let write = Unmanaged<PendingWrite>.fromOpaque(request!.pointee.data).takeRetainedValue()
                write.connection.wrote(status)
            }
            if status != 0 { Unmanaged.passUnretained(self).release() }  // no callback comes
            return status == 0
        }
    }

    private func wrote(_ status: Int32) {
        switch phase {
        case .closed: return
        case _ where status != 0: close()
        case .finishing: if queued == 0 { closeOutput() }
        case .open: handler?.sent(queued: queued)
        }
    }

    // MARK: Ending

    /// Sends what waits, says that this was all, and closes when the peer has closed or two seconds have passed.
    public func finish() {
        guard phase == .open else { return }
        phase = .finishing
        finishBy = BootClock.now.advanced(by: Self.finishTime)
        if queued == 0 { closeOutput() }
    }

    private func closeOutput() {
        guard !hasInputEnded else { return close() }
        finishBy = BootClock.now.advanced(by: Self.finishTime)
        var descriptor: uv_os_fd_t = -1
        if uv_fileno(handle, &descriptor) == 0 { shutdown(descriptor, Int32(SHUT_WR)) }
        startReading()
    }

    /// Closes at once.
    public func close() {
        guard phase != .closed else { return }
        phase = .closed
        isReading = false
        server.remove(self)
        uv_close(handle) { handle in
            let tcp = UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: uv_tcp_t.self)
            Unmanaged<StreamConnection>.fromOpaque(tcp.pointee.data).release()  // retained in open()
            tcp.deallocate()
        }
        handler?.closed()
        handler = nil
    }

    func drain() { if phase == .open { handler?.drain() } }

    func sweep(_ now: Instant) {
        let queued = queued
        if queued == 0 {
            stalled = nil
        } else if let stalled, stalled.queued == queued {
            if stalled.since.advanced(by: server.limits.writeStallTime) <= now { return close() }
        } else {
            stalled = (queued, now)
        }
        switch phase {
        case .open: handler?.sweep(now)
        case .finishing: if queued == 0, let finishBy, finishBy <= now { close() }
        case .closed: return
        }
    }
}
