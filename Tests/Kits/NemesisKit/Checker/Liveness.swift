public import ApusTypes

/// How long users waited, and whether that was promised.
public struct Liveness: Sendable {
    /// What an episode cost.
    public struct Outage: Sendable, Hashable {
        /// Longest time without a whole reading of a collection with several replicas, with one, and without an acknowledged write to one with
        /// several.
        public var reads: Duration
        public var singleReads: Duration
        public var writes: Duration
        /// Readings of collections with several replicas that failed, or said that they were not complete.
        public var failedReads: Int
        public var incompleteReads: Int
        /// Requests of any kind, sent meanwhile, that failed or were answered in part. One repetition after the connection ended is a client's
        /// own matter: a balancer that reads its file anew closes those that it keeps.
        public var disturbed: Int
        /// The longest that a request took of this time, and one that writes.
        public var slowest: Duration
        public var slowestWrite: Duration
        /// From the last healing until the first acknowledged write that was sent after it, until all was whole.
        public var writesAfter: Duration?
        public var whole: Duration?
        /// From the first fault of the leader until another one led.
        public var leader: Duration?
        /// From a fault of the store until a node that it struck said so itself.
        public var notice: Duration?
    }

    private let history: History

    public init(_ history: History) { self.history = history }

    public func outage(of episode: Episode) -> Outage {
        let start = episode.start
        let end = episode.whole ?? episode.until
        let healed = episode.healed
        let during = history.operations.filter { $0.invoked < end && ($0.completion?.at ?? end) > start }
        let several = during.filter { !$0.isWrite && history.replicas[$0.collection, default: 1] > 1 }
        let single = during.filter { !$0.isWrite && history.replicas[$0.collection, default: 1] == 1 }
        let writes = during.filter(\.isWrite)
        let writesToSeveral = writes.filter { history.replicas[$0.collection, default: 1] > 1 }
        // What goes on for longer may have failed by what was done next.
        func isOver(_ operation: Operation) -> Bool { operation.completion.map { $0.at <= end } ?? false }
        // Only the time within the episode: the rest is what came before, or was done next.
        func longest(_ operations: [Operation]) -> Duration {
            operations.compactMap(\.completion).flatMap(\.attempts).filter { $0.until > start && $0.from < end }
                .map { max($0.from, start).duration(to: min($0.until, end)) }.max() ?? .zero
        }
        let after = writes.compactMap(\.completion).filter { $0.outcome == .done }
            .filter { $0.attempts.last.map { $0.from >= healed } ?? false }.map(\.at).min()
        return Outage(
            reads: gap(several, start, end), singleReads: gap(single, start, end), writes: gap(writesToSeveral, start, end),
            failedReads: several.filter(isOver).count(where: hasFailed),
            incompleteReads: several.filter(isOver).count { $0.completion.map { $0.outcome == .done && !$0.isComplete } ?? false },
            disturbed: during.filter { $0.invoked >= start }.count { isDisturbed($0, by: end) },
            slowest: longest(during), slowestWrite: longest(writes),
            writesAfter: after.map { healed.duration(to: $0) }, whole: episode.whole.map { healed.duration(to: $0) },
            leader: episode.faults.compactMap { fault in fault.led.map { fault.injected.duration(to: $0) } }.max(),
            notice: episode.faults.compactMap { fault in fault.noticed.map { fault.injected.duration(to: $0) } }.max())
    }

    /// That a point is not there nobody can say without the catalog, so a reading by id may be refused then.
    private func hasFailed(_ operation: Operation) -> Bool {
        guard let completion = operation.completion, completion.outcome != .done else { return false }
        if case .read = operation.action { return !completion.note.contains("catalog.unavailable") }
        return true
    }

    private func isDisturbed(_ operation: Operation, by end: Instant) -> Bool {
        guard let completion = operation.completion else { return false }
        let isOver = completion.at <= end
        if isOver, completion.outcome != .done || !completion.isComplete { return true }
        let failed = completion.attempts.filter { $0.until <= end }.dropLast(isOver ? 1 : 0)
        return failed.count > 1 || failed.contains { $0.status != 0 }
    }

    /// The longest time in which nothing that was asked came to a good end. A reading that is marked as old is one: that was promised.
    private func gap(_ operations: [Operation], _ start: Instant, _ end: Instant) -> Duration {
        let ends = operations.compactMap { operation -> Instant? in
            guard let completion = operation.completion, completion.outcome == .done, completion.isComplete else { return nil }
            return min(completion.at, end)
        }
        let times = [start] + ends.filter { $0 > start }.sorted() + [end]
        return zip(times, times.dropFirst()).map { $0.duration(to: $1) }.max() ?? .zero
    }

    var violations: [Violation] { slowRequests + history.episodes.flatMap(broken) }

    private var slowRequests: [Violation] {
        history.operations.flatMap { operation in
            (operation.completion?.attempts ?? []).compactMap { attempt in
                let time = attempt.from.duration(to: attempt.until)
                guard time > Promise.request + history.stalled(from: attempt.from, until: attempt.until) else { return nil }
                return Violation(
                    .late, "a request took \(time.text), not \(Promise.request.text)", operations: [operation.number], at: attempt.until)
            }
        }
    }

    /// What was promised for one fault at a time, and for whatever number that the cluster is whole in the end.
    private func broken(_ episode: Episode) -> [Violation] {
        let outage = outage(of: episode)
        let end = episode.whole ?? episode.until
        let patience = history.stalled(from: episode.start, until: end)
        var violations: [Violation] = []
        func check(_ what: String, _ time: Duration?, _ bound: Duration?) {
            guard let bound, time.map({ $0 > bound + patience }) ?? true else { return }
            let took = time.map { "\($0.text)" } ?? "longer than was waited for"
            violations.append(Violation(.late, "\(episode): \(what) took \(took), not \(bound.text)", at: end))
        }
        check("becoming whole", outage.whole, Promise.whole)
        guard let fault = episode.faults.first, episode.faults.count == 1 else { return violations }
        let promise = fault.kind.promise
        check("the next whole reading", outage.reads, promise.reads)
        check("the next whole reading of a single replica", outage.singleReads, promise.singleReads)
        check("the next write", outage.writes, promise.writes)
        check("the first write after it", outage.writesAfter, promise.writesAfter)
        check("an answer to a write", outage.slowestWrite, promise.writeAnswer)
        check("another leader", outage.leader, promise.leader)
        check("saying that the store is away", outage.notice, promise.notice)
        if !promise.mayFailReads, outage.failedReads > 0 {
            violations.append(Violation(.unavailable, "\(episode): \(outage.failedReads) readings failed", at: end))
        }
        if !promise.mayDisturb, outage.disturbed > 0 {
            violations.append(Violation(.unavailable, "\(episode): \(outage.disturbed) requests failed or were answered in part", at: end))
        }
        if !promise.mayBeDown, !fault.down.isEmpty {
            violations.append(Violation(.wrongVerdict, "\(episode): \(fault.down.joined(separator: ", ")) was said to be down", at: end))
        }
        return violations
    }
}

extension Episode: CustomStringConvertible {
    public var start: Instant { faults.map(\.injected).min() ?? until }
    public var healed: Instant { faults.map(\.healed).max() ?? until }
    public var description: String {
        faults.map { "\($0.kind.rawValue)\($0.target.isEmpty ? "" : " \($0.target)")" }.joined(separator: " + ")
    }
}

extension Duration {
    /// `1.25 s`
    public var text: String {
        let hundredths = nanoseconds / 10_000_000
        let rest = String(hundredths % 100)
        return "\(hundredths / 100).\(rest.count < 2 ? "0" + rest : rest) s"
    }
}
