internal import ApusRuntime
internal import ApusTypes
internal import CPostgreSQL

/// One connection to the catalog: batches of statements, COPY and notifications over it.
///
/// Everything but `perform`, `send` and `close` belongs to the loop's thread.
final class PostgreSQLSession: PostgreSQLConnection, @unchecked Sendable {  // as its superclass
    private let events: Events

    /// What libpq was asked and has not answered, in order.
    private var steps: [Step] = []
    private var nextStep = 0
    private var prepared: [StaticSQL: String] = [:]
    private var preparedCount = 0
    private var copy: PostgreSQLCopy?
    /// Batches with a deadline of their own, by a number that their timers know.
    private var limited: [Int: PostgreSQLBatch] = [:]
    private var batchCount = 0

    /// Statements a connection keeps prepared; the program's texts are constants, so the bound is never met in practice.
    static let preparedLimit = 512

    fileprivate enum Step {
        case prepare(StaticSQL)
        case execute(PostgreSQLBatch)
        /// The end of a transaction; `last`: and of its batch.
        case synchronise(PostgreSQLBatch, last: Bool)
    }

    /// What a session tells its owner, on the loop.
    struct Events: Sendable {
        /// Of bytes that came.
        var heard: @Sendable () -> Void = {}
        var notification: @Sendable (Notification) -> Void = { _ in }
        var report: @Sendable (ServerReport) -> Void = { _ in }
        var closed: @Sendable (ApusError) -> Void = { _ in }
    }

    private init(loop: EventLoop, events: Events) {
        self.events = events
        super.init(loop: loop, wording: CatalogWording())
    }

    // MARK: Any thread

    /// Connects with libpq's `parameters`, which name one address: libpq would look up host names on this thread, and block it. `begun` is given
    /// the session before it is open, so that it can be closed.
    static func connect(
        _ parameters: [String: String], on loop: EventLoop, events: Events, deadline: Instant, begun: (PostgreSQLSession) -> Void
    ) async throws -> PostgreSQLSession {
        let session = PostgreSQLSession(loop: loop, events: events)
        begun(session)
        try await withCheckedThrowingContinuation { continuation in
            loop.soon { session.start(parameters, deadline: deadline, continuation) }
        }
        return session
    }

    /// Sends the statements and waits for their results. At `deadline` the caller is answered, and the connection closed if it is the
    /// server that keeps it waiting; nil: the caller sees to that with `close`.
    func perform(_ statements: [Statement], isSeparate: Bool, deadline: Instant?) async -> PostgreSQLBatch.Outcome {
        await withCheckedContinuation { continuation in
            loop.soon { [self] in
                let batch = PostgreSQLBatch(statements, isSeparate: isSeparate, continuation)
                submit(batch)
                if let deadline, !batch.isExpired { limit(batch, to: deadline) }
            }
        }
    }

    /// Sends the statements and calls `sent`; nobody waits for what becomes of them.
    func send(_ statements: [Statement], then sent: @escaping @Sendable () -> Void) {
        loop.soon { [self] in
            submit(PostgreSQLBatch(statements, isSeparate: false, nil))
            sent()
        }
    }

    /// Closes the connection; `done` is called once nobody can be given it any more.
    func close(_ error: ApusError, done: @escaping @Sendable () -> Void = {}) {
        loop.soon { [self] in
            fail(error)
            done()
        }
    }

    /// Runs a COPY. The caller has the session for itself.
    func perform(_ copy: PostgreSQLCopy) {
        loop.soon { [self] in
            guard isOpen else {
                events.closed(failure)
                return copy.finish(.failure(failure))
            }
            self.copy = copy
            guard PQexitPipelineMode(handle) == 1, PQsendQuery(handle, copy.sql.text) == 1 else { return failByLibrary() }
            flush()
        }
    }

    /// Whether the server takes no writes. Known once connected.
    func isReadOnly() async -> Bool {
        await withCheckedContinuation { continuation in
            loop.soon { [self] in continuation.resume(returning: takesNoWrites) }
        }
    }

    // MARK: Sending

    private func submit(_ batch: PostgreSQLBatch) {
        guard isOpen else {
            events.closed(failure)  // its owner may have taken it for open after its end
            return batch.lose(failure)
        }
        let parameters: [EncodedParameters]
        do throws(ApusError) {
            var encoded: [EncodedParameters] = []
            for statement in batch.statements { encoded.append(try EncodedParameters(statement.parameters)) }
            parameters = encoded
        } catch {
            batch.results = [.failure(error)]  // nothing was sent
            return batch.finish()
        }
        batch.wasSent = true
        for (index, statement) in batch.statements.enumerated() {
            guard enqueue(statement, parameters[index], batch) else { return failByLibrary(also: batch) }
            guard batch.isSeparate || index == batch.statements.count - 1 else { continue }
            guard PQpipelineSync(handle) == 1 else { return failByLibrary(also: batch) }
            steps.append(.synchronise(batch, last: index == batch.statements.count - 1))
        }
        if batch.statements.isEmpty { return batch.finish() }
        flush()
    }

    private func enqueue(_ statement: Statement, _ parameters: EncodedParameters, _ batch: PostgreSQLBatch) -> Bool {
        if statement.isPrepared, prepared[statement.sql] == nil, prepared.count < Self.preparedLimit {
            preparedCount += 1
            let name = "apus\(preparedCount)"
            guard PQsendPrepare(handle, name, statement.sql.text, 0, nil) == 1 else { return false }
            prepared[statement.sql] = name
            steps.append(.prepare(statement.sql))
        }
        let resultFormat: Int32 = statement.tellsText ? 0 : 1
        let isQueued = parameters.withPointers { count, values, lengths, formats in
            if statement.isPrepared, let name = prepared[statement.sql] {
                PQsendQueryPrepared(handle, name, count, values, lengths, formats, resultFormat)
            } else {
                PQsendQueryParams(handle, statement.sql.text, count, nil, values, lengths, formats, resultFormat)
            }
        }
        steps.append(.execute(batch))
        return isQueued == 1
    }

    // MARK: Receiving

    override func received(isAlive: Bool) {
        if isAlive { events.heard() }
        if copy == nil { takeResults() } else { goOnCopying() }
        takeNotifications()
    }

    override func sendable() { if copy != nil { goOnCopying() } }

    private func takeResults() {
        while nextStep < steps.count, PQisBusy(handle) == 0 {
            let result = PQgetResult(handle)
            defer { PQclear(result) }
            // Of a connection that has ended there is nothing to come, which libpq would say for ever.
            if result == nil, case .synchronise = steps[nextStep] { break }
            take(result, for: steps[nextStep])
            guard isOpen else { return }
        }
        if nextStep == steps.count {
            steps.removeAll(keepingCapacity: true)
            nextStep = 0
            _ = PQisBusy(handle)  // reads notices that came while nothing was asked
        } else if nextStep > 1024 {
            steps.removeFirst(nextStep)
            nextStep = 0
        }
    }

    /// One result of the step; a command's results end with nil, a synchronisation point has exactly one.
    private func take(_ result: OpaquePointer?, for step: Step) {
        let status = result.map { PQresultStatus($0) }
        if status == PGRES_FATAL_ERROR {
            let report = ServerReport(result)
            if report.state.isEmpty { return failByLibrary() }  // libpq's own words: the server said nothing
            if report.endsConnection { return fail(report.error) }
        }
        switch (step, status) {
        case (.prepare, nil), (.execute, nil): nextStep += 1
        case (.prepare, PGRES_COMMAND_OK): break
        case (.prepare(let sql), _):
            // The error of a text that cannot be prepared is its statement's error.
            prepared[sql] = nil
            if status == PGRES_FATAL_ERROR, case .execute(let batch)? = steps[(nextStep + 1)...].first {
                batch.results.append(.failure(ServerReport(result).error))
            }
        case (.execute(let batch), PGRES_TUPLES_OK), (.execute(let batch), PGRES_COMMAND_OK):
            do throws(ApusError) {
                batch.results.append(.success(try ResultDecoder.rows(result)))
            } catch {
                batch.results.append(.failure(error))
            }
        case (.execute, PGRES_PIPELINE_ABORTED): break
        case (.execute(let batch), PGRES_FATAL_ERROR): batch.results.append(.failure(ServerReport(result).error))
        case (.synchronise(let batch, let last), PGRES_PIPELINE_SYNC):
            nextStep += 1
            if last { batch.finish() }
        case (.synchronise(let batch, _), PGRES_FATAL_ERROR):
            // The implicit transaction failed at its end: what its statement answered did not come to stay.
            if !batch.results.isEmpty { batch.results.removeLast() }
            batch.results.append(.failure(ServerReport(result).error))
        case (.synchronise, nil): break
        default: fail(.connectionLost("an answer out of order"))
        }
    }

    private func takeNotifications() {
        while let notification = PQnotifies(handle) {
            events.notification(
                Notification(
                    channel: String(cString: notification.pointee.relname), payload: String(cString: notification.pointee.extra)))
            PQfreemem(notification)
        }
    }

    override func noticed(_ report: ServerReport) {
        if report.isCutCommit, nextStep < steps.count {
            switch steps[nextStep] {
            case .execute(let batch), .synchronise(let batch, _): batch.isCommitCut = true
            case .prepare: break
            }
        }
        events.report(report)
    }

    private func goOnCopying() {
        guard let copy, let handle else { return }
        guard copy.advance(handle) else { return }
        self.copy = nil
        if PQenterPipelineMode(handle) != 1 { failByLibrary() }
    }

    // MARK: Ending

    private func limit(_ batch: PostgreSQLBatch, to deadline: Instant) {
        batchCount += 1
        let number = batchCount
        let timer = loop.timers.schedule(at: deadline) { [self] in
            if let batch = limited.removeValue(forKey: number) { expire(batch) }
        }
        limited[number] = batch
        batch.cancelTimer = { [self] in
            limited[number] = nil
            loop.timers.cancel(timer)
        }
    }

    private func expire(_ batch: PostgreSQLBatch) {
        guard !batch.isExpired else { return }
        batch.lose(.deadlinePassed("the catalog worked on it"))
        // The connection goes if nobody wants what the server is doing now. A batch behind another's only leaves the queue.
        guard nextStep < steps.count else { return }
        let isWanted =
            switch steps[nextStep] {
            case .execute(let head), .synchronise(let head, _): !head.isExpired
            case .prepare: steps[nextStep...].lazy.compactMap(\.batch).first.map { !$0.isExpired } ?? false
            }
        if !isWanted { fail(.connectionLost("it was closed because a statement passed its deadline")) }
    }

    private func failByLibrary(also batch: PostgreSQLBatch) {
        failByLibrary()
        batch.lose(failure)
    }

    override func ended(_ error: ApusError) {
        let lost = steps[nextStep...]
        steps = []
        nextStep = 0
        // First of all: who is told that its statement is lost may come back at once, and must not be given this session again.
        events.closed(error)
        for case let batch? in lost.map(\.batch) { batch.lose(error) }
        copy.take()?.finish(.failure(error))
    }
}

extension PostgreSQLSession.Step {
    fileprivate var batch: PostgreSQLBatch? {
        switch self {
        case .prepare: nil
        case .execute(let batch), .synchronise(let batch, _): batch
        }
    }
}
