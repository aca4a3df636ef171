public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// A catalog in PostgreSQL 14 or newer, through libpq on the event loops.
///
/// Three connections, one for each lane, opened when first used and opened again when they break, as long as callers' deadlines allow.
/// With several hosts in the URL the one that takes writes is used, and a failover is followed. A caller is answered at its deadline
/// even by a server that hangs: the connection is then closed, and the server notices within a second. With `patience` callers are told sooner
/// that the server is silent (`ServerWatch`): all that wait, and then each at once until it answers.
public final class PostgreSQLDatabase: Database {
    /// How long a statement waits for a lock unless its transaction says otherwise.
    static let lockTimeout = Duration.seconds(2)
    static let closed = ApusError(.catalogUnavailable, "the catalog is closed")

    public let dialect = SQLDialect.postgreSQL
    /// Host and port of each server that the URL names; safe to show.
    public let servers: [String]
    private let lanes: [Lane: PostgreSQLLane]
    private let hub: NotificationHub
    private let watch: ServerWatch?
    private let whenSilent: ServerWatch.Actions

    /// Reads the URL (`postgresql://user:password@host1,host2:5432/database`, or libpq's `key=value` form) and waits until a server answers.
    public static func open(
        url: Redacted<String>, loops: EventLoops, patience: Duration? = nil, deadline: Instant
    ) async throws -> PostgreSQLDatabase {
        let database = PostgreSQLDatabase(address: try PostgreSQLAddress(url), loops: loops, watch: patience.map(ServerWatch.init))
        do {
            _ = try await database.lane(.read).session(deadline: deadline)
        } catch {
            await database.close()
            throw error
        }
        return database
    }

    private init(address: PostgreSQLAddress, loops: EventLoops, watch: ServerWatch?) {
        self.watch = watch
        let pool = BlockingPool(name: "dns", threads: 2, queueLimit: 64)
        let hub = NotificationHub()
        self.hub = hub
        servers = address.servers
        let lanes = Dictionary(
            uniqueKeysWithValues: Lane.allCases.enumerated().map { index, lane in
                // LISTEN lives on the duty lane: when that connection breaks, its listeners must look for themselves.
                let made = PostgreSQLLane(
                    lane, address: address, loop: loops.all[index % loops.all.count], pool: pool,
                    watch: watch, notification: { hub.publish($0) }, closed: { if lane == .duty { hub.finish() } })
                return (lane, made)
            })
        self.lanes = lanes
        whenSilent = ServerWatch.Actions(
            probe: { await lanes[.read]?.answers(deadline: $0) ?? false }, leave: { error in lanes.values.forEach { $0.leave(error) } })
    }

    /// Callers that wait for each connection.
    public var waiting: [Lane: Int] { lanes.mapValues(\.gate.waiting) }

    private func lane(_ lane: Lane) -> PostgreSQLLane {
        guard let found = lanes[lane] else { preconditionFailure("every lane is made in init") }
        return found
    }

    private func waiting<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        guard let watch else { return try await body() }
        return try await watch.waiting(whenSilent, body)
    }

    // MARK: Database

    public func run(_ statements: [Statement], on lane: Lane, deadline: Instant) async throws -> [Rows] {
        guard !statements.isEmpty else { return [] }
        return try await waiting { try await runWaiting(statements, on: lane, deadline: deadline) }
    }

    private func runWaiting(_ statements: [Statement], on lane: Lane, deadline: Instant) async throws -> [Rows] {
        let lane = self.lane(lane)
        var attempts = 0
        while true {
            try await lane.gate.enter(1, deadline: deadline)
            defer { lane.gate.leave(1) }
            let session = try await lane.session(deadline: deadline)
            let outcome = await session.perform(statements, isSeparate: true, deadline: deadline)
            attempts += 1
            // Reads may be asked again when the connection broke under them: a restart or failover, or another read's deadline.
            if case .lost(let error, _, _) = outcome, lane.lane == .read, error.code == .catalogUnavailable, attempts < 3,
                BootClock.now < deadline
            {
                continue
            }
            return try outcome.rows(of: statements.count, mayHaveCommitted: lane.lane != .read)
        }
    }

    public func transaction<Value: Sendable>(
        _ mode: TransactionMode, on lane: Lane, deadline: Instant,
        _ body: (any Transaction) async throws -> Value
    ) async throws -> Value {
        try await waiting { try await transactionWaiting(mode, on: lane, deadline: deadline, body) }
    }

    private func transactionWaiting<Value: Sendable>(
        _ mode: TransactionMode, on lane: Lane, deadline: Instant,
        _ body: (any Transaction) async throws -> Value
    ) async throws -> Value {
        let lane = self.lane(lane)
        try await lane.gate.enter(deadline: deadline)
        let session: PostgreSQLSession
        do {
            session = try await lane.session(deadline: deadline)
        } catch {
            lane.gate.leave()
            throw error
        }
        let transaction = PostgreSQLTransaction(session: session, beginning: Self.beginning(mode, deadline: deadline))
        // A body or a server that hangs must not hold the lane: at the deadline the connection goes, and the transaction with it.
        let holds = Mutex(true)
        let leave: @Sendable () -> Void = {
            if holds.withLock({ holds in
                defer { holds = false }; return holds
            }) {
                lane.gate.leave()
            }
        }
        let cancelTimer = Deadlines.shared.schedule(at: deadline) {
            session.close(.deadlinePassed("the transaction was open"), done: leave)
        }
        defer {
            cancelTimer?()
            transaction.rollBack(then: leave)
        }
        let value = try await body(transaction)
        try await transaction.finish()
        return value
    }

    public func notify(_ notification: Notification, deadline: Instant) async throws {
        let statement = Statement("SELECT pg_notify($1, $2)", [.text(notification.channel), .text(notification.payload)])
        _ = try await run([statement], on: .duty, deadline: deadline)
    }

    public func notifications(on channels: [String]) -> AsyncStream<Notification> {
        let stream = hub.stream(on: channels)
        // The stream exists at once; its listening begins when the server has heard of it, and ends with the connection.
        Task { await listen(to: channels) }
        return stream
    }

    public func close() async {
        hub.finish()
        watch?.close()
        for lane in lanes.values { await lane.close() }
    }

    // MARK: Bulk

    /// `COPY … FROM STDIN`: writes the chunks, which need not end at row boundaries, in one transaction; gives the number of rows.
    /// The outcomes are those of a write.
    public func copy(_ sql: StaticSQL, from chunks: [[UInt8]], deadline: Instant) async throws -> Int {
        try await copy(sql, on: .write, input: chunks, deadline: deadline) { _ in }
    }

    /// `COPY … TO STDOUT`: calls `row` with the bytes of each row, on an event loop; gives their number.
    public func copy(_ sql: StaticSQL, deadline: Instant, to row: @escaping @Sendable ([UInt8]) -> Void) async throws -> Int {
        try await copy(sql, on: .read, input: [], deadline: deadline, row)
    }

    private func copy(
        _ sql: StaticSQL, on lane: Lane, input: [[UInt8]], deadline: Instant, _ row: @escaping @Sendable ([UInt8]) -> Void
    ) async throws -> Int {
        let lane = self.lane(lane)
        try await lane.gate.enter(deadline: deadline)
        defer { lane.gate.leave() }
        let session = try await lane.session(deadline: deadline)
        let cancelTimer = Deadlines.shared.schedule(at: deadline) { session.close(.deadlinePassed("bytes were copied")) }
        defer { cancelTimer?() }
        do {
            return try await withCheckedThrowingContinuation { continuation in
                session.perform(PostgreSQLCopy(sql, input: input, output: row, continuation))
            }
        } catch let error as ApusError where lane.lane == .write && [.catalogUnavailable, .deadlineExceeded].contains(error.code) {
            throw ApusError.outcomeUnknown("the connection broke while bytes were copied", cause: error)
        }
    }

    // MARK: Parts

    private func listen(to channels: [String]) async {
        let deadline = BootClock.now.advanced(by: .seconds(5))
        do {
            let statements = channels.map { Statement.once("LISTEN " + StaticSQL.identifier($0)) }
            _ = try await run(statements, on: .duty, deadline: deadline)
        } catch {
            hub.finish()  // its reader asks again
            Logger("database").debug("catalog does not notify", ["error": "\(error)"])
        }
    }

    private static func beginning(_ mode: TransactionMode, deadline: Instant) -> [Statement] {
        if mode.kind == .snapshot { return [Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")] }
        var statements = [Statement("BEGIN ISOLATION LEVEL READ COMMITTED")]
        // A little less than what is left, so that the server says no before the connection must be closed.
        let left = BootClock.now.duration(to: deadline) * 9 / 10
        let limit = min(mode.lockTimeout ?? Self.lockTimeout, left)
        if limit != Self.lockTimeout {
            statements.append(
                Statement("SELECT set_config('lock_timeout', $1, true)", [.text("\(max(1, limit.milliseconds))ms")]))
        }
        if mode.kind == .writeLocal { statements.append(Statement("SELECT set_config('synchronous_commit', 'local', true)")) }
        return statements
    }
}
