public import ApusCatalog
internal import ApusRuntime
public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    private static let mostTries = 12
    /// After this many tries nobody else on this node appends to the shards meanwhile.
    private static let triesTogether = 2

    /// Deletes the points that match at the moment when the deletion takes its place in the log. `affected` says how many there were.
    ///
    /// One transaction deletes at most `Options.deletionSize` points; an error leaves those before it done, and the same
    /// `operation` sent again goes on where it stopped. Throws `shard.busy` when other nodes write to a shard so much that no place in
    /// its log was found.
    public func delete(
        matching filter: Filter, from name: CollectionName, operation: OperationID? = nil, deadline: Instant
    ) async throws -> WriteOutcome {
        try filter.validate()
        let collection = try await find(name, deadline: deadline)
        try await freshen(collection.shards, deadline: deadline)
        var outcome = WriteOutcome(errors: [], affected: 0, isRepeat: false)
        var batches = 0
        repeat {
            var batch = operation
            if batches > 0, let id = operation?.id { batch?.id = "\(id)#\(batches)" }
            let deleted = try await deleteBatch(filter, collection, batch, deadline: deadline)
            outcome.affected += deleted.affected
            outcome.isRepeat = deleted.isRepeat
            outcome.isPartial = deleted.isPartial
            batches += 1
        } while outcome.isPartial
        return outcome
    }

    private func deleteBatch(
        _ filter: Filter, _ collection: LoadedCollection, _ operation: OperationID?, deadline: Instant
    ) async throws -> WriteOutcome {
        var matches = [PointMatches?](repeating: nil, count: collection.shards.count)
        for attempt in 0..<Self.mostTries {
            let outcome: WriteOutcome?
            if attempt < Self.triesTogether {
                outcome = try await sharing(collection.shards) {
                    try await deleteOnce(filter, &matches, collection, operation, deadline: deadline)
                }
            } else {
                outcome = try await alone(collection.shards) {
                    // What this node had under way before is in memory before anything is evaluated.
                    let heads = try await catalog.log.heads(of: collection.shards.map(\.id), deadline: deadline)
                    wake.rise(by: 1)
                    for shard in collection.shards { _ = await shard.applied.wait(for: heads[shard.id]?.sequence ?? 0, until: deadline) }
                    return try await deleteOnce(filter, &matches, collection, operation, deadline: deadline)
                }
            }
            if let outcome { return outcome }
        }
        throw ApusError(
            .shardBusy, "collection '\(collection.name)' is written to so much that a deletion by filter found no place in its log",
            context: ["collection": collection.name.rawValue])
    }

    /// Evaluates the filter at a position of each log and deletes what matches if the heads are still there; nil if one is not. Of what
    /// was evaluated by an earlier try only the points written since are evaluated again.
    private func deleteOnce(
        _ filter: Filter, _ matches: inout [PointMatches?], _ collection: LoadedCollection, _ operation: OperationID?, deadline: Instant
    ) async throws -> WriteOutcome? {
        let snapshots = try collection.shards.map { shard throws(ApusError) in try shard.table().snapshot() }
        let earlier = Dictionary(zip(snapshots.map(ObjectIdentifier.init), matches), uniquingKeysWith: { first, _ in first })
        let found = try await eachInPool(snapshots, deadline: deadline) { snapshot in
            snapshot.matches(filter, since: earlier[ObjectIdentifier(snapshot)] ?? nil)
        }
        matches = found
        var write = Write(operations: [], operationID: operation, expectedHeads: [:])
        var room = options.deletionSize
        for (shard, matches) in zip(collection.shards, found) where !matches.ids.isEmpty && room > 0 {
            let ids = Array(matches.ids.prefix(room))
            room -= ids.count
            write.operations.append((shard, ShardOperation(changes: [.delete(ids)])))
            write.expectedHeads?[shard.id] = matches.moment
        }
        write.reply.affected = options.deletionSize - room
        write.reply.isPartial = found.reduce(0) { $0 + $1.ids.count } > write.reply.affected
        do {
            let written = try await commit(write, to: collection, deadline: deadline)
            return written.repeated ?? write.reply
        } catch let error as ApusError where error.code == .shardMovedOn {
            wake.rise(by: 1)
            let soon = min(deadline, clock.now.advanced(by: .milliseconds(50)))
            for (shard, matches) in zip(collection.shards, found) {
                if await shard.applied.wait(for: matches.moment + 1, until: soon) { break }
            }
            return nil
        }
    }
}
