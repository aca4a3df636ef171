internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// The connections of one client: idle ones are kept for a time, and no origin gets more than its limit.
final class ClientPool: Sendable {
    private let loops: EventLoops
    private let limits: HTTPClientLimits
    private let tls: @Sendable () throws -> ClientTLS
    private let state = Mutex<[ClientURL.Origin: Origin]>([:])

    private struct Origin {
        var idle: [ClientConnection] = []
        /// Connections in use, idle or being opened.
        var open = 0
        var waiters: [OneShot<Void>] = []
    }

    private enum Step {
        case reuse(ClientConnection)
        case open
        case wait(OneShot<Void>)
    }

    init(loops: EventLoops, limits: HTTPClientLimits, tls: @escaping @Sendable () throws -> ClientTLS) {
        self.loops = loops
        self.limits = limits
        self.tls = tls
    }

    /// A connection to `origin` for one exchange: an idle one, a new one, or the next that becomes free.
    func lease(_ origin: ClientURL.Origin) async throws -> ClientLease {
        while true {
            let loop = loops.any
            let step: Step = state.withLock { state in
                if let index = state[origin]?.idle.lastIndex(where: { $0.socket.loop === loop }) ?? state[origin]?.idle.indices.last,
                    let connection = state[origin]?.idle.remove(at: index)
                {
                    return .reuse(connection)
                }
                if state[origin, default: Origin()].open < limits.connectionsPerOrigin {
                    state[origin, default: Origin()].open += 1
                    return .open
                }
                let turn = OneShot<Void>()
                state[origin, default: Origin()].waiters.append(turn)
                return .wait(turn)
            }
            switch step {
            case .reuse(let connection):
                let lease = ClientLease(connection, pool: self, isReused: true)
                if try await connection.unpark() { return lease }
                lease.abandon()
            case .open:
                do {
                    let connection = try await ClientConnection.open(origin, tls: origin.isTLS ? tls() : nil, limits: limits, on: loop)
                    return ClientLease(connection, pool: self, isReused: false)
                } catch {
                    closed(origin)
                    throw error
                }
            case .wait(let turn):
                try await turn.value()
            }
        }
    }

    fileprivate func take(back connection: ClientConnection, isReusable: Bool, isAbandoned: Bool) {
        guard isReusable else {
            connection.socket.close(isReset: isAbandoned)
            closed(connection.origin)
            return
        }
        let surplus: ClientConnection? = state.withLock { state in
            state[connection.origin, default: Origin()].idle.append(connection)
            let idle = state[connection.origin, default: Origin()].idle
            return idle.count > limits.idlePerOrigin ? idle[0] : nil
        }
        // When it is leased again before this has run, what is set here is called without effect.
        let socket = connection.socket
        if socket.loop.isCurrent { watch(connection) } else { socket.loop.execute { self.watch(connection) } }
        if let surplus { discard(surplus) }
        wakeWaiter(of: connection.origin)
    }

    /// Notices the end of an idle connection, and its age. On the loop's thread.
    private func watch(_ connection: ClientConnection) {
        let end: @Sendable () -> Void = { [weak self, weak connection] in if let connection { self?.discard(connection) } }
        if connection.socket.park(end) { connection.age(limits.idleTime, end) } else { discard(connection) }
    }

    /// Ends an idle connection; one that was taken into use meanwhile stays.
    private func discard(_ connection: ClientConnection) {
        let wasIdle = state.withLock { state in
            guard let index = state[connection.origin]?.idle.firstIndex(where: { $0 === connection }) else { return false }
            state[connection.origin]?.idle.remove(at: index)
            return true
        }
        guard wasIdle else { return }
        connection.socket.close()
        closed(connection.origin)
    }

    private func closed(_ origin: ClientURL.Origin) {
        state.withLock { state in
            state[origin]?.open -= 1
            if state[origin]?.open == 0, state[origin]?.waiters.isEmpty == true { state[origin] = nil }
        }
        wakeWaiter(of: origin)
    }

    /// Lets the first waiter that was not cancelled try again.
    private func wakeWaiter(of origin: ClientURL.Origin) {
        while let waiter = state.withLock({ state in
            state[origin]?.waiters.isEmpty == false ? state[origin]?.waiters.removeFirst() : nil
        }) {
            if waiter.resolve() { return }
        }
    }

    /// Ends the idle connections; those in use end with their exchange.
    func closeIdle() {
        let idle = state.withLock { state in state.values.flatMap(\.idle) }
        idle.forEach(discard)
    }

    /// Connections to all origins, for tests and metrics.
    var openConnections: Int { state.withLock { $0.values.reduce(0) { $0 + $1.open } } }
}

/// One exchange's hold on a connection. Dropped without `finish`, it abandons the exchange.
final class ClientLease: Sendable {
    let connection: ClientConnection
    /// Whether the connection has served before, so that the server may be about to end it.
    let isReused: Bool
    private let pool: ClientPool
    /// The request was not sent whole, whatever the reply says.
    let isSpoiled = Flag(false)
    private let state = Mutex(State())

    private struct State {
        var isFinished = false
        var cancelTimer: (@Sendable () -> Void)?
        var upload: ClientUpload?
    }

    fileprivate init(_ connection: ClientConnection, pool: ClientPool, isReused: Bool) {
        self.connection = connection
        self.pool = pool
        self.isReused = isReused
    }

    deinit { abandon() }

    /// Breaks the exchange off at `deadline`.
    func limit(to deadline: Instant) {
        let socket = connection.socket
        let cancel = Deadlines.shared.schedule(at: deadline) { [weak self] in
            // After the exchange the connection may be somebody else's; before it, `finish` must not give it to anybody.
            guard let self, spoil() else { return }
            socket.close(ApusError(.deadlineExceeded, "the server did not answer in time"), isReset: true)
        }
        state.withLock { $0.cancelTimer = cancel }
    }

    /// The connection serves nobody after this exchange; false when the exchange has ended already.
    private func spoil() -> Bool {
        state.withLock { state in
            guard !state.isFinished else { return false }
            isSpoiled.set(true)
            return true
        }
    }

    /// Ends `upload` with the exchange.
    func own(_ upload: ClientUpload) { state.withLock { $0.upload = upload } }

    var uploadFailure: (any Error)? { state.withLock { $0.upload }?.failure }

    /// The reply was read whole.
    func finish(isReusable: Bool) { end(isReusable: isReusable, isAbandoned: false) }

    /// Nobody waits for the rest of the exchange, and the server is to know it.
    func abandon() { end(isReusable: false, isAbandoned: true) }

    private func end(isReusable: Bool, isAbandoned: Bool) {
        let ending: State? = state.withLock { state in
            guard !state.isFinished else { return nil }
            defer { state = State(isFinished: true) }
            return state
        }
        guard let ending else { return }
        ending.cancelTimer?()
        ending.upload?.cancel()
        let isReusable = isReusable && ending.upload?.isSent != false && !isSpoiled.set(true)
        pool.take(back: connection, isReusable: isReusable, isAbandoned: isAbandoned)
    }
}
