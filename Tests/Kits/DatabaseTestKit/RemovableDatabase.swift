public import ApusDatabase
internal import ApusRuntime
public import ApusTypes
internal import Synchronization

/// A database that a test takes away and gives back. While it is away nothing answers: a call waits until its deadline, as with a host
/// that has dropped off the network.
public final class RemovableDatabase: Database {
    private struct State {
        var isAway = false
        var writes = 0
    }

    private let base: any Database
    private let state = Mutex(State())

    public init(_ base: any Database) { self.base = base }

    public var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }

    /// Write transactions that were begun, whatever came of them.
    public var writes: Int { state.withLock { $0.writes } }

    private func reach(by deadline: Instant) async throws {
        guard isAway else { return }
        try await BootClock().sleep(until: deadline, tolerance: nil)
        throw ApusError(.catalogUnavailable, "the test took the database away")
    }

    public var dialect: SQLDialect { base.dialect }

    public func run(_ statements: [Statement], on lane: Lane, deadline: Instant) async throws -> [Rows] {
        try await reach(by: deadline)
        return try await base.run(statements, on: lane, deadline: deadline)
    }

    public func transaction<Value: Sendable>(
        _ mode: TransactionMode, on lane: Lane, deadline: Instant, _ body: (any Transaction) async throws -> Value
    ) async throws -> Value {
        if lane == .write { state.withLock { $0.writes += 1 } }
        try await reach(by: deadline)
        return try await base.transaction(mode, on: lane, deadline: deadline, body)
    }

    public func notify(_ notification: Notification, deadline: Instant) async throws {
        try await reach(by: deadline)
        try await base.notify(notification, deadline: deadline)
    }

    public func notifications(on channels: [String]) -> AsyncStream<Notification> { base.notifications(on: channels) }
    public func close() async { await base.close() }
}
