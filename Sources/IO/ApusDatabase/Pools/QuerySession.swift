internal import ApusQueryPlan
internal import ApusRuntime
internal import ApusTypes
internal import CPostgreSQL

/// One connection to a data source: statements in a pipeline, each a transaction of its own unless the session is in one.
///
/// libpq opens it, with TLS and authentication. After that this speaks PostgreSQL's protocol itself: rows are copied once, from the receive
/// buffer into the result; what is sent in one turn of the loop travels together; and a result is bounded while it comes. With libpq a read by
/// key took half as much processor time again.
final class QuerySession: PostgreSQLConnection, @unchecked Sendable {  // as its superclass
    private let source: SourceWording
    private let limit: Int
    /// All that was sent has been answered.
    private let idle: (QuerySession) -> Void
    private let lost: (QuerySession) -> Void
    /// A read that has to be sent again, over any connection.
    private let repeated: (PendingQuery) -> Void

    private var stream: ServerStream?
    private var requests = FrontendMessages()
    private var replies: BackendMessages
    private var isFlushing = false
    /// What the server has said of its settings since libpq heard it last.
    private var settings: [String: String] = [:]

    private var exchanges: [Exchange] = []
    /// Milliseconds that the server will need for what it has not answered, by what such statements took before.
    private(set) var backlog = 0.0
    /// The exchange that the server answers now.
    private var head = 0
    private var result = ResultBuilder()
    private var report: ServerReport?

    private var prepared: [Int: Prepared] = [:]
    private var preparedCount = 0
    private var uses = 0
    /// When the server began with what it does now.
    private(set) var began: Instant = BootClock.now
    /// A cancellation that was sent and has not been seen to hit anything.
    private var cancelling: Instant?
    /// When it was last given work.
    var lastUse: Instant = BootClock.now
    /// For one user at a time.
    let isExclusive: Bool

    /// Statements that a connection keeps prepared.
    static let preparedLimit = 256

    private struct Prepared {
        var name: String
        var lastUse: Int
    }

    /// A statement that was sent, up to its synchronisation point.
    private struct Exchange {
        /// Nil: what comes is for nobody.
        var query: PendingQuery?
        var facts: StatementFacts
        /// Its part of the backlog.
        var expected: Double
        /// Its text was sent to be prepared, and has not been yet.
        var isPreparing: Bool
    }

    /// `limit`: bytes of one result.
    init(
        loop: EventLoop, source: SourceWording, limit: Int, isExclusive: Bool, idle: @escaping (QuerySession) -> Void,
        lost: @escaping (QuerySession) -> Void, repeated: @escaping (PendingQuery) -> Void
    ) {
        self.source = source
        self.limit = limit
        self.isExclusive = isExclusive
        self.idle = idle
        self.lost = lost
        self.repeated = repeated
        replies = BackendMessages(limit: limit)
        super.init(loop: loop, wording: source)
    }

    /// What libpq may have read ahead is lost: a server says nothing then but that its settings have changed, and that it does not do at once.
    override func opened() { stream = ServerStream(handle) }

    override func setting(_ name: String) -> String? { settings[name] ?? super.setting(name) }

    // MARK: Sending

    /// Sends a query; the answer goes to it.
    func send(_ query: PendingQuery, _ facts: StatementFacts, now: Instant) {
        query.attempts += 1
        guard isOpen else { return repeatOrFail(query, failure) }
        let isPreparing = write(query, facts)
        requests.synchronise()
        if isIdle { began = now }
        lastUse = now
        exchanges.append(Exchange(query: query, facts: facts, expected: facts.milliseconds, isPreparing: isPreparing))
        backlog += facts.milliseconds
        guard !isFlushing else { return }
        isFlushing = true
        loop.atEndOfTurn { [self] in
            isFlushing = false
            if isOpen { flush() }
        }
    }

    /// Whether it is being prepared.
    private func write(_ query: PendingQuery, _ facts: StatementFacts) -> Bool {
        switch query.part {
        case .all:
            let (name, isPreparing) = prepare(facts)
            requests.bind(name, query.query.parameters)
            requests.execute()
            return isPreparing
        // Without a name, and so never older than its tables.
        case .columns:
            requests.parse(facts.text, as: "")
            requests.describe("")
        case .firstRows(let count, let portal, let encodings):
            requests.bind("", query.query.parameters, as: portal, isBinary: encodings.map { $0 != .text })
            requests.execute(portal, rows: count)
        case .nextRows(let count, let portal, _): requests.execute(portal, rows: count)
        }
        return false
    }

    /// The name under which the statement is prepared.
    private func prepare(_ facts: StatementFacts) -> (name: String, isPreparing: Bool) {
        uses += 1
        if let known = prepared[facts.id] {
            prepared[facts.id]?.lastUse = uses
            return (known.name, false)
        }
        if prepared.count >= Self.preparedLimit { forgetHalf() }
        preparedCount += 1
        let name = "s\(preparedCount)"
        requests.parse(facts.text, as: name)
        prepared[facts.id] = Prepared(name: name, lastUse: uses)
        return (name, true)
    }

    /// Drops the statements that were used longest ago.
    private func forgetHalf() {
        for (id, old) in prepared.sorted(by: { $0.value.lastUse < $1.value.lastUse }).prefix(Self.preparedLimit / 2) {
            requests.close(old.name)
            prepared[id] = nil
        }
    }

    override func flush() {
        guard let stream else { return super.flush() }
        var ended: String?
        var isBlocked = false
        while !requests.isEmpty, ended == nil, !isBlocked {
            requests.send { bytes in
                switch stream.write(bytes) {
                case .bytes(let count): return count
                case .none: isBlocked = true
                case .ended(let reason): ended = reason
                }
                return 0
            }
        }
        if let ended { fail(source.connectionLost(ended)) } else { watch(forRoom: isBlocked) }
    }

    // MARK: Receiving

    override func readable() {
        guard let stream else { return super.readable() }
        var ended: String?
        var isMore = true
        while isMore, ended == nil {
            isMore = replies.receive { space in
                switch stream.read(into: space) {
                case .bytes(let count): return count
                case .none: return 0
                case .ended(let reason):
                    ended = reason
                    return 0
                }
            }
            takeReplies()
            guard isOpen else { return }
        }
        if let ended { fail(source.connectionLost(ended)) }
    }

    private func takeReplies() {
        do throws(BackendMessages.Malformed) {
            while isOpen, let message = try replies.next() { try take(message) }
        } catch {
            fail(source.connectionLost("the server does not keep to its protocol"))
        }
    }

    private func take(_ message: BackendMessages.Message) throws(BackendMessages.Malformed) {
        switch Unicode.Scalar(message.kind) {
        case "D":
            guard head < exchanges.count else { throw BackendMessages.Malformed() }
            guard let query = exchanges[head].query, !query.isOver else { return }
            guard message.isTooLong || result.add(message.body) else { throw BackendMessages.Malformed() }
            guard message.isTooLong || result.size > limit else { return }
            query.abandon(source.tooMuch(limit), now: BootClock.now)
            _ = result.take()
        case "C": result.end(message.body)
        case "T": guard message.isTooLong || result.describe(message.body) else { throw BackendMessages.Malformed() }
        case "1": if head < exchanges.count { exchanges[head].isPreparing = false }
        case "E":
            let told = ServerReport(message.body.reportFields)
            if told.endsConnection { return fail(source.refused(told)) }
            report = told
        case "Z": finishExchange()
        case "S":
            let texts = message.body.split(separator: 0, omittingEmptySubsequences: false)
            if texts.count >= 2 { settings[String(decoding: texts[0], as: UTF8.self)] = String(decoding: texts[1], as: UTF8.self) }
        case "2", "3", "I", "N", "A", "K", "n", "s", "t": break
        default: throw BackendMessages.Malformed()
        }
    }

    /// A statement is done when the server is ready for the next: before that a transaction of its own is not committed.
    private func finishExchange() {
        guard head < exchanges.count else { return }
        let (exchange, report) = (exchanges[head], report)
        let result = result.take(exchange.query?.part.encodings ?? [])
        self.report = nil
        head += 1
        backlog -= exchange.expected
        if head == exchanges.count {
            backlog = 0
            exchanges.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 512 {
            exchanges.removeFirst(head)
            head = 0
        }
        let now = BootClock.now
        exchange.facts.took(began.duration(to: now))
        began = now
        if exchange.isPreparing { prepared[exchange.facts.id] = nil }
        if report?.isStalePlan == true { prepared[exchange.facts.id] = nil }
        let wasCancelled = report?.state == "57014" && cancelling != nil
        if wasCancelled { cancelling = nil }
        if let query = exchange.query {
            if let report { finish(query, report, wasCancelled: wasCancelled) } else { query.finish(.success(result)) }
        }
        if isIdle, isExclusive { idle(self) }
    }

    private func finish(_ query: PendingQuery, _ report: ServerReport, wasCancelled: Bool) {
        // A cancellation hits what runs when it arrives, which may be another's statement by then; a plan may be older than its tables.
        if !query.isOver, wasCancelled || report.isStalePlan {
            repeatOrFail(query, source.refused(report))
        } else {
            query.finish(.failure(source.refused(report)))
        }
    }

    // MARK: Cancelling

    /// The request to cancel what runs, where nobody waits for that any more; to be carried out on a thread that may block. Nil while there is
    /// none, or one has just been sent.
    func cancellation(now: Instant) -> Cancellation? {
        guard isOpen, unwanted != nil else { return nil }
        if let cancelling, cancelling.duration(to: now) < .milliseconds(500) { return nil }
        guard let cancel = PQgetCancel(handle) else { return nil }
        cancelling = now
        return Cancellation(cancel)
    }

    /// Since when the server has been working on what nobody waits for.
    private var unwanted: Instant? {
        guard !isIdle else { return nil }
        guard let query = exchanges[head].query else { return began }
        return query.abandoned.map { max($0, began) }
    }

    /// Answers those whose time is over, and ends the connection when the server has not stopped a statement `patience` after nobody waits
    /// for it any more.
    func expire(now: Instant, _ error: ApusError, patience: Duration) {
        for query in exchanges[head...].compactMap(\.query) where !query.isOver && query.deadline <= now { query.abandon(error, now: now) }
        if let since = unwanted, since.duration(to: now) > patience { fail(source.unavailable("a statement did not stop")) }
    }

    /// Whether all that was sent has been answered.
    var isIdle: Bool { head == exchanges.count }

    /// Statements that were sent and are not answered.
    var pending: Int { exchanges.count - head }

    /// How long the server has been working on the same statement.
    func busy(now: Instant) -> Duration { isIdle ? .zero : began.duration(to: now) }

    /// Takes reads back that wait behind a statement which turned out to take long: another connection answers them sooner.
    func takeBack(now: Instant) -> [PendingQuery] {
        guard isOpen, !isExclusive, pending > 1, busy(now: now) >= Self.overlong else { return [] }
        var taken: [PendingQuery] = []
        for index in (head + 1)..<exchanges.count {
            guard let query = exchanges[index].query, !query.isOver, query.mayRepeat, query.attempts < 3 else { continue }
            exchanges[index].query = nil
            taken.append(query)
        }
        return taken
    }

    /// What shares a connection is done in less.
    static let long = Duration.milliseconds(20)
    /// Asking twice is dear where all are slow: only what is slow by itself takes so long.
    private static let overlong = Duration.milliseconds(200)

    // MARK: Ending

    override func ended(_ error: ApusError) {
        let left = exchanges[head...]
        exchanges = []
        head = 0
        lost(self)
        for query in left.compactMap(\.query) where !query.isOver { repeatOrFail(query, error) }
    }

    private func repeatOrFail(_ query: PendingQuery, _ error: any Error) {
        if query.mayRepeat, query.attempts < 3 { repeated(query) } else { query.finish(.failure(error)) }
    }
}

/// A request to cancel, which libpq sends over a connection of its own and waits for.
final class Cancellation: @unchecked Sendable {  // libpq: a cancel object may be used by any thread
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { PQfreeCancel(handle) }

    func send() {
        var message = [CChar](repeating: 0, count: 256)
        PQcancel(handle, &message, Int32(message.count))  // if it fails, the statement goes on until its own limit
    }
}

extension ServerReport {
    /// The plan of a prepared statement does not fit its tables any more.
    var isStalePlan: Bool { state == "0A000" && function == "RevalidateCachedQuery" || state == "26000" }
}

/// What is known of a statement's text on one loop.
final class StatementFacts {
    let id: Int
    let text: String
    /// Of the server's time, smoothed.
    private(set) var milliseconds = 0.0
    var lastUse = 0

    init(id: Int, text: String) {
        self.id = id
        self.text = text
    }

    func took(_ time: Duration) {
        let now = time.seconds * 1000
        milliseconds += (now - milliseconds) / (milliseconds == 0 ? 1 : 4)
    }
}
