internal import ApusDatabase
internal import ApusTypes

/// Decides, under the locks of a group, which of its requests are written: a pure value.
struct AppendPlan {
    /// What the transaction saw under its locks.
    struct Seen {
        var heads: [ShardID: Head] = [:]
        var operations: [OperationKey: FoundOperation] = [:]
        /// Ids that somebody else's transaction holds, by their lock.
        var blockedLocks: Set<Int64> = []
    }

    struct Head {
        var sequence: Int64
        var digest: Digest
        /// Unsealed.
        var bytes: Int64
        var epoch: Epoch
        /// Version of the shard's replicas.
        var replicas: Int64 = 0
    }

    struct Place: Hashable {
        var shard: ShardID
        var sequence: Int64
    }

    private enum Verdict {
        case accepted(last: [ShardID: Int64], reply: [UInt8])
        /// The first time was in this group too: at this index.
        case repeatOf(Int)
        case repeated(reply: [UInt8], shards: Set<ShardID>)
        case refused(ApusError)
    }

    private let seen: Seen
    private let isPartial: Bool
    private let unsealedLimit: ByteCount
    private var heads: [ShardID: Head]
    private var verdicts: [Verdict] = []
    private var accepted: [OperationKey: (index: Int, bodyDigest: Digest)] = [:]
    /// Whether anybody will be told that something is done. Then the transaction must write, if only its mark: its COMMIT waits until a
    /// standby has what came before it, also the commit that a repeat finds, whose own wait may have been cut.
    var acknowledges: Bool {
        verdicts.contains { if case .refused = $0 { false } else { true } }
    }

    /// To be appended, in this order.
    private(set) var rows: [PreparedAppend.Row] = []
    /// To be inserted.
    private(set) var operations: [OperationRow] = []

    /// `isPartial`: heads that are missing may only have been locked by others.
    init(seen: Seen, isPartial: Bool, unsealedLimit: ByteCount) {
        self.seen = seen
        self.isPartial = isPartial
        self.unsealedLimit = unsealedLimit
        heads = seen.heads
    }

    mutating func add(_ member: PreparedAppend) {
        do {
            verdicts.append(try judge(member))
        } catch {
            verdicts.append(.refused(error))
        }
    }

    private mutating func judge(_ member: PreparedAppend) throws(ApusError) -> Verdict {
        let request = member.request
        let shards = Set(member.rows.map(\.shard))
        if let id = request.operationID {
            let key = OperationKey(scope: id.scope, id: id.id)
            if seen.blockedLocks.contains(key.lock) {
                throw ApusError(
                    .outcomeUnknown, "the same request is being committed at this moment", hint: "send it again with the same key")
            }
            if let found = seen.operations[key] {
                switch try found.outcome(for: id.bodyDigest) {
                case .done(let reply): return .repeated(reply: reply, shards: shards)
                case .refused, .unknown:
                    throw ApusError(
                        .writeAborted, "an earlier attempt with this key was given up and is not done",
                        hint: "send it again with a new key",
                        retry: .never)
                }
            }
            if let first = accepted[key] {
                guard first.bodyDigest == id.bodyDigest else { throw FoundOperation.conflict }
                return .repeatOf(first.index)
            }
        }
        try check(request, member.rows, shards)

        var last: [ShardID: Int64] = [:]
        for row in member.rows {
            heads[row.shard]?.sequence += 1
            heads[row.shard]?.bytes += Int64(row.size)
            last[row.shard] = heads[row.shard]?.sequence
        }
        rows += member.rows
        if let id = request.operationID {
            accepted[OperationKey(scope: id.scope, id: id.id)] = (verdicts.count, id.bodyDigest)
            operations.append(OperationRow(id, reply: request.reply))
        }
        return .accepted(last: last, reply: request.reply)
    }

    private func check(_ request: AppendRequest, _ rows: [PreparedAppend.Row], _ shards: Set<ShardID>) throws(ApusError) {
        var sizes: [ShardID: Int64] = [:]
        for row in rows { sizes[row.shard, default: 0] += Int64(row.size) }
        for shard in shards.sorted() {
            guard let head = heads[shard] else {
                throw isPartial
                    ? ApusError(.databaseConflict, "another node's write to shard \(shard) waits for the catalog; nothing was written")
                    : ShardLog.unknown(shard)
            }
            if let epoch = request.fence, epoch < head.epoch {
                throw ShardLog.stale(shard, epoch: epoch, current: head.epoch.value)
            }
            if head.bytes + sizes[shard, default: 0] > unsealedLimit.bytes {
                throw ApusError(
                    .shardBusy,
                    "shard \(shard) has \(ByteCount(Int(head.bytes))) that are not in segments yet; the limit is \(unsealedLimit)",
                    hint: "wait until the shard is sealed, or raise vectors.max_unsealed_bytes", context: ["shard": shard.description])
            }
        }
        for (shard, expected) in request.expectedHeads ?? [:] {
            // The number alone could be one of another history. A digest that is not known yet belongs to a number that has changed, too.
            guard let head = heads[shard], head.sequence == expected.sequence, head.digest == expected.digest else {
                let place = heads[shard].map { String($0.sequence) } ?? "an unknown place"
                throw ApusError(
                    .shardMovedOn, "shard \(shard) is at \(place), not at \(expected.sequence) of the expected history",
                    context: ["shard": shard.description])
            }
        }
    }

    // MARK: Results

    /// Where the accepted requests end in each of their shards.
    var lastPlaces: Set<Place> {
        var places: Set<Place> = []
        for case .accepted(let last, _) in verdicts {
            for (shard, sequence) in last { places.insert(Place(shard: shard, sequence: sequence)) }
        }
        return places
    }

    /// From rows of (shard, seq, digest).
    static func digests(_ results: ArraySlice<Rows>) throws -> [Place: Digest] {
        var digests: [Place: Digest] = [:]
        for rows in results {
            for row in rows where row.values.count == 3 {
                digests[Place(shard: ShardID(try row.integer(0)), sequence: try row.integer(1))] = try Digest(row: row, column: 2)
            }
        }
        return digests
    }

    func results(digests: [Place: Digest], incarnation: Incarnation) throws -> [AppendResult] {
        var results: [AppendResult] = []
        for verdict in verdicts {
            switch verdict {
            case .refused(let error): results.append(.failure(error))
            case .repeatOf(let index):
                results.append(
                    results[index].map {
                        AppendOutcome(positions: $0.positions, reply: $0.reply, isRepeat: true, replicas: $0.replicas)
                    })
            case .repeated(let reply, let shards):
                var positions: [ShardID: LogPosition] = [:]
                for shard in shards {
                    guard let head = seen.heads[shard] else { continue }  // deleted since
                    positions[shard] = LogPosition(incarnation: incarnation, sequence: head.sequence, digest: head.digest)
                }
                results.append(
                    .success(AppendOutcome(positions: positions, reply: reply, isRepeat: true, replicas: replicas(of: positions.keys))))
            case .accepted(let last, let reply):
                var positions: [ShardID: LogPosition] = [:]
                for (shard, sequence) in last {
                    guard let digest = digests[Place(shard: shard, sequence: sequence)] else {
                        throw ApusError(.databaseRejected, "the catalog did not number operation \(sequence) of shard \(shard) as planned")
                    }
                    positions[shard] = LogPosition(incarnation: incarnation, sequence: sequence, digest: digest)
                }
                results.append(
                    .success(AppendOutcome(positions: positions, reply: reply, isRepeat: false, replicas: replicas(of: positions.keys))))
            }
        }
        return results
    }

    private func replicas(of shards: some Sequence<ShardID>) -> [ShardID: Int64] {
        Dictionary(shards.lazy.map { ($0, seen.heads[$0]?.replicas ?? 0) }, uniquingKeysWith: max)
    }
}
