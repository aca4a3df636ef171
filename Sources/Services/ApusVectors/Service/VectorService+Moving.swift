public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    /// Moves points to another collection: writes there what is here, and deletes it here unless something was written to its shards
    /// meanwhile; then what is here now is moved. So a point may be in both collections for a moment, and is in both after an error, but
    /// what was acknowledged is never in neither.
    ///
    /// Ids that are not here are left out of `moved`; what the destination refuses is in `failures` and stays. Throws `shard.busy` when the
    /// source is written to so much that nothing could be deleted.
    public func move(
        _ ids: [PointID], from source: CollectionName, to destination: CollectionName, deadline: Instant
    ) async throws -> (moved: Set<PointID>, failures: [PointID: ApusError]) {
        let collection = try await find(source, deadline: deadline)
        let items = collection.itemsByShard(ids)
        for _ in 0..<Self.mostTries {
            var points: [Point] = []
            var write = Write(operations: [], expectedHeads: [:])
            let shards = collection.shards(with: items)
            let answers = try await ask(collection, shards, isCurrent: true, deadline: deadline) { shard in
                LookupQuestion(ids: items[shard.number].map { ids[$0] }, projection: [.vector, .payload])
            }
            for (shard, answer) in zip(shards, answers) {
                let here = answer.answer.compactMap { $0?.point }
                points += here
                write.operations.append((shard, ShardOperation(changes: [.delete(here.map(\.id))])))
                write.expectedHeads?[shard.id] = answer.position
            }
            guard !points.isEmpty else { return ([], [:]) }
            let outcome = try await upsert(points, into: destination, mode: .eachItem, deadline: deadline)
            var failures: [PointID: ApusError] = [:]
            for (point, error) in zip(points, outcome.errors) { failures[point.id] = error }
            let moved = Set(points.map(\.id)).subtracting(failures.keys)
            write.operations = write.operations.compactMap { shard, operation in
                guard case .delete(let here)? = operation.changes.first else { return nil }
                let gone = here.filter(moved.contains)
                return gone.isEmpty ? nil : (shard, ShardOperation(changes: [.delete(gone)]))
            }
            do {
                _ = try await sharing(collection.shards) { try await commit(write, to: collection, deadline: deadline) }
                return (moved, failures)
            } catch let error as ApusError where error.code == .shardMovedOn {
                continue
            }
        }
        throw ApusError(
            .shardBusy, "collection '\(source)' is written to so much that nothing could be moved out of it; what was copied is in both",
            context: ["collection": source.rawValue])
    }
}
