internal import ApusRuntime
internal import ApusTypes
internal import CPostgreSQL

/// One connection to a data source: statements in a pipeline, each a transaction of its own unless the session is in one.
final class QuerySession: PostgreSQLConnection, @unchecked Sendable {  // as its superclass
    private let source: SourceWording
    /// All that was sent has been answered.
    private let idle: (QuerySession) -> Void
    private let lost: (QuerySession) -> Void
    /// A read that has to be sent again, over any connection.
    private let repeated: (PendingQuery) -> Void

    private var steps: [Step] = []
    private var nextStep = 0
    private var prepared: [Int: Prepared] = [:]
    private var preparedCount = 0
    private var uses = 0
    /// Statements that were sent and are not answered.
    private(set) var pending = 0
    /// To be asked again once libpq has told all that it has.
    private var toRepeat: [PendingQuery] = []
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

    fileprivate enum Step {
        case prepare(Int)
        case deallocate
        case execute(PendingQuery, StatementFacts)
        case synchronise
    }

    init(
        loop: EventLoop, source: SourceWording, isExclusive: Bool, idle: @escaping (QuerySession) -> Void,
        lost: @escaping (QuerySession) -> Void, repeated: @escaping (PendingQuery) -> Void
    ) {
        self.source = source
        self.isExclusive = isExclusive
        self.idle = idle
        self.lost = lost
        self.repeated = repeated
        super.init(loop: loop, wording: source)
    }

    // MARK: Sending

    /// Sends a query; the answer goes to it.
    func send(_ query: PendingQuery, _ facts: StatementFacts, now: Instant) {
        query.attempts += 1
        guard isOpen else { return repeatOrFail(query, failure) }
        guard let name = prepare(facts), execute(name, query.query.parameters), PQpipelineSync(handle) == 1 else {
            // The connection may have ended since it was last looked at.
            failByLibrary()
            return repeatOrFail(query, failure)
        }
        if pending == 0 { began = now }
        pending += 1
        lastUse = now
        steps.append(.execute(query, facts))
        steps.append(.synchronise)
        flush()
    }

    /// The name under which the statement is prepared; nil when libpq refuses.
    private func prepare(_ facts: StatementFacts) -> String? {
        uses += 1
        if let known = prepared[facts.id] {
            prepared[facts.id]?.lastUse = uses
            return known.name
        }
        if prepared.count >= Self.preparedLimit { guard forgetHalf() else { return nil } }
        preparedCount += 1
        let name = "s\(preparedCount)"
        guard PQsendPrepare(handle, name, facts.text, 0, nil) == 1 else { return nil }
        prepared[facts.id] = Prepared(name: name, lastUse: uses)
        steps.append(.prepare(facts.id))
        return name
    }

    /// Drops the statements that were used longest ago.
    private func forgetHalf() -> Bool {
        for (id, old) in prepared.sorted(by: { $0.value.lastUse < $1.value.lastUse }).prefix(Self.preparedLimit / 2) {
            guard PQsendQueryParams(handle, "DEALLOCATE \(old.name)", 0, nil, nil, nil, nil, 0) == 1 else { return false }
            steps.append(.deallocate)
            prepared[id] = nil
        }
        return true
    }

    private func execute(_ name: String, _ parameters: [[UInt8]?]) -> Bool {
        if parameters.isEmpty { return PQsendQueryPrepared(handle, name, 0, nil, nil, nil, 0) == 1 }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(parameters.reduce(0) { $0 + ($1?.count ?? 0) + 1 })
        var offsets: [Int] = []
        offsets.reserveCapacity(parameters.count)
        for parameter in parameters {
            offsets.append(parameter == nil ? -1 : bytes.count)
            if let parameter { bytes += parameter }
            bytes.append(0)
        }
        return bytes.withUnsafeBytes { buffer in
            let start = buffer.baseAddress!.assumingMemoryBound(to: CChar.self)  // there is at least one zero in it
            return withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: offsets.count) { values in
                for (index, offset) in offsets.enumerated() { values[index] = offset < 0 ? nil : start + offset }
                return PQsendQueryPrepared(handle, name, Int32(offsets.count), values.baseAddress, nil, nil, 0) == 1
            }
        }
    }

    // MARK: Receiving

    override func received(isAlive: Bool) {
        while nextStep < steps.count, PQisBusy(handle) == 0 {
            let result = PQgetResult(handle)
            // Of a connection that has ended there is nothing to come, which libpq would say for ever.
            if result == nil, case .synchronise = steps[nextStep] { break }
            if !take(result, for: steps[nextStep]) { PQclear(result) }
            guard isOpen else { return }
        }
        if nextStep == steps.count {
            steps.removeAll(keepingCapacity: true)
            nextStep = 0
        } else if nextStep > 512 {
            steps.removeFirst(nextStep)
            nextStep = 0
        }
        // After the steps: libpq forgets that a command has ended when another is sent before it said so. Who is told may send at once, too.
        repeatThose()
        if nextStep == steps.count, isExclusive { idle(self) }
    }

    private func repeatThose() {
        let queries = toRepeat
        toRepeat = []
        for query in queries { repeated(query) }
    }

    /// One result of the step; whether somebody else clears it. A command's results end with nil, a synchronisation point has exactly one.
    private func take(_ result: OpaquePointer?, for step: Step) -> Bool {
        let status = result.map { PQresultStatus($0) }
        var report: ServerReport?
        if status == PGRES_FATAL_ERROR {
            let told = ServerReport(result)
            if told.state.isEmpty {
                failByLibrary()
                return false
            }
            if told.endsConnection {
                fail(source.refused(told))
                return false
            }
            report = told
        }
        switch step {
        case .synchronise: if status == PGRES_PIPELINE_SYNC { nextStep += 1 }
        case .deallocate: if status == nil { nextStep += 1 }
        case .prepare(let id):
            if status == nil { nextStep += 1 }
            guard let report else { return false }
            prepared[id] = nil
            // The error of a text that cannot be prepared is its statement's error.
            if case .execute(let query, _)? = steps[(nextStep + 1)...].first(where: { $0.isExecute }) { finish(query, report) }
        case .execute(let query, let facts):
            guard let result, let status else {
                nextStep += 1
                return false
            }
            let now = BootClock.now
            pending -= 1
            defer { began = now }
            if status == PGRES_PIPELINE_ABORTED {
                // Its own text could not be prepared, which it was told; or what stood before it in its transaction failed.
                if !query.isOver { query.finish(.failure(source.unavailable("what was asked before it failed"))) }
                return false
            }
            facts.took(began.duration(to: now))
            if let report {
                if report.isStalePlan { prepared[facts.id] = nil }
                finish(query, report)
                return false
            }
            query.finish(.success(TextResult(result)))
            return true
        }
        return false
    }

    private func finish(_ query: PendingQuery, _ report: ServerReport) {
        let wasCancelledByUs = report.state == "57014" && cancelling != nil
        if wasCancelledByUs { cancelling = nil }
        // A cancellation hits what runs when it arrives, which may be another's statement by then; a plan may be older than its tables.
        if !query.isOver, query.mayRepeat, query.attempts < 3, wasCancelledByUs || report.isStalePlan {
            return toRepeat.append(query)
        }
        query.finish(.failure(source.refused(report)))
    }

    // MARK: Cancelling

    /// The request to cancel what runs, where nobody waits for that any more; to be carried out on a thread that may block. Nil while there is
    /// none, or one has just been sent.
    func cancellation(now: Instant) -> Cancellation? {
        guard isOpen, head?.abandoned != nil else { return nil }
        if let cancelling, cancelling.duration(to: now) < .milliseconds(500) { return nil }
        guard let cancel = PQgetCancel(handle) else { return nil }
        cancelling = now
        return Cancellation(cancel)
    }

    /// What the server works on.
    private var head: PendingQuery? {
        for step in steps[nextStep...] { if case .execute(let query, _) = step { return query } }
        return nil
    }

    /// Answers those whose time is over, and ends the connection when the server has not stopped a statement `patience` after nobody waits
    /// for it any more.
    func expire(now: Instant, _ error: ApusError, patience: Duration) {
        for case .execute(let query, _) in steps[nextStep...] where !query.isOver && query.deadline <= now {
            query.abandon(error, now: now)
        }
        if let since = head?.abandoned, since.duration(to: now) > patience { fail(source.unavailable("a statement did not stop")) }
    }

    /// Whether all that was sent has been answered.
    var isIdle: Bool { nextStep == steps.count }

    /// How long the server has been working on the same statement.
    func busy(now: Instant) -> Duration { pending == 0 ? .zero : began.duration(to: now) }

    // MARK: Ending

    override func ended(_ error: ApusError) {
        let left = steps[nextStep...]
        steps = []
        nextStep = 0
        pending = 0
        lost(self)
        repeatThose()
        for case .execute(let query, _) in left where !query.isOver { repeatOrFail(query, error) }
    }

    private func repeatOrFail(_ query: PendingQuery, _ error: any Error) {
        if query.mayRepeat, query.attempts < 3 { repeated(query) } else { query.finish(.failure(error)) }
    }
}

extension QuerySession.Step {
    fileprivate var isExecute: Bool { if case .execute = self { true } else { false } }
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
