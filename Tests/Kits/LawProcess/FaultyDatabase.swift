import ApusDatabase
import ApusRuntime
import ApusTypes
import Glibc
import Synchronization

/// A moment of a write transaction at which this process dies or waits: the environment's `APUS_FAULT`, such as `statement-3=kill`.
///
/// statement-N: after the Nth statement of the transaction. before-commit, after-commit: around COMMIT. during-commit: some time after
/// COMMIT was sent. `kill` is `kill -9` of this process; `wait` stands still, after a line that says so, until the file named by
/// `APUS_FAULT_END` exists.
final class Fault: Sendable {
    enum Act: String { case kill, wait }

    let point: String
    let act: Act
    /// How long after COMMIT was sent `during-commit` comes.
    let delay: Duration
    private let end: String
    private let isArmed = Mutex(false)

    private init(point: String, act: Act, delay: Duration, end: String) {
        self.point = point
        self.act = act
        self.delay = delay
        self.end = end
    }

    static func fromEnvironment() -> Fault? {
        func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }
        let parts = variable("APUS_FAULT").split(separator: "=").map(String.init)
        guard parts.count == 2, let act = Act(rawValue: parts[1]) else { return nil }
        let delay = Duration.microseconds(Int64(variable("APUS_FAULT_MICROSECONDS")) ?? 0)
        return Fault(point: parts[0], act: act, delay: delay, end: variable("APUS_FAULT_END"))
    }

    func arm() { isArmed.withLock { $0 = true } }

    /// Whether the next transaction is the one; only one is.
    func take() -> Bool {
        isArmed.withLock { isArmed in
            defer { isArmed = false }
            return isArmed
        }
    }

    func reached(_ point: String) async {
        guard point == self.point else { return }
        switch act {
        case .kill: die()
        case .wait:
            say("fault \(point)")
            while access(end, F_OK) != 0 { usleep(2000) }  // standing still is the point: nothing else runs here meanwhile
        }
    }

    /// At `during-commit`, dies `delay` later, whatever the process does meanwhile.
    func dieSoon() {
        guard point == "during-commit", act == .kill else { return }
        ApusRuntime.Thread.start(name: "fault") { [self] in
            usleep(UInt32(delay.nanoseconds / 1000))
            die()
        }
    }

    private func die() -> Never {
        kill(getpid(), SIGKILL)
        while true { pause() }
    }
}

/// Runs one write transaction of the database statement by statement, with a fault among them.
struct FaultyDatabase: Database {
    let base: any Database
    let fault: Fault

    var dialect: SQLDialect { base.dialect }

    func run(_ statements: [Statement], on lane: Lane, deadline: Instant) async throws -> [Rows] {
        try await base.run(statements, on: lane, deadline: deadline)
    }

    func transaction<Value: Sendable>(
        _ mode: TransactionMode, on lane: Lane, deadline: Instant, _ body: (any Transaction) async throws -> Value
    ) async throws -> Value {
        guard lane == .write, fault.take() else { return try await base.transaction(mode, on: lane, deadline: deadline, body) }
        return try await base.transaction(mode, on: lane, deadline: deadline) { inner in
            try await body(FaultyTransaction(inner, fault))
        }
    }

    func notify(_ notification: Notification, deadline: Instant) async throws { try await base.notify(notification, deadline: deadline) }
    func notifications(on channels: [String]) -> AsyncStream<Notification> { base.notifications(on: channels) }
    func close() async { await base.close() }
}

private final class FaultyTransaction: Transaction {
    private let inner: any Transaction
    private let fault: Fault
    private var count = 0

    init(_ inner: any Transaction, _ fault: Fault) {
        self.inner = inner
        self.fault = fault
    }

    func run(_ statements: [Statement]) async throws -> [Rows] {
        var rows: [Rows] = []
        for statement in statements {
            rows += try await inner.run([statement])
            count += 1
            await fault.reached("statement-\(count)")
        }
        return rows
    }

    func commit(after statements: [Statement]) async throws -> [Rows] {
        let rows = try await run(statements)
        await fault.reached("before-commit")
        fault.dieSoon()
        _ = try await inner.commit(after: [])
        await fault.reached("after-commit")
        return rows
    }
}
