public import ApusTypes

/// When a lease ends, is renewed, and may be taken over. All durations but `length` are counted by each process's own boot clock.
public struct LeaseTerms: Sendable, Hashable {
    /// How long a grant or renewal lasts by the catalog's clock.
    public var length = Duration.seconds(4)
    /// The holder renews this often, counted from when it sent the last renewal.
    public var renewal = Duration.seconds(1)
    /// Others look this often; a failed renewal is tried again after it.
    public var poll = Duration.milliseconds(500)
    /// The holder stops this long before the end.
    public var margin = Duration.milliseconds(1500)
    /// Whether a process that has just begun to look waits one length before it takes a lease, as after a change of history. Not
    /// needed where only one process can own the catalog.
    public var settles = true

    public init() {}
}

/// A lease's row as a candidate or its holder reads it.
public struct LeaseObservation: Sendable, Hashable {
    public var holder: String?
    public var epoch: Epoch
    /// Rises with each grant and renewal.
    public var renewals: Int64
    /// By the catalog's clock, when it was read.
    public var isExpired: Bool
    /// The catalog's incarnation.
    public var history: String

    public init(holder: String?, epoch: Epoch, renewals: Int64, isExpired: Bool, history: String) {
        self.holder = holder
        self.epoch = epoch
        self.renewals = renewals
        self.isExpired = isExpired
        self.history = history
    }
}

/// One process's side of one lease: tells what to ask the catalog next, and whether the lease is held.
///
/// following -> holding -> following. While holding, `held` turns nil by the mere passing of time; a renewal that comes late
/// arms the same epoch again, if nobody took the lease meanwhile. What is promised is not that one process believes that it holds the lease,
/// but that at most one holder's effects are accepted: each carries its epoch.
public struct LeaseMachine: Sendable {
    /// What to do now. Afterwards the machine is told what came of it, and asked again.
    public enum Action: Sendable, Hashable {
        case sleep(until: Instant)
        case observe
        /// Make the row ours under the next epoch, if it still is as it was seen.
        case take(LeaseObservation)
        case renew(Epoch)
    }

    private enum State: Sendable, Hashable {
        case following
        /// `until`: the last instant at which the holder may act.
        case holding(Epoch, until: Instant)
    }

    public let holder: String
    public let terms: LeaseTerms
    private var state = State.following
    /// When to observe or renew next.
    private var next = Instant(nanosecondsSinceBoot: .min)
    private var seen: LeaseObservation?
    /// When the row was first seen as it is.
    private var unchangedSince = Instant(nanosecondsSinceBoot: .min)
    /// Nobody takes a lease before: the history has changed.
    private var settled = Instant(nanosecondsSinceBoot: .min)
    private var isFree = false

    /// `holder` names this process, and no other before or after it.
    public init(holder: String, terms: LeaseTerms = LeaseTerms()) {
        self.holder = holder
        self.terms = terms
    }

    /// The epoch under which this process may act at `now`.
    public func held(at now: Instant) -> Epoch? {
        if case .holding(let epoch, let until) = state, now < until { epoch } else { nil }
    }

    public func action(at now: Instant) -> Action {
        if case .following = state, isFree, now >= settled, let seen { return .take(seen) }
        guard now >= next else { return .sleep(until: next) }
        if case .holding(let epoch, _) = state { return .renew(epoch) }
        return .observe
    }

    /// The row was read, or does not exist. `sent` and `received` bracket the reading.
    public mutating func observed(_ row: LeaseObservation, sent: Instant, received: Instant) {
        next = sent.advanced(by: terms.poll)
        if row.history != seen?.history {
            settled = seen == nil && !terms.settles ? received : received.advanced(by: terms.length)
            unchangedSince = received
        } else if row.epoch != seen?.epoch || row.renewals != seen?.renewals {
            unchangedSince = received
        }
        seen = row
        if row.holder == holder {
            // A grant whose answer was lost. It says nothing of when; a renewal will.
            state = .holding(row.epoch, until: sent)
            next = received
            return
        }
        // A catalog clock that jumped back must not keep a dead holder in office.
        let isStill = unchangedSince.duration(to: sent) >= terms.length * 2
        isFree = row.holder == nil || row.isExpired || isStill
    }

    /// The row was made ours under `epoch`; nil: somebody else was faster.
    public mutating func took(_ epoch: Epoch?, sent: Instant) {
        isFree = false
        next = sent
        guard let epoch else { return }
        state = .holding(epoch, until: authority(from: sent))
        next = sent.advanced(by: terms.renewal)
    }

    /// The row was renewed, if it still was ours.
    public mutating func renewed(_ isOurs: Bool, sent: Instant) {
        next = sent.advanced(by: terms.renewal)
        if isOurs, case .holding(let epoch, _) = state {
            state = .holding(epoch, until: authority(from: sent))
        } else {
            follow(from: sent)
        }
    }

    /// The catalog did not answer, or it is not known what it did.
    public mutating func failed(sent: Instant) {
        isFree = false
        next = sent.advanced(by: terms.poll)
    }

    /// The lease is given up.
    public mutating func resign(at now: Instant) { follow(from: now) }

    private mutating func follow(from sent: Instant) {
        state = .following
        isFree = false
        next = sent
    }

    /// The grant began after `sent` by any clock, so it lasts at least until a length after it.
    private func authority(from sent: Instant) -> Instant { sent.advanced(by: terms.length - terms.margin) }
}
