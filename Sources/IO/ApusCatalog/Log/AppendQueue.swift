internal import ApusTypes
internal import Synchronization

/// A request on its way into the log: operations hashed, large ones stored already.
struct PreparedAppend: Sendable {
    var request: AppendRequest
    var rows: [Row]
    var deadline: Instant

    struct Row: Sendable {
        var shard: ShardID
        var body: Body
        /// Of the operation, wherever it is.
        var size: Int
        var digest: Digest
    }

    enum Body: Sendable {
        case row([UInt8])
        case object(ObjectKey)
    }

    /// What it adds to its transaction.
    var bytes: Int {
        rows.reduce(request.reply.count + 64) { sum, row in
            if case .row(let bytes) = row.body { sum + bytes.count + 64 } else { sum + 128 }
        }
    }
}

extension PreparedAppend {
    /// Then it commits alone: it aborts when the collector took an object of it, and would take others with it.
    var hasObjects: Bool { rows.contains { if case .object = $0.body { true } else { false } } }
}

typealias AppendResult = Result<AppendOutcome, any Error>

/// Requests of this node that wait for their transaction: while one group commits, the next one gathers.
///
/// No task of its own: the first request that finds nobody committing leads the next group, and then hands over to one that waits.
final class AppendQueue: Sendable {
    private struct Waiting {
        var append: PreparedAppend
        var continuation: CheckedContinuation<Turn, Never>?
    }

    private enum Turn: Sendable {
        /// Commit the next group; the own request is its first.
        case lead
        case finished(AppendResult)
    }

    private struct State {
        var waiting: [Waiting] = []
        var isLed = false
        /// Requests of the group before: how many are likely to come at once again.
        var lastGroup = 0
    }

    private let committer: GroupCommit
    private let options: ShardLog.Options
    private let clock: any MonotonicClock
    private let state = Mutex(State())

    init(committer: GroupCommit, options: ShardLog.Options, clock: any MonotonicClock) {
        self.committer = committer
        self.options = options
        self.clock = clock
    }

    func append(_ append: PreparedAppend) async throws -> AppendOutcome {
        let turn = await withCheckedContinuation { (continuation: CheckedContinuation<Turn, Never>) in
            let immediate: Turn? = state.withLock { state in
                if state.waiting.count >= options.queueLimit {
                    return .finished(
                        .failure(
                            ApusError(
                                .shardBusy, "\(state.waiting.count) writes wait for the catalog already", retry: .after(.seconds(1)))))
                }
                guard state.isLed else {
                    state.isLed = true
                    state.waiting.insert(Waiting(append: append), at: 0)
                    return .lead
                }
                state.waiting.append(Waiting(append: append, continuation: continuation))
                return nil
            }
            if let immediate { continuation.resume(returning: immediate) }
        }
        switch turn {
        case .finished(let result): return try result.get()
        case .lead: return try await lead().get()
        }
    }

    /// Commits the group at the front of the queue and gives the result of its first request.
    private func lead() async -> AppendResult {
        await gather()
        let group = takeGroup()
        // The group belongs to all its members: the cancellation of the one that leads must not end it.
        let committer = committer
        let appends = group.map(\.append)
        let results = await Task { await committer.commit(appends) }.value
        for (member, result) in zip(group, results) { member.continuation?.resume(returning: .finished(result)) }
        handOver(after: group.count)
        return results[0]
    }

    /// Requests that were answered together tend to come back together: lets them, instead of committing the first of them alone.
    private func gather() async {
        let expected = state.withLock { min($0.lastGroup, options.groupRequests) }
        guard expected > 1 else { return }
        for _ in 0..<Self.gatherRounds where state.withLock({ $0.waiting.count < expected }) { await Task.yield() }
    }

    private static let gatherRounds = 32

    private func takeGroup() -> [Waiting] {
        state.withLock { state in
            var bytes = 0
            var count = 0
            for waiting in state.waiting.prefix(options.groupRequests) {
                bytes += waiting.append.bytes
                if count > 0, bytes > options.groupBytes.bytes || waiting.append.hasObjects { break }
                count += 1
                if waiting.append.hasObjects { break }
            }
            defer { state.waiting.removeFirst(count) }
            return Array(state.waiting.prefix(count))
        }
    }

    private func handOver(after count: Int) {
        let next = state.withLock { state in
            state.lastGroup = count
            guard !state.waiting.isEmpty else {
                state.isLed = false
                return nil as CheckedContinuation<Turn, Never>?
            }
            return state.waiting[0].continuation.take()
        }
        next?.resume(returning: .lead)
    }
}
