internal import ApusRuntime
internal import ApusTypes
internal import CPostgreSQL
internal import CUV
internal import Glibc

/// A connection that libpq opens without blocking, its socket polled by an event loop: how it is opened, polled and ended. What is asked over
/// it, and who is answered, its subclasses know; they may speak through libpq's pipeline mode, or over the socket themselves.
///
/// connecting -> open -> closed. All of it belongs to the loop's thread.
class PostgreSQLConnection: @unchecked Sendable {  // all state is touched on `loop` only, which the entries see to
    let loop: EventLoop
    let wording: any DatabaseWording
    private(set) var handle: OpaquePointer?
    private var poll: UnsafeMutablePointer<uv_poll_t>?
    private var polledSocket: Int32 = -1
    private var polledEvents: UInt32 = 0
    private var state = State.connecting
    private var connected: CheckedContinuation<Void, any Error>?
    private var connectTimer: LoopTimers.ID?

    private enum State {
        case connecting, open
        case closed(ApusError)
    }

    init(loop: EventLoop, wording: any DatabaseWording) {
        self.loop = loop
        self.wording = wording
    }

    // MARK: What subclasses do

    /// It is open now, and nothing has been asked over it.
    func opened() {}
    /// Bytes have come, or the connection's end.
    func readable() {
        let isAlive = PQconsumeInput(handle) == 1
        received(isAlive: isAlive)
        guard case .open = state, !isAlive else { return }
        failByLibrary()
    }
    /// libpq has bytes that came; without `isAlive` they are the last.
    func received(isAlive: Bool) {}
    /// There is room to send again.
    func sendable() {}
    func noticed(_ report: ServerReport) {}
    /// The connection has ended. Called once, and first of all: who is told that its statement is lost may come back at once.
    func ended(_ error: ApusError) {}

    // MARK: Opening

    /// Opens the connection with libpq's `parameters`, which name one address: libpq would look up host names on this thread, and block it.
    func start(_ parameters: [String: String], deadline: Instant, _ continuation: CheckedContinuation<Void, any Error>) {
        if case .closed(let error) = state { return continuation.resume(throwing: error) }
        connected = continuation
        connectTimer = loop.timers.schedule(at: deadline) { [self] in fail(wording.connectTimedOut) }
        let names = Array(parameters.keys)
        let settings = names.map { parameters[$0] ?? "" }
        handle = withCStrings(names) { keywords in
            withCStrings(settings) { values in PQconnectStartParams(keywords, values, 0) }
        }
        guard handle != nil, PQstatus(handle) != CONNECTION_BAD else { return failByLibrary() }
        PQsetNoticeReceiver(
            handle,
            { context, result in
                Unmanaged<PostgreSQLConnection>.fromOpaque(context!).takeUnretainedValue()  // set below; the handle never outlives this
                    .noticed(ServerReport(result))
            }, Unmanaged.passUnretained(self).toOpaque())
        watch(UV_WRITABLE.rawValue)
    }

    private func goOnConnecting() {
        // libpq may close the socket and open another with the same number, which the poller would not notice: so it forgets it first.
        unwatch()
        switch PQconnectPoll(handle) {
        case PGRES_POLLING_READING: watch(UV_READABLE.rawValue)
        case PGRES_POLLING_WRITING: watch(UV_WRITABLE.rawValue)
        case PGRES_POLLING_OK:
            guard PQserverVersion(handle) >= 140_000 else { return fail(wording.tooOld) }
            guard PQsetnonblocking(handle, 1) == 0, PQenterPipelineMode(handle) == 1 else { return failByLibrary() }
            state = .open
            opened()
            if let timer = connectTimer.take() { loop.timers.cancel(timer) }
            watch(UV_READABLE.rawValue)
            connected.take()?.resume()
        default: failByLibrary()
        }
    }

    // MARK: State

    var isOpen: Bool { if case .open = state { true } else { false } }

    /// Why nothing can be asked.
    var failure: ApusError {
        if case .closed(let error) = state { return error }
        return wording.connectionLost("not connected")
    }

    /// Whether the server says that it takes no writes; it keeps that up to date.
    var takesNoWrites: Bool { setting("in_hot_standby") == "on" || setting("default_transaction_read_only") == "on" }

    /// What the server has said of one of its settings.
    func setting(_ name: String) -> String? { PQparameterStatus(handle, name).map { String(cString: $0) } }

    // MARK: Ending

    func failByLibrary() {
        let message = handle.map { String(cString: PQerrorMessage($0)) } ?? "out of memory"
        if case .connecting = state { fail(wording.notConnected(message)) } else { fail(wording.connectionLost(message)) }
    }

    func fail(_ error: ApusError) {
        if case .closed = state { return }
        state = .closed(error)
        if let timer = connectTimer.take() { loop.timers.cancel(timer) }
        unwatch()
        PQfinish(handle)
        handle = nil
        ended(error)
        connected.take()?.resume(throwing: error)
    }

    // MARK: Polling

    /// Sends what waits, and asks to be told when there is more room or something came.
    func flush() {
        switch PQflush(handle) {
        case 0: watch(forRoom: false)
        case 1: watch(forRoom: true)
        default: failByLibrary()
        }
    }

    final func watch(forRoom: Bool) { watch(UV_READABLE.rawValue | (forRoom ? UV_WRITABLE.rawValue : 0)) }

    private func ready(_ events: Int32, status: Int32) {
        switch state {
        case .closed: return
        case .connecting: goOnConnecting()
        case .open:
            if status < 0 || events & Int32(UV_READABLE.rawValue) != 0 {
                readable()
            } else {
                sendable()
            }
            if case .open = state { flush() }
        }
    }

    private func watch(_ events: UInt32) {
        let socket = PQsocket(handle)
        guard socket >= 0 else { return failByLibrary() }
        if poll == nil || polledSocket != socket {
            unwatch()
            let made = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
            guard uv_poll_init(loop.uv, made, socket) == 0 else {
                made.deallocate()
                return fail(wording.connectionLost("its socket cannot be polled"))
            }
            made.pointee.data = Unmanaged.passRetained(self).toOpaque()
            poll = made
            polledSocket = socket
            polledEvents = 0
        }
        guard events != polledEvents else { return }  // libuv would ask the kernel twice for nothing
        polledEvents = events
        uv_poll_start(poll, Int32(events)) { handle, status, events in
            Unmanaged<PostgreSQLConnection>.fromOpaque(handle!.pointee.data).takeUnretainedValue()  // retained until the handle is closed
                .ready(events, status: status)
        }
    }

    private func unwatch() {
        guard let closing = poll.take() else { return }
        polledSocket = -1
        uv_poll_stop(closing)
        UnsafeMutableRawPointer(closing).withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
            uv_close(handle) { handle in
                Unmanaged<PostgreSQLConnection>.fromOpaque(handle!.pointee.data).release()
                UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: uv_poll_t.self).deallocate()
            }
        }
    }
}

/// Calls `body` with a null-terminated array of C strings.
private func withCStrings<Value>(_ strings: [String], _ body: ([UnsafePointer<CChar>?]) -> Value) -> Value {
    let copies = strings.map { strdup($0) }
    defer { copies.forEach { free($0) } }
    let pointers: [UnsafePointer<CChar>?] = copies.map { UnsafePointer($0) } + [nil]
    return body(pointers)
}
