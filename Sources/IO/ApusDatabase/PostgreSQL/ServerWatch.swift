internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// Notices that the server has fallen silent: frozen, cut off or gone. Deadlines are for work that takes long; who waits for a server that does
/// nothing is told sooner.
///
/// When nothing was heard on any connection for `patience` while somebody waited, a probe asks the server on a connection of its own: a long
/// statement, or a lock that is waited for, is no silence. If the probe fails too, the server is away until one succeeds.
final class ServerWatch: Sendable {
    /// For the first probe; each one after it gets twice as long, because a server may be slow to greet.
    private static let probeTime = Duration.milliseconds(750)
    private static let longestProbe = Duration.seconds(6)
    private static let probeInterval = Duration.milliseconds(250)

    private let patience: Duration
    private let state = Mutex(State())

    private struct State {
        var waiting = 0
        /// Since when somebody has waited all the time.
        var waitingSince = BootClock.now
        var heardAt = BootClock.now
        var isWatching = false
        var isAway = false
        var isClosed = false
    }

    /// Tells whether the server answers on a new connection before the deadline, and what is to be done when it is away.
    struct Actions: Sendable {
        var probe: @Sendable (_ deadline: Instant) async -> Bool
        var leave: @Sendable (ApusError) -> Void
    }

    init(patience: Duration) { self.patience = patience }

    /// What callers are told while the server is away; nil while it is not.
    var absence: ApusError? {
        guard state.withLock(\.isAway) else { return nil }
        return ApusError(
            .catalogUnavailable, "the catalog's PostgreSQL does not answer", hint: "apus doctor catalog", retry: .after(.seconds(1)))
    }

    /// Bytes have come from the server.
    func hear() { state.withLock { $0.heardAt = BootClock.now } }

    func close() { state.withLock { $0.isClosed = true } }

    /// Runs `body`, which waits for the server.
    func waiting<Value>(_ actions: Actions, _ body: () async throws -> Value) async rethrows -> Value {
        let isUnwatched = state.withLock { state in
            if state.waiting == 0 { state.waitingSince = BootClock.now }
            state.waiting += 1
            defer { state.isWatching = true }
            return !state.isWatching
        }
        if isUnwatched { Task { await watch(actions) } }
        defer { state.withLock { $0.waiting -= 1 } }
        return try await body()
    }

    private func watch(_ actions: Actions) async {
        while let suspectAt = nextSuspicion() {
            if BootClock.now < suspectAt {
                await sleep(until: suspectAt)
            } else if await answers(actions, within: Self.probeTime) {
                hear()
            } else {
                state.withLock { $0.isAway = true }
                if let absence { actions.leave(absence) }
                var time = Self.probeTime
                repeat {
                    await sleep(until: BootClock.now.advanced(by: Self.probeInterval))
                    time = min(time * 2, Self.longestProbe)
                } while await !answers(actions, within: time) && !isClosed
                state.withLock { $0.isAway = false }
                hear()
            }
        }
    }

    /// When the silence will be suspicious; nil when nobody waits, which ends the watch.
    private func nextSuspicion() -> Instant? {
        state.withLock { state in
            state.isWatching = state.waiting > 0 && !state.isClosed
            return state.isWatching ? max(state.heardAt, state.waitingSince).advanced(by: patience) : nil
        }
    }

    private var isClosed: Bool { state.withLock(\.isClosed) }

    private func answers(_ actions: Actions, within time: Duration) async -> Bool {
        let asked = BootClock.now
        let isAnswered = await actions.probe(asked.advanced(by: time))
        // A loop that stood still runs its timers before it reads what has come meanwhile.
        if !isAnswered { await sleep(until: BootClock.now.advanced(by: .milliseconds(50))) }
        return isAnswered || state.withLock { $0.heardAt > asked }
    }

    /// The watch is no child of anybody's: nothing cancels it.
    private func sleep(until instant: Instant) async { try? await BootClock().sleep(until: instant) }
}
