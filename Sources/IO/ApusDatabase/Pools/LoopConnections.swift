internal import ApusRuntime
internal import ApusTypes

/// The connections of one pool on one event loop: a few that many short reads share, and others that one user at a time has, for
/// transactions and for statements that take long. All of it belongs to the loop's thread, so a request of the loop takes no lock.
final class LoopConnections: @unchecked Sendable {  // touched on `loop` only, which the pool sees to
    let loop: EventLoop
    private let limits: PostgreSQLPool.Limits
    private let source: SourceWording
    private let connector: SessionConnector
    private let cancels: BlockingPool
    let board = PoolUse.Board()

    private var readers: [QuerySession] = []
    private var openingReaders = 0
    /// Reads that wait for the first connection.
    private var waitingReads: [PendingQuery] = []
    /// For one user at a time; those without one are in `idle` too, the one that was used last at its end.
    private var exclusives: [QuerySession] = []
    private var openingExclusives = 0
    private var idle: [QuerySession] = []
    /// Connections that tables are read over, which may take long: never all of them.
    private var readings = 0
    private var taken: [ObjectIdentifier: (QuerySession) -> Void] = [:]
    private var waiting: [Waiter] = []
    private var statements: [String: StatementFacts] = [:]
    private var statementCount = 0
    private var uses = 0
    private var opening: [Int: Task<Void, Never>] = [:]
    private var openings = 0
    /// Why no connection could be opened, for a moment: who comes now must not wait as long again.
    private var absence: (error: any Error, until: Instant)?
    private var ticker: LoopTimers.ID?
    private var reaper: LoopTimers.ID?
    private var closed: ApusError?

    /// Who waits for a connection of their own.
    private struct Waiter {
        var deadline: Instant
        /// Gives up instead of taking it when nobody wants it any more.
        var isGone: () -> Bool
        var take: (Result<QuerySession, any Error>) -> Void
    }

    init(
        loop: EventLoop, limits: PostgreSQLPool.Limits, source: SourceWording, cancels: BlockingPool, connector: SessionConnector
    ) {
        self.loop = loop
        self.limits = limits
        self.source = source
        self.cancels = cancels
        self.connector = connector
    }

    // MARK: Reads

    func read(_ query: PendingQuery) {
        if let closed { return query.finish(.failure(closed)) }
        let facts = facts(query.query.sql.text)
        let now = BootClock.now
        startTicking()
        if !query.query.isLong, facts.milliseconds < Self.long {
            if let reader = reader(now) {
                if reader.backlog >= Self.backlog || reader.pending > 0 && facts.milliseconds == 0 { openReader() }
                return reader.send(query, facts, now: now)
            }
            if readers.isEmpty {
                if let absence, now < absence.until { return query.finish(.failure(absence.error)) }
                guard waitingReads.count < limits.waiting else { return query.finish(.failure(source.busy(limits.waiting))) }
                waitingReads.append(query)
                return openReader()
            }
        }
        take(until: query.deadline, unless: { query.isOver }) { [self] taken in
            switch taken {
            case .success(let session):
                session.send(query, facts, now: BootClock.now)
                release(session, whenIdle: true)
            case .failure(let error): query.finish(.failure(error))
            }
        }
    }

    /// Statements that take this many milliseconds are not put before others.
    private static let long = 3.0
    /// Statements that may be on their way over one shared connection.
    private static let depth = 64

    /// Milliseconds of work that is collected on one connection before another is used: what travels together needs fewer calls and wakes
    /// fewer processes, as long as the server's cores have enough to do. (One connection instead of three: 26 instead of 30 µs of processor
    /// time for a read by key with 16 clients, and half as many again with 64.)
    private static let backlog = 0.25

    /// The first with little to do, else the one with least. Nil when all are full, or have been busy with one statement for so long that a new
    /// one had better not wait behind it.
    private func reader(_ now: Instant) -> QuerySession? {
        var best: QuerySession?
        for reader in readers where reader.pending < Self.depth && reader.busy(now: now) < QuerySession.long {
            if reader.backlog < Self.backlog { return reader }
            if reader.backlog < best?.backlog ?? .infinity { best = reader }
        }
        return best
    }

    private func facts(_ text: String) -> StatementFacts {
        uses += 1
        if let known = statements[text] {
            known.lastUse = uses
            return known
        }
        if statements.count >= 2048 {
            let oldest = statements.values.map(\.lastUse).sorted()[1024]
            statements = statements.filter { $0.value.lastUse >= oldest }
        }
        statementCount += 1
        let made = StatementFacts(id: statementCount, text: text)
        made.lastUse = uses
        statements[text] = made
        return made
    }

    // MARK: Connections for one user

    /// Gives a connection that nobody else uses, until `release`.
    func take(
        until deadline: Instant, unless isGone: @escaping () -> Bool, _ take: @escaping (Result<QuerySession, any Error>) -> Void
    ) {
        if let closed { return take(.failure(closed)) }
        startTicking()
        if let session = idle.popLast() { return take(.success(session)) }
        let now = BootClock.now
        if exclusives.isEmpty, let absence, now < absence.until { return take(.failure(absence.error)) }
        guard waiting.count < limits.waiting else { return take(.failure(source.busy(limits.waiting))) }
        waiting.append(Waiter(deadline: deadline, isGone: isGone, take: take))
        openExclusive()
    }

    /// Gives a connection back: at once, or when what was sent over it has been answered.
    func release(_ session: QuerySession, whenIdle: Bool) {
        guard session.isOpen else { return }
        if whenIdle, !session.isIdle {
            taken[ObjectIdentifier(session)] = { [self] in release($0, whenIdle: false) }
            return
        }
        while let waiter = waiting.first {
            waiting.removeFirst()
            if !waiter.isGone() { return waiter.take(.success(session)) }
        }
        session.lastUse = BootClock.now
        idle.append(session)
    }

    /// False when as many tables are being read as may be.
    func beginReading() -> Bool {
        guard readings < max(1, limits.exclusives / 2) else { return false }
        readings += 1
        return true
    }

    func endReading() { readings -= 1 }

    func send(_ query: PendingQuery, over session: QuerySession) {
        session.send(query, facts(query.query.sql.text), now: BootClock.now)
    }

    // MARK: Opening

    private func openReader() {
        guard readers.count + openingReaders < limits.readers, openingReaders == 0 else { return }
        openingReaders += 1
        open(isExclusive: false)
    }

    private func openExclusive() {
        guard exclusives.count + openingExclusives < limits.exclusives, openingExclusives < waiting.count else { return }
        openingExclusives += 1
        open(isExclusive: true)
    }

    private func open(isExclusive: Bool) {
        openings += 1
        let number = openings
        // Owned by this pool, and cancelled with it.
        opening[number] = Task(executorPreference: loop) { [self] in
            let result: Result<QuerySession, any Error>
            do {
                let deadline = BootClock.now.advanced(by: limits.connectTime)
                result = .success(try await connector.open({ session(isExclusive: isExclusive) }, deadline))
            } catch {
                result = .failure(error)
            }
            loop.soon { [self] in
                opening[number] = nil
                if isExclusive { openingExclusives -= 1 } else { openingReaders -= 1 }
                switch result {
                case .success(let session): opened(session)
                case .failure(let error): refused(error)
                }
            }
        }
    }

    private func session(isExclusive: Bool) -> QuerySession {
        QuerySession(
            loop: loop, source: source, limit: limits.resultBytes, isExclusive: isExclusive,
            idle: { [weak self] session in self?.taken.removeValue(forKey: ObjectIdentifier(session))?(session) },
            lost: { [weak self] session in self?.lost(session) }, repeated: { [weak self] query in self?.read(query) })
    }

    private func refused(_ error: any Error) {
        absence = (error, BootClock.now.advanced(by: .milliseconds(500)))
        // Those whom no connection can serve that is there.
        if readers.isEmpty { for query in waitingReads.take() { query.finish(.failure(error)) } }
        if exclusives.isEmpty { for waiter in waiting.take() { waiter.take(.failure(error)) } }
    }

    private func opened(_ session: QuerySession) {
        if let closed { return session.fail(closed) }
        absence = nil
        startReaping()
        defer { show() }
        if session.isExclusive {
            exclusives.append(session)
            return release(session, whenIdle: false)
        }
        readers.append(session)
        for query in waitingReads.take() where !query.isOver { read(query) }
    }

    private func lost(_ session: QuerySession) {
        taken[ObjectIdentifier(session)] = nil
        readers.removeAll { $0 === session }
        exclusives.removeAll { $0 === session }
        idle.removeAll { $0 === session }
        openExclusive()
        show()
    }

    private func show() {
        let busy = readers.count { !$0.isIdle } + exclusives.count - idle.count
        board.show(PoolUse(open: readers.count + exclusives.count, busy: busy, waiting: waitingReads.count + waiting.count))
    }

    // MARK: Time

    /// Deadlines are looked at together, while there is work: a timer for each request would cost more than the request.
    private func startTicking() {
        guard ticker == nil else { return }
        ticker = loop.timers.schedule(at: BootClock.now.advanced(by: .milliseconds(50))) { [self] in tick() }
    }

    private func tick() {
        ticker = nil
        let now = BootClock.now
        for query in waitingReads where query.deadline <= now { query.finish(.failure(source.late)) }
        waitingReads.removeAll { $0.isOver }
        let late = waiting.filter { $0.deadline <= now }
        waiting.removeAll { $0.deadline <= now || $0.isGone() }
        for waiter in late { waiter.take(.failure(source.late)) }
        for session in all { session.expire(now: now, source.late, patience: limits.cancelTime) }
        cancelAbandoned(now)
        for query in readers.flatMap({ $0.takeBack(now: now) }) { read(query) }
        let isWorking = all.contains { !$0.isIdle } || !waitingReads.isEmpty || !waiting.isEmpty || !opening.isEmpty
        show()
        if isWorking { startTicking() }
    }

    private func startReaping() {
        guard reaper == nil else { return }
        reaper = loop.timers.schedule(at: BootClock.now.advanced(by: limits.idleTime)) { [self] in
            reaper = nil
            let now = BootClock.now
            for session in all where session.isIdle && session.lastUse.duration(to: now) >= limits.idleTime {
                session.fail(source.unavailable("it was idle"))
            }
            if !all.isEmpty { startReaping() }
        }
    }

    /// Has the server stop what nobody waits for.
    func cancelAbandoned(_ now: Instant) {
        for session in all {
            guard let cancellation = session.cancellation(now: now) else { continue }
            // A pool that is full is asked again with the next tick.
            try? cancels.submit { cancellation.send() }
        }
    }

    private var all: [QuerySession] { readers + exclusives }

    func close(_ error: ApusError) {
        guard closed == nil else { return }
        closed = error
        for timer in [ticker, reaper] { timer.map(loop.timers.cancel) }
        for task in opening.values { task.cancel() }
        for query in waitingReads.take() { query.finish(.failure(error)) }
        for waiter in waiting.take() { waiter.take(.failure(error)) }
        for session in all { session.fail(error) }
    }
}
