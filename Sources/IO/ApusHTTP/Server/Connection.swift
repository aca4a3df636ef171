internal import ApusRuntime
internal import ApusSockets
internal import ApusTypes
internal import CUV
internal import Glibc

/// One client's connection: reads requests, hands them to the connection's task one after the other, and writes the replies.
///
/// Everything here runs on the connection's loop. Requests are parsed one at a time: what a client sends ahead of its replies stays
/// as bytes, in `input` up to a limit and in the socket beyond it, so a pipeline costs no more than its bytes.
final class Connection: @unchecked Sendable {  // loop-bound, see above
    /// idle -> head -> request -> idle ...; from anywhere -> lingering -> closed, or closed at once.
    enum Phase {
        /// Between requests; nothing of the next one has arrived.
        case idle
        /// A part of a head has arrived.
        case head
        /// A request is with its handler, or its reply is being written, or the rest of its body is being dropped.
        case request
        /// The bytes are an upgraded protocol's.
        case upgraded
        /// The last reply is sent and our side is closed; what the client still sends is dropped, so that its system does not
        /// throw the reply away (RFC 9112, 9.6).
        case lingering
        case closed
    }

    let server: LoopServer
    let listener: Listener
    private(set) var facts: ConnectionFacts
    let tcp: UnsafeMutablePointer<uv_tcp_t>
    /// Where the loop's list of connections holds this one.
    var slot = 0

    var phase = Phase.idle
    /// When the phase ends by itself.
    var deadline: Instant
    /// The request that the connection's task takes next.
    var ready: Exchange?
    /// The body of the current request until it has ended.
    var body: IncomingBody?
    /// The client has closed its side.
    var inputEnded = false
    /// After the current reply the connection ends, whatever else was agreed.
    var mustClose = false
    /// Whether anything of the current reply has been written.
    var isHeadSent = false
    var writes = WriteState()
    var tls: TLSSession?

    /// Bytes behind the current request, from `inputStart` on.
    private var input: [UInt8] = []
    private var inputStart = 0
    /// Bytes dropped while lingering.
    private var lingered = 0
    /// Whether a request has come on this connection.
    private var hasAsked = false
    private var headEnd = HeadEnd()
    private let framing: MessageFraming
    private var isReading = false
    private var task: Task<Void, Never>?
    private var taskWaiter: UnsafeContinuation<Void, Never>?

    var loop: EventLoop { server.loop }
    var limits: HTTPLimits { server.limits }
    var now: Instant { BootClock.now }
    var stream: UnsafeMutablePointer<uv_stream_t> { UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_stream_t.self) }
    private var handle: UnsafeMutablePointer<uv_handle_t> {
        UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_handle_t.self)
    }

    /// `tcp` is an accepted connection; from here on it belongs to this object.
    init(server: LoopServer, listener: Listener, tcp: UnsafeMutablePointer<uv_tcp_t>, peer: NumericAddress, tls: TLSSession?) {
        self.server = server
        self.listener = listener
        self.tcp = tcp
        facts = ConnectionFacts(
            peerAddress: peer.host, peerPort: peer.port, isLoopback: peer.isLoopback, listener: listener.name, isTLS: tls != nil,
            peerSocket: { nil })
        self.tls = tls
        framing = MessageFraming(limits: server.limits)
        // A handshake must be over as soon as a head would have to be.
        deadline = server.coarseNow.advanced(by: tls == nil ? server.limits.idleTime : server.limits.headTime)
        facts.peerSocket = { [weak self] in await self?.peerSocket() }
    }

    func open() {
        tcp.pointee.data = Unmanaged.passRetained(self).toOpaque()  // released when the handle is closed
        startReading()
    }

    /// Asked of the kernel while the connection is open; nil afterwards, because the descriptor may be another's then.
    @concurrent
    private func peerSocket() async -> PeerSocket? {
        if loop.isCurrent { return peerSocketHere() }
        return await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: self.peerSocketHere()) }
        }
    }

    private func peerSocketHere() -> PeerSocket? {
        var descriptor: uv_os_fd_t = -1
        guard phase != .closed, uv_fileno(handle, &descriptor) == 0 else { return nil }
        return PeerSocket(peerOf: descriptor)
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> Connection {
        Unmanaged<Connection>.fromOpaque(context!).takeUnretainedValue()  // set in open()
    }

    // MARK: Reading

    func startReading() {
        guard !isReading, !inputEnded, phase != .closed else { return }
        isReading = true
        let status = uv_read_start(
            stream,
            { handle, _, buffer in buffer!.pointee = Connection.of(handle!.pointee.data).server.readBuffer },
            { handle, count, buffer in Connection.of(handle!.pointee.data).read(count, buffer!) })
        if status != 0 { close() }
    }

    private func stopReading() {
        guard isReading else { return }
        isReading = false
        uv_read_stop(stream)
    }

    private func read(_ count: Int, _ buffer: UnsafePointer<uv_buf_t>) {
        guard count >= 0 else { return count == Int(UV_EOF.rawValue) ? inputEnd() : close() }
        let bytes = UnsafeRawBufferPointer(start: buffer.pointee.base, count: count)
        server.bytesRead += count
        guard let tls else { return receive(bytes) }
        // Plain bytes lie in another buffer of the loop's. A failed handshake or a broken record ends the connection.
        guard tls.receive(bytes, into: server.plainBuffer, { receive($0) }) else {
            flushTLS()
            return close()
        }
        flushTLS()
        if tls.isClosedByPeer { inputEnd() }
    }

    private func receive(_ bytes: UnsafeRawBufferPointer) {
        switch phase {
        case .idle, .head:
            guard !hasInput else {
                keep(bytes, from: 0)
                return parseInput()
            }
            keep(bytes, from: parse(bytes))
        case .request:
            var used = 0
            if let body { used = feed(bytes, to: body) }
            keep(bytes, from: used)
            if isTaskWaiting, ready == nil, body == nil {
                // An unread body was being dropped, and has ended. The task lingers where no other request can follow: the client may
                // still send, and a reset would take the reply from it.
                return mustClose ? wakeTask() : nextRequest()
            }
            if input.count - inputStart >= limits.pipelinedBytes.bytes { stopReading() }
        case .upgraded:
            if let body, !body.receive(Array(bytes)) { stopReading() }
        case .lingering:
            lingered += bytes.count
            if lingered > limits.unreadBody.bytes { close() }
        case .closed: return
        }
    }

    var hasInput: Bool { inputStart < input.count }

    private func keep(_ bytes: UnsafeRawBufferPointer, from used: Int) {
        guard used < bytes.count else { return }
        if inputStart > 0 {
            input.removeFirst(inputStart)
            inputStart = 0
        }
        input.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[used...]))
    }

    /// Parses what was kept; afterwards a request is ready, or more bytes are needed.
    private func parseInput() {
        guard hasInput else { return }
        inputStart += input.withUnsafeBytes { parse(UnsafeRawBufferPointer(rebasing: $0[inputStart...])) }
        if !hasInput {
            input = []
            inputStart = 0
        }
    }

    /// Reads a head at the start of `bytes`, and as much of the request's body as is there. Returns how many bytes were used.
    private func parse(_ bytes: UnsafeRawBufferPointer) -> Int {
        do throws(ApusError) {
            guard let end = try headEnd.find(in: bytes, limits: limits), let requestLine = headEnd.requestLine else {
                if case .idle = phase {
                    phase = .head
                    deadline = server.coarseNow.advanced(by: limits.headTime)
                }
                return 0
            }
            headEnd = HeadEnd()
            let headBytes = UnsafeRawBufferPointer(rebasing: bytes[..<end])
            let head = try RequestHead(reading: headBytes, requestLine: requestLine, limits: limits)
            let hasBody = try framing.begin(headBytes, head: head)
            if case .length(let length) = head.framing, length > limits.body.bytes {
                throw ApusError(.requestTooLarge, "the request body is larger than \(limits.body)")
            }
            phase = .request
            deadline = .distantFuture
            guard hasBody else {
                give(Exchange(head, EmptyBody(), self))
                return end
            }
            let announced: ByteCount? = if case .length(let length) = head.framing { ByteCount(length) } else { nil }
            let body = IncomingBody(connection: self, announcedSize: announced, awaitsContinue: head.expectsContinue)
            let exchange = Exchange(head, body, self)
            exchange.incoming = body
            body.deadline = exchange.request.deadline
            self.body = body
            let used = end < bytes.count ? feed(UnsafeRawBufferPointer(rebasing: bytes[end...]), to: body) : 0
            give(exchange)
            return end + used
        } catch {
            refuse(error)
            return bytes.count
        }
    }

    /// Decodes a part of the current body. Returns how many bytes belonged to it.
    private func feed(_ bytes: UnsafeRawBufferPointer, to body: IncomingBody) -> Int {
        do throws(ApusError) {
            let progress = try framing.feed(bytes)
            let decoded = framing.take()
            let goesOn = decoded.isEmpty || body.receive(decoded)
            switch progress {
            case .complete(let used):
                self.body = nil
                body.end()
                return used
            case .more:
                if !goesOn { bodyIsAhead(body) }
                return bytes.count
            }
        } catch {
            mustClose = true
            self.body = nil
            body.fail(error)
            stopReading()
            return bytes.count
        }
    }

    private func bodyIsAhead(_ body: IncomingBody) {
        if body.isOpen {
            stopReading()
        } else {
            close()  // more was left unread than is worth reading past
        }
    }

    /// Answers `error` as the last reply: what follows on this connection cannot be framed.
    func refuse(_ error: ApusError) {
        phase = .request
        deadline = .distantFuture
        mustClose = true
        stopReading()
        give(Exchange(refused: error, self))
    }

    private func inputEnd() {
        inputEnded = true
        stopReading()
        switch phase {
        case .idle, .head, .lingering, .closed: close()
        case .upgraded: body?.end()
        case .request:
            // A client may close its side and wait for the reply. One that has left answers the reply with a reset.
            if let body {
                body.fail(ApusError(.clientGone, "the client closed the connection within its request's body"))
                self.body = nil
                mustClose = true
                if isTaskWaiting, ready == nil { return close() }
            }
        }
    }

    // MARK: The task

    private var isTaskWaiting: Bool { taskWaiter != nil }
    private static let taskIdleTime = Duration.seconds(2)

    private func wakeTask() {
        guard let taskWaiter else { return }
        self.taskWaiter = nil
        taskWaiter.resume()
    }

    /// The task ends without a request to serve; the connection goes on.
    func forgetTask() { task = nil }

    /// Hands a request to the connection's task, which starts with the first one.
    private func give(_ exchange: Exchange) {
        ready = exchange
        hasAsked = true
        if isTaskWaiting {
            wakeTask()
        } else if task == nil {
            task = Task(executorPreference: loop) { await self.serve() }
        }
    }

    /// The next request; nil when the task has nothing more to do. Called by the task when the last one is answered.
    func nextExchange() async -> Exchange? {
        // The first request is ready before its task asks for it, and the body is its own.
        if ready == nil {
            if let body {
                guard body.discard() else { return nil }
                deadline = server.coarseNow.advanced(by: limits.bodyStallTime)
                startReading()
            } else {
                nextRequest()
            }
        }
        if ready == nil, phase != .closed {
            guard await flush() else { return nil }
            // The flush may have waited while the rest of a body arrived.
            if body == nil { nextRequest() }
            if ready == nil, phase != .closed, body != nil || !mustClose { await withUnsafeContinuation { taskWaiter = $0 } }
        }
        defer { ready = nil }
        return ready
    }

    /// Goes back to reading heads, beginning with what was kept.
    private func nextRequest() {
        guard phase == .request, ready == nil, !mustClose else { return }
        phase = .idle
        deadline = server.coarseNow.advanced(by: limits.idleTime)
        parseInput()
        if ready == nil, inputEnded || (server.isDraining && phase == .idle && !hasUnreadBytes) {
            // The task sends what it has collected, and ends the connection.
            phase = .request
            deadline = .distantFuture
            mustClose = true
            return wakeTask()
        }
        startReading()
    }

    /// Whether the socket holds bytes that were not read yet. Closing it then would be a reset.
    private var hasUnreadBytes: Bool {
        var descriptor: uv_os_fd_t = -1
        var byte: UInt8 = 0
        guard !inputEnded, uv_fileno(handle, &descriptor) == 0 else { return false }
        return recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) > 0
    }

    // MARK: Ending

    /// Sends our end of the stream, drops what the client still sends, and closes when it has closed or time is up.
    func linger() {
        guard phase != .closed else { return }
        if inputEnded { return close() }
        phase = .lingering
        deadline = now.advanced(by: .seconds(2))
        body?.fail(ApusError(.clientGone, "the connection to the client is ending"))
        body = nil
        if let tls {
            tls.close()
            flushTLS()
        }
        var descriptor: uv_os_fd_t = -1
        if uv_fileno(handle, &descriptor) == 0 { shutdown(descriptor, Int32(SHUT_WR)) }
        startReading()
    }

    /// Closes at once. The handler is cancelled, and everything that waits for the connection fails.
    func close() {
        guard phase != .closed else { return }
        phase = .closed
        isReading = false
        server.remove(self)
        uv_close(handle) { handle in
            let tcp = UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: uv_tcp_t.self)
            Unmanaged<Connection>.fromOpaque(tcp.pointee.data).release()  // retained in open()
            tcp.deallocate()
        }
        let gone = ApusError(.clientGone, "the connection to the client is gone")
        body?.fail(gone)
        body = nil
        task?.cancel()
        wakeTask()
    }

    /// The server takes no new work: an idle connection ends, a busy one after its reply, and one on which nothing was asked yet has a
    /// moment for it.
    func drain() {
        guard phase == .idle, !hasInput, !hasUnreadBytes else { return }
        if hasAsked { close() } else { deadline = min(deadline, now.advanced(by: limits.drainGrace)) }
    }

    func cancelHandler() { task?.cancel() }

    /// Looks for what took too long. Called every `LoopServer.sweepInterval`.
    func sweep(_ now: Instant) {
        if writes.isStalled(now, queued: stream.pointee.write_queue_size, limit: limits.writeStallTime) { return close() }
        if let body, phase == .request, let delay = body.delay(now) {
            mustClose = true
            self.body = nil
            return body.fail(delay)
        }
        if phase == .idle, isTaskWaiting, deadline.advanced(by: Self.taskIdleTime - limits.idleTime) <= now {
            // A task keeps the memory of its deepest call; the next request starts another.
            wakeTask()
        }
        guard deadline <= now else { return }
        switch phase {
        case .head: refuse(ApusError(.requestTimeout, "the request's head did not arrive in time"))
        // A request that has just come is read in this turn of the loop.
        case .idle where hasUnreadBytes && tls?.isEstablished != false: return
        case .idle, .request, .upgraded, .lingering, .closed: close()
        }
    }

    /// The connection carries another protocol from here on; its bytes are read through `body`.
    func upgrade() -> IncomingBody {
        phase = .upgraded
        body?.fail(ApusError(.clientGone, "the connection carries another protocol now"))
        let incoming = IncomingBody(connection: self, announcedSize: nil, awaitsContinue: false)
        body = incoming
        if hasInput { _ = incoming.receive(Array(input[inputStart...])) }
        input = []
        if inputEnded { incoming.end() }
        startReading()
        return incoming
    }
}
