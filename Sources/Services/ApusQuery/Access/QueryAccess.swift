public import ApusCatalog
internal import ApusQueryPlan
public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// What who may do with the query service, as the catalog says: read when the change feed says that it has changed, and looked at again every
/// two seconds should the feed not say it.
///
/// While the catalog is away what was read last stays in force for `maxStale` (`auth.max_stale_seconds`), then requests are refused: nobody
/// knows better. `run()` must be running.
public final class QueryAccess: Sendable {
    public struct Options: Sendable {
        public var maxStale: Duration = .seconds(300)
        /// Whether roles that do not say may do nothing without a rule that allows it.
        public var deniesByDefault = false

        public init() {}
    }

    private static let interval: Duration = .seconds(2)
    /// What was confirmed so long ago is looked at before it decides: a process may have been stopped meanwhile.
    private static let fresh: Duration = .seconds(4)
    /// What the catalog gets to answer where an older answer is at hand.
    private static let patience: Duration = .milliseconds(500)
    /// Versions say what has changed; a catalog that was put back in time may have one twice.
    private static let wholeInterval: Duration = .seconds(30)

    private let catalog: Catalog
    private let options: Options
    private let clock: any MonotonicClock
    private let log = Logger("access")
    private let wake: Watermark
    private let state = Mutex(State())
    private let callers = Mutex(Callers())
    private let operators = Mutex(Callers())

    /// Those who asked under one snapshot: most ask again. Operators are under none.
    private struct Callers {
        var sequence: UInt64 = 0
        private var known: [CallerIdentity: QueryCaller] = [:]

        func caller(_ identity: CallerIdentity, under sequence: UInt64) -> QueryCaller? {
            sequence == self.sequence ? known[identity] : nil
        }

        mutating func keep(_ caller: QueryCaller) {
            if sequence != caller.sequence || known.count >= 1000 { self = Callers(sequence: caller.sequence) }
            known[caller.identity] = caller
        }
    }

    private struct State {
        var snapshot: AccessSnapshot?
        /// From before it was asked for.
        var confirmedAt: Instant?
        var wholeAt: Instant?
        var triedAt: Instant?
        var searchedAt: Instant?
        var mustReadWhole = false
        var sequence: UInt64 = 0

        mutating func confirm(_ at: Instant) { confirmedAt = max(confirmedAt ?? at, at) }
    }

    public init(catalog: Catalog, options: Options = Options(), clock: (any MonotonicClock)? = nil) {
        self.catalog = catalog
        self.options = options
        self.clock = clock ?? catalog.clock
        wake = Watermark(clock: catalog.clock)
    }

    // MARK: Following

    /// Follows the catalog until the task is cancelled.
    public func run() async throws { try await runTogether(followFeed, look) }

    private func followFeed() async throws {
        for try await event in catalog.feed.follow(from: nil) {
            switch event {
            case .rebuild:
                state.withLock { $0.mustReadWhole = true }
                wake.rise(by: 1)
            case .changes(let changes, _):
                if changes.contains(where: { $0.topic == .queryAccess || $0.topic == .querySchema }) { wake.rise(by: 1) }
            }
        }
    }

    private func look() async throws {
        while true {
            try Task.checkCancellation()
            let mark = wake.value
            do { try await refresh(deadline: clock.now.advanced(by: Self.interval)) } catch let error as ApusError {
                log.debug("permissions cannot be read", ["error": error.description])
            }
            _ = await wake.wait(for: mark + 1, until: clock.now.advanced(by: Self.interval))
        }
    }

    /// Reads what has changed since the last time.
    func refresh(deadline: Instant) async throws {
        let asked = clock.now
        let (known, isWhole) = state.withLock { state in
            let isDue = state.wholeAt.map { $0.duration(to: asked) >= Self.wholeInterval } ?? true
            defer { state.mustReadWhole = false }
            return (state.snapshot?.version, state.mustReadWhole || isDue)
        }
        do {
            if !isWhole, let known, try await catalog.definitions.versions(deadline: deadline).access == known {
                state.withLock { $0.confirm(asked) }
                return
            }
            let read = try await catalog.definitions.rows(of: [.roles, .permissions, .keys], deadline: deadline)
            state.withLock { state in
                // Somebody else may have read a later state meanwhile.
                guard state.confirmedAt.map({ $0 <= asked }) ?? true else { return }
                state.sequence += 1
                state.snapshot = AccessSnapshot(
                    sequence: state.sequence, read.rows, version: read.versions.access, deniesByDefault: options.deniesByDefault)
                state.wholeAt = asked
                state.confirm(asked)
            }
        } catch {
            if isWhole { state.withLock { $0.mustReadWhole = true } }
            throw error
        }
    }

    // MARK: Asking

    /// What is in force now. Throws `access.stale` where that cannot be known.
    func snapshot(deadline: Instant) async throws -> AccessSnapshot {
        let now = clock.now
        let (known, age, isTried) = state.withLock { state in
            let age = state.confirmedAt.map { $0.duration(to: now) }
            // One request asks, the others take what is known: the catalog being away must not cost each of them its patience.
            let isTried = state.triedAt.map { $0.duration(to: now) < .seconds(1) } ?? false
            if age.map({ $0 >= Self.fresh }) ?? true, !isTried { state.triedAt = now }
            return (state.snapshot, age, isTried)
        }
        if let known, let age, age < Self.fresh { return known }
        let isUsable = age.map { $0 < options.maxStale } ?? false
        if isTried, isUsable, let known { return known }
        do {
            try await refresh(
                deadline: isUsable ? min(deadline, now.advanced(by: Self.patience)) : min(deadline, now.advanced(by: .seconds(2))))
        } catch let error as ApusError {
            if isUsable, let known { return known }
            throw ApusError(
                .accessStale, "the catalog is away, and what roles may do was last known longer ago than it stays in force",
                hint: "auth.max_stale_seconds says how long that is", cause: error)
        }
        guard let snapshot = state.withLock({ $0.snapshot }) else {
            throw ApusError(.accessStale, "what roles may do is not known yet")
        }
        return snapshot
    }

    /// Somebody with what that role may do now. Throws `auth.forbidden` for a role that is not there, or disabled.
    public func caller(_ identity: CallerIdentity, deadline: Instant) async throws -> QueryCaller {
        if identity.isOperator {
            if let caller = operators.withLock({ $0.caller(identity, under: 0) }) { return caller }
            var role = RoleStanding()
            role.mayImpersonate = true
            role.permissions = .init()
            let caller = QueryCaller(identity, role, sequence: 0)
            operators.withLock { $0.keep(caller) }
            return caller
        }
        let known = try await snapshot(deadline: deadline)
        if known.roles[identity.role] == nil { try await search(deadline: deadline) }
        let snapshot = try await snapshot(deadline: deadline)
        if let caller = callers.withLock({ $0.caller(identity, under: snapshot.sequence) }) { return caller }
        let caller = try snapshot.caller(identity)
        callers.withLock { $0.keep(caller) }
        return caller
    }

    /// A role or key that is not known here may have been made a moment ago, through another node. Whoever guesses does not have the catalog
    /// asked more than ten times a second.
    func search(deadline: Instant) async throws {
        let now = clock.now
        let isDue = state.withLock { state in
            let isDue = state.searchedAt.map { $0.duration(to: now) >= .milliseconds(100) } ?? true
            if isDue { state.searchedAt = now }
            return isDue
        }
        guard isDue else { return }
        // What cannot be looked for is not there.
        do { try await refresh(deadline: min(deadline, now.advanced(by: Self.patience))) } catch is ApusError {}
    }

    /// Somebody has changed something through this node, and may ask at once.
    func changed(deadline: Instant) async {
        do { try await refresh(deadline: deadline) } catch { wake.rise(by: 1) }
    }

    /// What anonymous may do, in words for whoever starts a node; nil where that is not known yet.
    public func description(ofRole name: String) -> [String: String]? {
        guard let snapshot = state.withLock({ $0.snapshot }) else { return nil }
        guard let role = snapshot.roles[name], !role.isDisabled else {
            return ["role": name, "may": "nothing: there is no such role, or it is disabled"]
        }
        let rules = role.permissions.all
        var may = role.permissions.deniesByDefault ? "what rules allow" : "read and change all data"
        if rules.contains(where: { $0.type == "Mutation" && $0.field == "*" && $0.isDisabled }) {
            may = "read all data, and change nothing"
        }
        if role.permissions.manages { may += "; manage data sources, roles and keys of the whole cluster" }
        if role.mayImpersonate { may += "; ask in any other role" }
        return [
            "role": name, "may": may,
            "rules": rules.isEmpty
                ? "none"
                : rules.map { rule in
                    let effects = [
                        rule.isDisabled ? "denied" : nil, rule.isHidden ? "hidden" : nil,
                        rule.filter.map { "only \(JSONValue.object($0))" },
                        rule.data.map { "stored \(JSONValue.object($0))" },
                    ].compactMap(\.self)
                    return "\(rule.type).\(rule.field) \(effects.isEmpty ? "allowed" : effects.joined(separator: ", "))"
                }.joined(separator: "; "),
        ]
    }
}

extension AccessSnapshot {
    func caller(_ identity: CallerIdentity) throws(ApusError) -> QueryCaller {
        guard let role = roles[identity.role], !role.isDisabled else {
            throw ApusError(.forbidden, "there is no role \"\(identity.role)\", or it is disabled")
        }
        return QueryCaller(identity, role, sequence: sequence)
    }
}
