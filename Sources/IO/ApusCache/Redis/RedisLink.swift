internal import ApusRuntime
internal import ApusTypes

/// Keeps one loop connected to one server, wherever that is: nobody who asks waits for a connection. Loop thread only.
final class RedisLink: @unchecked Sendable {  // all state is touched on `loop` only
    private static let shortestPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(2)
    private static let patience = Duration.seconds(1)

    /// Finds the server and connects to it before the deadline; the connection tells its end.
    typealias Connect = @Sendable (_ deadline: Instant, _ ended: @escaping @Sendable (ApusError) -> Void) async throws -> RedisConnection

    private let loop: EventLoop
    private let connect: Connect
    private let report: @Sendable (ApusError?) -> Void
    private var connection: RedisConnection?
    private var isTrying = false
    private var isClosed = false

    /// `report` hears why the server is away, and nil when it is there.
    init(loop: EventLoop, report: @escaping @Sendable (ApusError?) -> Void, connect: @escaping Connect) {
        (self.loop, self.report, self.connect) = (loop, report, connect)
    }

    /// The connection if there is one; else one is sought from now on.
    var open: RedisConnection? {
        if connection == nil, !isTrying, !isClosed {
            isTrying = true
            Task(executorPreference: loop) { await self.seek() }
        }
        return connection
    }

    private func seek() async {
        var pause = Self.shortestPause
        while true {
            let problem: ApusError
            do {
                let found = try await connect(BootClock.now.advanced(by: Self.patience)) { [self] error in
                    connection = nil
                    if isClosed { return }
                    report(error)
                    _ = open  // sought at once: whoever asks next may have it
                }
                if await settle(found) { report(nil) }  // else it has ended again, and said why
                return
            } catch {
                problem = error as? ApusError ?? .cacheUnavailable("\(error)")
            }
            report(problem)
            guard await isStillWanted() else { return }
            try? await BootClock().sleep(for: pause)  // nothing cancels this task
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private func settle(_ found: RedisConnection) async -> Bool {
        await withCheckedContinuation { continuation in
            loop.soon { [self] in
                isTrying = false
                if isClosed { found.close(.cacheUnavailable("it was closed")) } else if found.isOpen { connection = found }
                continuation.resume(returning: connection != nil)
            }
        }
    }

    private func isStillWanted() async -> Bool {
        await withCheckedContinuation { continuation in loop.soon { continuation.resume(returning: !self.isClosed) } }
    }

    func close() {
        isClosed = true
        connection?.close(.cacheUnavailable("it was closed"))
        connection = nil
    }
}
