internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// One of a node's three connections: opened when first used, opened again when it broke.
final class PostgreSQLLane: Sendable {
    /// Independent statements that may be on their way at once; a transaction has the connection for itself.
    static let pipelined = 64
    static let queueLimit = 4096
    /// How long one address may take to answer while others could be tried.
    static let attempt = Duration.seconds(1)

    let lane: Lane
    let gate = Gate(units: PostgreSQLLane.pipelined, limit: PostgreSQLLane.queueLimit)
    private let address: PostgreSQLAddress
    private let loop: EventLoop
    private let pool: BlockingPool
    private let watch: ServerWatch?
    private let notification: @Sendable (Notification) -> Void
    private let closed: @Sendable () -> Void
    /// One caller connects; the others wait for it.
    private let connecting = Gate(units: 1, limit: PostgreSQLLane.queueLimit)
    private let state = Mutex(State())
    private let log = Logger("database")

    private struct State {
        var session: PostgreSQLSession?
        /// On its way to be `session`.
        var opening: PostgreSQLSession?
        var isClosed = false
        /// The candidate to begin with: the one that answered last.
        var preferred = ""
    }

    init(
        _ lane: Lane, address: PostgreSQLAddress, loop: EventLoop, pool: BlockingPool, watch: ServerWatch?,
        notification: @escaping @Sendable (Notification) -> Void, closed: @escaping @Sendable () -> Void
    ) {
        self.lane = lane
        self.address = address
        self.loop = loop
        self.pool = pool
        self.watch = watch
        self.notification = notification
        self.closed = closed
    }

    /// The connection, open and set up. Tries until `deadline`, or until the server is known to be away.
    func session(deadline: Instant) async throws -> PostgreSQLSession {
        if let session = try current() { return session }
        try await connecting.enter(deadline: deadline)
        defer { connecting.leave() }
        if let session = try current() { return session }
        var pause = Duration.milliseconds(50)
        while true {
            do {
                let session = try await open(deadline: deadline)
                let isClosed = state.withLock { state in
                    if !state.isClosed { state.session = session }
                    return state.isClosed
                }
                if isClosed { session.close(PostgreSQLDatabase.closed) }
                return try current() ?? session
            } catch {
                let next = BootClock.now.advanced(by: pause)
                let mayChange = (error as? ApusError)?.retry != .never
                guard mayChange, next < deadline else { throw error }
                try await BootClock().sleep(until: next)
                pause = min(pause * 2, .milliseconds(500))
                _ = try current()  // ends when the database was closed meanwhile, or is known to be away
            }
        }
    }

    func close() async {
        let session = state.withLock { state in
            state.isClosed = true
            return state.session.take()
        }
        gate.close(PostgreSQLDatabase.closed)
        connecting.close(PostgreSQLDatabase.closed)
        session?.close(PostgreSQLDatabase.closed)
    }

    /// The connection, if there is one now.
    var established: PostgreSQLSession? { state.withLock(\.session) }

    /// Whether a server that will do answers on a connection of its own. All addresses are asked at once: the one that was used last may be the
    /// one that has gone.
    func answers(deadline: Instant) async -> Bool {
        let candidates: [PostgreSQLAddress.Candidate]
        do { candidates = try await address.candidates(application: "apus \(lane.rawValue)", pool: pool, deadline: deadline) } catch {
            return false
        }
        let found = await withTaskGroup(of: String?.self) { group in
            for candidate in candidates { group.addTask { await self.answers(candidate, deadline: deadline) ? candidate.name : nil } }
            return await group.first { $0 != nil } ?? nil
        }
        if let found { state.withLock { $0.preferred = found } }
        return found != nil
    }

    private func answers(_ candidate: PostgreSQLAddress.Candidate, deadline: Instant) async -> Bool {
        do {
            try await open(candidate, deadline: deadline).close(.connectionLost("it was a probe"))
            return true
        } catch let error as ApusError {
            // It has no connection for a probe, and goes on with those that it has.
            return ["too many clients", "remaining connection slots"].contains { error.context["message"]?.contains($0) ?? false }
        } catch {
            return false
        }
    }

    /// Tells those who wait, and lets the connection go, also one that is only being opened.
    func leave(_ error: ApusError) {
        for session in state.withLock({ [$0.session, $0.opening] }) { session?.close(error) }
    }

    private func current() throws -> PostgreSQLSession? {
        if let absence = watch?.absence { throw absence }
        return try state.withLock { state in
            if state.isClosed { throw PostgreSQLDatabase.closed }
            return state.session
        }
    }

    /// Tries each address once.
    private func open(deadline: Instant) async throws -> PostgreSQLSession {
        var candidates = try await address.candidates(application: "apus \(lane.rawValue)", pool: pool, deadline: deadline)
        let preferred = state.withLock { $0.preferred }
        if let index = candidates.firstIndex(where: { $0.name == preferred }) { candidates.swapAt(0, index) }
        var failure: any Error = ApusError(.catalogUnavailable, "the catalog's host has no address")
        for candidate in candidates {
            let limit = candidates.count == 1 ? deadline : min(deadline, BootClock.now.advanced(by: Self.attempt))
            do {
                defer { state.withLock { $0.opening = nil } }
                let session = try await open(candidate, deadline: limit) { opening in self.state.withLock { $0.opening = opening } }
                state.withLock { $0.preferred = candidate.name }
                return session
            } catch {
                var named = error as? ApusError ?? ApusError(.catalogUnavailable, "the catalog cannot be reached", cause: error)
                named.context["host"] = candidate.name
                failure = named
                log.debug("catalog host not usable", Self.metadata(of: named).merging(["lane": lane.rawValue]) { old, _ in old })
            }
        }
        throw failure
    }

    private func open(
        _ candidate: PostgreSQLAddress.Candidate, deadline: Instant, begun: (PostgreSQLSession) -> Void = { _ in }
    ) async throws -> PostgreSQLSession {
        let holder = SessionHolder()
        let events = PostgreSQLSession.Events(
            heard: { [watch] in watch?.hear() }, notification: notification,
            report: { [log, lane] report in
                let metadata = ["lane": lane.rawValue, "severity": report.severity, "sqlstate": report.state, "reason": report.message]
                if report.severity == "WARNING" { log.warning("catalog warns", metadata) } else { log.debug("catalog notice", metadata) }
            },
            closed: { [weak self] error in self?.forget(holder.session, error) })
        let session = try await PostgreSQLSession.connect(
            candidate.parameters.reveal(), on: loop, events: events, deadline: deadline, begun: begun)
        holder.session = session
        if address.wantsPrimary, await session.isReadOnly() {
            let error = ApusError(
                .catalogReadOnly, "no host of the catalog takes writes", hint: "a failover may be under way", retry: .after(.seconds(1)))
            session.close(error)
            throw error
        }
        switch await session.perform(settings, isSeparate: true, deadline: deadline) {
        case .answered(let results, _):
            do {
                for result in results { _ = try result.get() }
            } catch {
                session.close(error)
                throw error
            }
        case .lost(let error, _, _): throw error
        }
        return session
    }

    private func forget(_ session: PostgreSQLSession?, _ error: ApusError) {
        let wasOurs = state.withLock { state in
            guard let session, state.session === session else { return false }
            state.session = nil
            return true
        }
        guard wasOurs else { return }
        closed()
        if error.code != PostgreSQLDatabase.closed.code || error.summary != PostgreSQLDatabase.closed.summary {
            log.info(
                "catalog connection lost", Self.metadata(of: error).merging(["lane": lane.rawValue, "error": "\(error)"]) { old, _ in old })
        }
    }

    /// The error's context, in which the server's or libpq's words are the `message`, which in the log is the line's own.
    private static func metadata(of error: ApusError) -> [String: String] {
        var metadata = error.context
        metadata["reason"] = metadata.removeValue(forKey: "message")
        return metadata
    }

    /// What every connection sets. The limits are a net below the callers' deadlines: a server that lost its client, or whose client was
    /// stopped inside a transaction, must not hold its locks for long. No statement timeout where it could cut a commit's wait short.
    private var settings: [Statement] {
        let idle = lane == .read ? "30s" : "5s"
        return [
            .once(
                """
                SELECT set_config('client_connection_check_interval', '1s', false), \
                set_config('idle_in_transaction_session_timeout', $1, false), set_config('lock_timeout', $2, false), \
                set_config('statement_timeout', $3, false), set_config('default_transaction_read_only', $4, false), \
                set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false), \
                set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
                ELSE current_setting('synchronous_commit') END, false)
                """,
                [
                    .text(idle), .text("\(PostgreSQLDatabase.lockTimeout.milliseconds)ms"), .text(lane == .read ? "30s" : "0"),
                    .text(lane == .read ? "on" : "off"),
                ])
        ]
    }
}

/// Lets the session's end name the session, which is not yet known when its events are made.
private final class SessionHolder: Sendable {
    private let held = Mutex<PostgreSQLSession?>(nil)

    var session: PostgreSQLSession? {
        get { held.withLock { $0 } }
        set { held.withLock { $0 = newValue } }
    }
}
