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
    private let machine: Mutex<LeaseMachine>
    private let log = Logger("leases")

    /// How long the catalog may take to answer. Shorter than what is left of a lease when a renewal is due, so that there is a second try.
    private static let patience = Duration.seconds(1)

    init(name: String, rows: LeaseRows, machine: LeaseMachine, clock: any MonotonicClock, report: (@Sendable () -> String)?) {
        self.name = name
        self.rows = rows
        self.clock = clock
        self.report = report
        self.machine = Mutex(machine)
    }

    /// The epoch under which this process may act now; nil: it may not. Ask before each effect, and let the effect carry it.
    public var epoch: Epoch? { machine.withLock { $0.held(at: clock.now) } }

    /// Throws `lease.stale` unless the lease is held.
    public func requireEpoch() throws -> Epoch {
        guard let epoch else { throw ApusError(.leaseStale, "this node does not hold the lease \(name) now") }
        return epoch
    }

    /// Seeks and keeps the lease until the task is cancelled; then gives it up.
    public func run() async {
        while !Task.isCancelled {
            let sent = clock.now
            switch machine.withLock({ $0.action(at: sent) }) {
            case .sleep(let until): do { try await clock.sleep(until: until, tolerance: nil) } catch { break }
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
        let epoch = machine.withLock { machine in
            defer { machine.resign(at: clock.now) }
            return machine.held(at: clock.now)
        }
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

    private func update(_ body: (inout LeaseMachine) -> Void) { machine.withLock { body(&$0) } }
}
