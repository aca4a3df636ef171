internal import ApusRuntime
public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    /// The points that exist of those asked for, in the order asked. Looks at the log before it leaves one out; throws `catalog.unavailable`
    /// if it cannot.
    public func points(
        _ ids: [PointID], in name: CollectionName, with projection: Projection = [.vector, .payload], deadline: Instant
    ) async throws -> [Point] {
        let collection = try await find(name, deadline: deadline)
        let items = collection.itemsByShard(ids)
        try await freshen(zip(collection.shards, items).filter { !$0.1.isEmpty }.map(\.0), deadline: deadline)
        var found = [Point?](repeating: nil, count: ids.count)
        /// False if one of them is not there.
        func lookUp(_ shard: Shard, _ items: [Int]) throws(ApusError) -> Bool {
            let (snapshot, rows) = try shard.table().snapshot(finding: items.lazy.map { ids[$0] })
            for (item, row) in zip(items, rows) { found[item] = row.map { snapshot.point($0, projection) } }
            return rows.allSatisfy { $0 != nil }
        }
        let incomplete = try zip(collection.shards, items).filter { try !$1.isEmpty && !lookUp($0, $1) }
        try await reachHeads(of: incomplete.map(\.0), deadline: deadline)
        for (shard, items) in incomplete { _ = try lookUp(shard, items) }
        return found.compactMap(\.self)
    }

    /// Points that match. All or nothing: throws `node.unready` while a shard is not loaded.
    public func count(_ name: CollectionName, matching filter: Filter = .everything, deadline: Instant) async throws -> Int {
        try filter.validate()
        let collection = try await find(name, deadline: deadline)
        try await freshen(collection.shards, deadline: deadline)
        let tables = try collection.shards.map { shard throws(ApusError) in try shard.table() }
        if filter.isEverything { return tables.reduce(0) { $0 + $1.count } }
        return try await eachInPool(tables.map { $0.snapshot() }, deadline: deadline) { snapshot in
            var count = 0
            snapshot.forEachMatch(of: filter) { _ in count += 1 }
            return count
        }.reduce(0, +)
    }

    /// A page of the points that match, in the order of their ids: the first `offset` are skipped from `start` on (that id included).
    /// All or nothing, like a count.
    public func scroll(
        _ name: CollectionName, from start: PointID? = nil, offset: Int = 0, limit: Int, filter: Filter = .everything,
        with projection: Projection = [.payload], deadline: Instant
    ) async throws -> ScrollPage {
        guard limit >= 0, offset >= 0 else {
            throw ApusError(.requestInvalid, "'limit' and 'offset' cannot be negative", context: ["field": "limit"])
        }
        try filter.validate()
        let collection = try await find(name, deadline: deadline)
        try await freshen(collection.shards, deadline: deadline)
        let snapshots = try collection.shards.map { shard throws(ApusError) in try shard.table().snapshot() }
        // One more than the page tells where the next one starts.
        let wanted = min(offset, Int.max - 1 - limit.clamped) + limit.clamped + 1
        let parts = try await eachInPool(snapshots, deadline: deadline) { snapshot in
            snapshot.firstRows(wanted, from: start, filter: filter)
        }
        let ordered = zip(snapshots, parts).flatMap { snapshot, rows in rows.map { (snapshot, $0.id, $0.row) } }.sorted { $0.1 < $1.1 }
        let page = ordered.dropFirst(offset).prefix(limit)
        return ScrollPage(points: page.map { $0.0.point($0.2, projection) }, next: ordered.dropFirst(offset).dropFirst(limit).first?.1)
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
        guard let oldest = allShards().lazy.filter(\.answers).map(\.lookedAt.value).min() else { return nil }
        let age = Instant(nanosecondsSinceBoot: oldest).duration(to: clock.now)
        return age > options.maximumAge ? age : nil
    }

    /// Returns when this node's memory shows all that was in the logs of the shards when this was called.
    ///
    /// Another node may have acknowledged a write a moment ago: before a point is said not to exist, the log is asked. Throws
    /// `catalog.unavailable` as soon as the catalog is known to be away, the problem of a shard that cannot be followed, and
    /// `deadline.exceeded`.
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
                guard clock.now < deadline else {
                    throw ApusError(.deadlineExceeded, "the log of shard \(shard.id) was not read in time")
                }
                wake.rise(by: 1)  // the follower may have been busy with this shard when it was asked
            }
        }
    }

    /// Runs `body` for each snapshot, in the pool and at the same time, unless there is so little to do that a change of thread costs more.
    func eachInPool<Value: Sendable>(
        _ snapshots: [PointSnapshot], deadline: Instant, _ body: @escaping @Sendable (PointSnapshot) -> Value
    ) async throws -> [Value] {
        if snapshots.reduce(0, { $0 + $1.count }) < 256 { return snapshots.map(body) }
        return try await withThrowingTaskGroup(of: (Int, Value).self) { group in
            for (index, snapshot) in snapshots.enumerated() {
                group.addTask { [pool] in (index, try await pool.run(deadline: deadline) { body(snapshot) }) }
            }
            var values = [Value?](repeating: nil, count: snapshots.count)
            for try await (index, value) in group { values[index] = value }
            return values.compactMap(\.self)
        }
    }
}

extension PointSnapshot {
    func point(_ row: UInt32, _ projection: Projection) -> Point {
        Point(
            id: id(row), vectors: projection.contains(.vector) ? vectors(row) : PointVectors(),
            payload: projection.contains(.payload) ? payload(row) : nil)
    }
}

extension Int {
    /// So that a sum with it cannot overflow.
    fileprivate var clamped: Int { Swift.min(self, Int.max / 4) }
}
