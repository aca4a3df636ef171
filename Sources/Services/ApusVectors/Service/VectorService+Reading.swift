internal import ApusRuntime
public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    /// The points that exist of those asked for, in the order asked. Looks at the log before it leaves one out; throws `catalog.unavailable`
    /// if it cannot, and `request.invalid` for more than fits the reply.
    public func points(
        _ ids: [PointID], in name: CollectionName, with projection: Projection = [.vector, .payload], within budget: ReplyBudget = .none,
        deadline: Instant
    ) async throws -> [Point] {
        try await points(ids, in: try await find(name, deadline: deadline), with: projection, within: budget, "ids", deadline: deadline)
    }

    /// The same, with a pause now and then in which the loop serves others.
    func points(
        _ ids: [PointID], in collection: LoadedCollection, with projection: Projection, within budget: ReplyBudget = .none,
        _ field: String = "limit", deadline: Instant
    ) async throws -> [Point] {
        var points: [Point] = []
        points.reserveCapacity(ids.count)
        for start in stride(from: 0, to: ids.count, by: Self.piece) {
            if start > 0 { await Task.yield() }
            let piece = Array(ids[start..<min(ids.count, start + Self.piece)])
            let found = try await found(piece, in: collection, with: projection, deadline: deadline).compactMap { $0?.point }
            try budget.take(found, field)
            points += found
        }
        return points
    }

    /// Points that are read at a time.
    static let piece = 250

    /// The points with the ids, in their order; nil for those that are not there, as a look at the log has confirmed.
    func found(
        _ ids: [PointID], in collection: LoadedCollection, with projection: Projection, deadline: Instant
    ) async throws -> [FoundPoint?] {
        let items = collection.itemsByShard(ids)
        var found = [FoundPoint?](repeating: nil, count: ids.count)
        /// Gives the shards of which one is not there.
        func looked(_ shards: [Shard], isCurrent: Bool) async throws -> [Shard] {
            let answers = try await lookUp(collection, shards, isCurrent, projection, deadline) { shard in
                items[shard.number].map { ids[$0] }
            }
            for (shard, answer) in zip(shards, answers) {
                for (item, point) in zip(items[shard.number], answer.answer) { found[item] = point }
            }
            return zip(shards, answers).filter { $1.answer.contains { $0 == nil } }.map(\.0)
        }
        let incomplete = try await looked(collection.shards(with: items), isCurrent: false)
        if !incomplete.isEmpty { _ = try await looked(incomplete, isCurrent: true) }
        return found
    }

    private func lookUp(
        _ collection: LoadedCollection, _ shards: [Shard], _ isCurrent: Bool, _ projection: Projection, _ deadline: Instant,
        _ ids: @escaping @Sendable (Shard) -> [PointID]
    ) async throws -> [ShardAnswer<[FoundPoint?]>] {
        if projection.members != nil {
            do {
                return try await ask(collection, shards, isCurrent: isCurrent, deadline: deadline) { shard in
                    MembersQuestion(lookup: LookupQuestion(ids: ids(shard), projection: projection))
                }
            } catch let error as ApusError where error.code == .methodUnknown {}  // nodes of an earlier version tell whole payloads
        }
        return try await ask(collection, shards, isCurrent: isCurrent, deadline: deadline) { shard in
            LookupQuestion(ids: ids(shard), projection: projection)
        }
    }

    /// Points that match. All or nothing: throws `node.unready` while a shard is not loaded.
    public func count(_ name: CollectionName, matching filter: Filter = .everything, deadline: Instant) async throws -> Int {
        try filter.validate()
        let collection = try await find(name, deadline: deadline)
        return try await ask(collection, deadline: deadline) { _ in CountQuestion(filter: filter) }.reduce(0) { $0 + $1.answer }
    }

    /// A page of the points that match, in the order of their ids: the first `offset` are skipped from `start` on (that id included).
    /// All or nothing, like a count. Throws `request.invalid` too for more than fits the reply.
    public func scroll(
        _ name: CollectionName, from start: PointID? = nil, offset: Int = 0, limit: Int, filter: Filter = .everything,
        with projection: Projection = [.payload], within budget: ReplyBudget = .none, deadline: Instant
    ) async throws -> ScrollPage {
        guard limit >= 0, offset >= 0 else {
            throw ApusError(.requestInvalid, "'limit' and 'offset' cannot be negative", context: ["field": "limit"])
        }
        try filter.validate()
        let collection = try await find(name, deadline: deadline)
        let limit = min(limit, budget.mostPoints + 1)
        // One more than the page tells where the next one starts.
        let wanted = min(offset, Int.max - 1 - limit.clamped) + limit.clamped + 1
        let parts = try await ask(collection, deadline: deadline) { _ in PageQuestion(start: start, limit: wanted, filter: filter) }
        let ordered = parts.flatMap { $0.answer.map(\.id) }.sorted().dropFirst(offset)
        let ids = Array(ordered.prefix(limit))
        try budget.check(count: ids.count)
        let points =
            projection.isEmpty
            ? ids.map { Point(id: $0, vectors: PointVectors()) }
            : try await points(ids, in: collection, with: projection, within: budget, deadline: deadline)
        return ScrollPage(points: points, next: ordered.dropFirst(limit).first)
    }

    /// Returns when each shard's last look at its log is young enough, or the catalog is known to be away or does not answer in time.
    ///
    /// Gives the moment of the oldest look, and whether that is too old: what is answered from memory now is at least as young. Shards that
    /// cannot answer do not count, and one whose log cannot be followed is not waited for.
    @discardableResult
    func freshen(_ shards: [Shard], deadline: Instant) async throws -> (asOf: Instant, isStale: Bool) {
        let now = clock.now
        let oldest = now.advanced(by: .zero - options.maximumAge).nanosecondsSinceBoot
        let stale = shards.filter { $0.problem == nil && $0.lookedAt.value < oldest }
        if !stale.isEmpty, !isCatalogAway {
            wake.rise(by: 1)
            let patience = min(deadline, now.advanced(by: options.maximumAge))
            for shard in stale { _ = await shard.lookedAt.wait(for: oldest, until: patience) }
        }
        let looked = shards.lazy.filter(\.answers).map(\.lookedAt.value).min() ?? now.nanosecondsSinceBoot
        return (Instant(nanosecondsSinceBoot: looked), looked < oldest)
    }

    /// How old the oldest part of this node's memory may be, if that is too old: the catalog is away, or does not answer in time.
    public var staleness: Duration? {
        guard let oldest = hostedShards().lazy.filter(\.answers).map(\.lookedAt.value).min() else { return nil }
        let age = Instant(nanosecondsSinceBoot: oldest).duration(to: clock.now)
        return age > options.maximumAge ? age : nil
    }

    /// How old what a request was answered is, if that is too old: what other nodes told, or this node's own memory.
    public func age(of answers: OldAnswers) -> Duration? {
        let told = answers.oldest.map { $0.duration(to: clock.now) }
        return [told, staleness].compactMap(\.self).max()
    }

    /// Returns when this node's memory shows all that was in the logs of the shards when this was called.
    ///
    /// Another node may have acknowledged a write a moment ago: before a point is said not to exist, the log is asked. Throws
    /// `catalog.unavailable` as soon as the catalog is known to be away, the problem of a shard that cannot be followed, `shard.elsewhere` when
    /// one leaves this node meanwhile, and `deadline.exceeded`.
    func reachHeads(of shards: [Shard], deadline: Instant) async throws {
        guard !shards.isEmpty else { return }
        try requireCatalog()
        let now = clock.now
        wake.rise(by: 1)
        for shard in shards {
            while await !shard.lookedAt.wait(
                for: now.nanosecondsSinceBoot, until: min(deadline, clock.now.advanced(by: .milliseconds(200))))
            {
                try Task.checkCancellation()
                try requireCatalog()
                if let problem = shard.problem { throw problem }
                // Nobody follows its log here any more.
                guard shard.isHosted else {
                    throw ApusError(.shardElsewhere, "shard \(shard.id) has left this node", context: ["shard": shard.id.description])
                }
                guard clock.now < deadline else {
                    throw ApusError(.deadlineExceeded, "the log of shard \(shard.id) was not read in time")
                }
                wake.rise(by: 1)  // the follower may have been busy with this shard when it was asked
            }
        }
    }
}

extension PointSnapshot {
    func point(_ row: UInt32, _ projection: Projection) -> Point {
        Point(
            id: id(row), vectors: projection.contains(.vector) ? vectors(row) : PointVectors(),
            payload: projection.contains(.payload) ? payload(row, projection.members) : nil)
    }

    private func payload(_ row: UInt32, _ members: [String]?) -> [UInt8]? {
        let payload = payload(row)
        guard let members, let payload else { return payload }
        return PayloadMembers.picked(members, of: payload)
    }
}

extension Int {
    /// So that a sum with it cannot overflow, nor a product with a number of points.
    var clamped: Int { Swift.min(self, 1 << 30) }
}
