internal import ApusMembership
internal import ApusRuntime
public import ApusTypes
internal import Synchronization

/// Seeks one lease, keeps it while it can, and says at any instant whether this process may act under it.
public final class LeaseKeeper: Sendable {
    public let name: String
    private let rows: LeaseRows
    private let clock: any MonotonicClock
    private let report: (@Sendable () -> String)?
    private let state: Mutex<State>
    private let log = Logger("leases")

    private struct State {
        var machine: LeaseMachine
        var listeners: [AsyncStream<Epoch?>.Continuation] = []
        var published: Epoch?
    }

    /// How long the catalog may take to answer. Shorter than what is left of a lease when a renewal is due, so that there is a second try.
    private static let patience = Duration.seconds(1)

    init(name: String, rows: LeaseRows, machine: LeaseMachine, clock: any MonotonicClock, report: (@Sendable () -> String)?) {
        self.name = name
        self.rows = rows
        self.clock = clock
        self.report = report
        state = Mutex(State(machine: machine))
    }

    /// The epoch under which this process may act now; nil: it may not. Ask before each effect, and let the effect carry it.
    public var epoch: Epoch? { state.withLock { $0.machine.held(at: clock.now) } }

    /// Throws `lease.stale` unless the lease is held.
    public func requireEpoch() throws -> Epoch {
        guard let epoch else { throw ApusError(.leaseStale, "this node does not hold the lease \(name) now") }
        return epoch
    }

    /// Each change of `epoch`, the newest only for a slow reader, beginning with how it is. Known within a poll.
    public func changes() -> AsyncStream<Epoch?> {
        let (stream, continuation) = AsyncStream.makeStream(of: Epoch?.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { state in
            state.listeners.append(continuation)
            continuation.yield(state.published)
        }
        return stream
    }

    /// Seeks and keeps the lease until the task is cancelled; then gives it up.
    public func run() async {
        while !Task.isCancelled {
            publish()
            let sent = clock.now
            switch state.withLock({ $0.machine.action(at: sent) }) {
            case .sleep(let until):
                // Not past the end of the holder's time: that it ended must be published.
                let end = state.withLock { $0.machine.heldUntil }.flatMap { $0 > sent ? $0 : nil } ?? until
                do { try await clock.sleep(until: min(until, end), tolerance: nil) } catch { break }
            case let action: await perform(action, sent: sent)
            }
        }
        await resign()
    }

    private func perform(_ action: LeaseMachine.Action, sent: Instant) async {
        let deadline = sent.advanced(by: Self.patience)
        do {
            switch action {
            case .sleep: break
            case .observe:
                let row = try await rows.observe(deadline: deadline)
                update { $0.observed(row, sent: sent, received: clock.now) }
            case .take(let seen):
                let epoch = try await rows.take(seen, deadline: deadline)
                update { $0.took(epoch, sent: sent) }
                if let epoch { log.info("lease taken", ["lease": name, "epoch": "\(epoch)"]) }
            case .renew(let epoch):
                let isOurs = try await rows.renew(epoch, report: report?(), deadline: deadline)
                update { $0.renewed(isOurs, sent: sent) }
                if !isOurs { log.info("lease lost", ["lease": name, "epoch": "\(epoch)"]) }
            }
        } catch {
            update { $0.failed(sent: sent) }
            log.debug("lease not reached", ["lease": name, "error": "\(error)"])
        }
    }

    private func resign() async {
        let epoch = state.withLock { state in
            defer { state.machine.resign(at: clock.now) }
            return state.machine.held(at: clock.now)
        }
        publish()
        state.withLock { $0.listeners.forEach { $0.finish() } }
        guard let epoch else { return }
        // Courtesy to the next holder; without it the lease ends by itself. The task is cancelled, so another one does it.
        await Task { [rows, clock, log, name] in
            do {
                try await rows.release(epoch, deadline: clock.now.advanced(by: Self.patience))
            } catch {
                log.debug("lease not released", ["lease": name, "error": "\(error)"])
            }
        }.value
    }

    private func update(_ body: (inout LeaseMachine) -> Void) { state.withLock { body(&$0.machine) } }

    private func publish() {
        state.withLock { state in
            let epoch = state.machine.held(at: clock.now)
            guard epoch != state.published else { return }
            state.published = epoch
            for listener in state.listeners { listener.yield(epoch) }
        }
    }
}
