public import ApusTypes

/// Runs `body`; at `deadline` cancels it and throws `deadline.exceeded`.
///
/// It bounds what honours cancellation. A call that does not (a system call that hangs) belongs in a `BlockingPool`, whose deadline abandons it.
public func withDeadline<Value: Sendable>(
    _ deadline: Instant, clock: some MonotonicClock = BootClock(), _ what: String,
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await clock.sleep(until: deadline, tolerance: nil)
            throw ApusError(.deadlineExceeded, "\(what) did not end in time")
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { preconditionFailure("the group has two tasks") }
        return value
    }
}

extension MonotonicClock {
    /// The instants `interval` apart, counted from now; a slow consumer skips what it missed. Ends when the task is cancelled.
    public func ticks(every interval: Duration) -> Ticks<Self> { Ticks(clock: self, interval: interval) }
}

public struct Ticks<TickClock: MonotonicClock>: AsyncSequence, Sendable {
    public typealias Element = Instant

    let clock: TickClock
    let interval: Duration

    public struct AsyncIterator: AsyncIteratorProtocol {
        let clock: TickClock
        let interval: Duration
        var next: Instant

        public mutating func next() async -> Instant? {
            let now = clock.now
            if next < now { next = now }
            do { try await clock.sleep(until: next, tolerance: nil) } catch { return nil }
            defer { next = next.advanced(by: interval) }
            return next
        }
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(clock: clock, interval: interval, next: clock.now.advanced(by: interval))
    }
}
