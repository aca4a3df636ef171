internal import ApusRuntime
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
        var id: UInt64
        var append: PreparedAppend
        /// Nil for the one that leads.
        var continuation: CheckedContinuation<Turn, Never>?
    }

    private enum Turn: Sendable {
        /// Commit the next group; the own request is its first.
        case lead
        case finished(AppendResult)
    }

    private struct State {
        var waiting: [Waiting] = []
        var bytes = 0
        var nextID: UInt64 = 0
        var isLed = false
        /// Requests of the group before: how many are likely to come at once again.
        var lastGroup = 0
    }

    private let committer: GroupCommit
    private let options: ShardLog.Options
    private let state = Mutex(State())

    init(committer: GroupCommit, options: ShardLog.Options) {
        self.committer = committer
        self.options = options
    }

    func append(_ append: PreparedAppend) async throws -> AppendOutcome {
        var cancelTimer: (@Sendable () -> Void)?
        let turn = await withCheckedContinuation { (continuation: CheckedContinuation<Turn, Never>) in
            let (immediate, id): (Turn?, UInt64) = state.withLock { state in
                if state.waiting.count >= options.queueRequests || state.bytes > options.queueBytes.bytes {
                    return (.finished(.failure(Self.full(state.waiting.count))), 0)
                }
                state.nextID += 1
                state.bytes += append.bytes
                let leads = !state.isLed
                state.isLed = true
                state.waiting.append(Waiting(id: state.nextID, append: append, continuation: leads ? nil : continuation))
                return (leads ? .lead : nil, state.nextID)
            }
            if let immediate {
                continuation.resume(returning: immediate)
            } else {
                cancelTimer = Deadlines.shared.schedule(at: append.deadline) { [self] in expire(id) }
            }
        }
        cancelTimer?()
        switch turn {
        case .finished(let result): return try result.get()
        case .lead: return try await lead().get()
        }
    }

    /// The group before takes longer than this request has time.
    private func expire(_ id: UInt64) {
        let late = state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0.id == id && $0.continuation != nil }) else {
                return nil as CheckedContinuation<Turn, Never>?  // taken, or leads
            }
            let waiting = state.waiting.remove(at: index)
            state.bytes -= waiting.append.bytes
            return waiting.continuation
        }
        late?.resume(returning: .finished(.failure(GroupCommit.late)))
    }

    private static func full(_ count: Int) -> ApusError {
        ApusError(.shardBusy, "\(count) writes wait for the catalog already", retry: .after(.seconds(1)))
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
            let group = Array(state.waiting.prefix(count))
            state.waiting.removeFirst(count)
            state.bytes -= group.reduce(0) { $0 + $1.append.bytes }
            return group
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
