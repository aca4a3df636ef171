public import ApusTypes
internal import Synchronization

/// What a node can do now, and why not. Components report their problems and take them back: nothing latches.
///
/// Live means that the process works; ready means that it should be sent work of a kind. A problem names the abilities it takes away, so
/// a full disk stops writes and not reads, and a dead cache stops nothing.
public final class Health: Sendable {
    /// What users ask of a node.
    public enum Ability: String, Sendable, Hashable, CaseIterable { case read, write }

    public struct Problem: Sendable, Hashable {
        public var component: String
        public var code: ErrorCode
        /// What is wrong, in words that are safe to show.
        public var summary: String
        public var hint: String?
        /// Empty: worth saying, but nothing is taken away.
        public var blocks: Set<Ability>
        public var since: Instant
    }

    public struct Readiness: Sendable {
        public var isReady: Bool
        /// The problems that make it unready, or all when it is ready.
        public var problems: [Problem]
    }

    private let clock: any MonotonicClock
    private let state = Mutex(State())
    private let log = Logger("health")

    private struct State {
        var problems: [String: Problem] = [:]
        var isDraining = false
    }

    public init(clock: any MonotonicClock = BootClock()) { self.clock = clock }

    /// The component has this problem, until it reports another or `recover`s.
    public func report(_ component: String, _ error: ApusError, blocks: Set<Ability>) {
        let now = clock.now
        let isNew = state.withLock { state in
            let old = state.problems[component]
            state.problems[component] = Problem(
                component: component, code: error.code, summary: error.summary, hint: error.hint, blocks: blocks,
                since: old?.code == error.code ? old?.since ?? now : now)
            return old?.code != error.code
        }
        guard isNew else { return }
        let metadata = ["component": component, "code": error.code.rawValue, "problem": error.summary]
        // Every start passes through this one: nobody needs to look.
        if error.code == .nodeUnready {
            log.info("a component is not ready yet", metadata)
        } else {
            log.warning("a component has a problem", metadata)
        }
    }

    /// The component is well.
    public func recover(_ component: String) {
        let old = state.withLock { $0.problems.removeValue(forKey: component) }
        if let old, old.code != .nodeUnready {
            log.notice("a component is well again", ["component": component, "code": old.code.rawValue])
        }
    }

    /// From now on the node is unready for everything, and stays live: it finishes what it has.
    public func drain() { state.withLock { $0.isDraining = true } }

    public var isDraining: Bool { state.withLock { $0.isDraining } }

    public var problems: [Problem] { state.withLock { $0.problems.values.sorted { $0.component < $1.component } } }

    /// Whether the node should be sent work that needs all of `abilities`.
    public func readiness(for abilities: Set<Ability> = Set(Ability.allCases)) -> Readiness {
        let (problems, isDraining) = state.withLock { ($0.problems.values.sorted { $0.component < $1.component }, $0.isDraining) }
        var blocking = problems.filter { !$0.blocks.isDisjoint(with: abilities) }
        if isDraining {
            blocking.append(
                Problem(
                    component: "node", code: .nodeDraining, summary: "the node is shutting down", hint: nil,
                    blocks: Set(Ability.allCases), since: clock.now))
        }
        return Readiness(isReady: blocking.isEmpty, problems: blocking.isEmpty ? problems : blocking)
    }
}
