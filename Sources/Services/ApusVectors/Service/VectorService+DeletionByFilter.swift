internal import ApusCatalog
internal import ApusRuntime
public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    private static let mostTries = 12
    /// From this try on nobody else on this node appends to the shard meanwhile.
    private static let triesTogether = 2

    /// Deletes the points that match at the moment when the deletion takes its place in the log, shard by shard. `affected` says how many
    /// there were. Each operation deletes at most `Options.deletionSize` points; an error leaves those before it done.
    ///
    /// Throws `shard.busy` when other nodes write to a shard so much that no place in its log was found.
    public func delete(matching filter: Filter, from name: CollectionName, deadline: Instant) async throws -> WriteOutcome {
        try filter.validate()
        let collection = try await find(name, deadline: deadline)
        try await freshen(collection.shards, deadline: deadline)
        var affected = 0
        for shard in collection.shards { affected += try await delete(matching: filter, from: shard, of: collection, deadline: deadline) }
        return WriteOutcome(errors: [], affected: affected, isRepeat: false)
    }

    private func delete(matching filter: Filter, from shard: Shard, of collection: LoadedCollection, deadline: Instant) async throws -> Int {
        var matches: PointMatches?
        var affected = 0
        var tries = 0
        while true {
            let deleted: Int?
            if tries < Self.triesTogether {
                deleted = try await sharing([shard]) {
                    try await deleteOnce(filter, &matches, shard, collection, deadline: deadline)
                }
            } else {
                deleted = try await alone(shard) {
                    // What this node had under way before is in memory before anything is evaluated.
                    if let head = try await catalog.log.heads(of: [shard.id], deadline: deadline)[shard.id] {
                        wake.rise(by: 1)
                        _ = await shard.applied.wait(for: head.sequence, until: deadline)
                    }
                    return try await deleteOnce(filter, &matches, shard, collection, deadline: deadline)
                }
            }
            guard let deleted else {
                tries += 1
                guard tries < Self.mostTries else {
                    throw ApusError(.shardBusy, "shard \(shard.id) is written to so much that a deletion by filter found no place", context: ["shard": shard.id.description])
                }
                continue
            }
            affected += deleted
            tries = 0
            if deleted < options.deletionSize { return affected }
        }
    }

    /// Evaluates the filter at a position of the log and deletes what matches if the head is still there; nil if it is not.
    private func deleteOnce(
        _ filter: Filter, _ matches: inout PointMatches?, _ shard: Shard, _ collection: LoadedCollection, deadline: Instant
    ) async throws -> Int? {
        let snapshot = try shard.table().snapshot()
        let before = matches
        let now = try await pool.run(deadline: deadline) { snapshot.matches(filter, since: before) }
        matches = now
        let ids = Array(now.ids.prefix(options.deletionSize))
        guard !ids.isEmpty else { return 0 }
        let write = Write(
            operations: [(shard, ShardOperation(changes: [.delete(ids)]))], expectedHeads: [shard.id: snapshot.moment])
        do {
            _ = try await commit(write, to: collection, deadline: deadline)
            return ids.count
        } catch let error as ApusError where error.code == .shardMovedOn {
            _ = await shard.applied.wait(for: snapshot.moment + 1, until: min(deadline, clock.now.advanced(by: .milliseconds(50))))
            wake.rise(by: 1)
            return nil
        }
    }
}
