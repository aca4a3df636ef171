internal import ApusCatalog
public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    /// Moves points to another collection: writes there what is here, and deletes it here unless something was written to its shards
    /// meanwhile; then what is here now is moved, and what is here no more is taken away there, unless it was written there since. So a point
    /// may be in both collections for a moment, and is in both after an error, but what was acknowledged is never in neither, and what was
    /// deleted here does not stay there.
    ///
    /// Ids that are not here are left out of `moved`; what the destination refuses is in `failures` and stays. Throws `shard.busy` when the
    /// source is written to so much that nothing could be deleted.
    public func move(
        _ ids: [PointID], from source: CollectionName, to destination: CollectionName, deadline: Instant
    ) async throws -> (moved: Set<PointID>, failures: [PointID: ApusError]) {
        let collection = try await find(source, deadline: deadline)
        let target = try await find(destination, deadline: deadline)
        let items = collection.itemsByShard(ids)
        /// What tries wrote to the destination, by the versions of it there.
        var copies: [PointID: Int64] = [:]
        for attempt in 0...Self.mostTries {
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
            let here = Set(points.map(\.id))
            try await delete(copies.filter { !here.contains($0.key) }, from: target, deadline: deadline)
            guard !points.isEmpty else { return ([], [:]) }
            guard attempt < Self.mostTries else { break }
            let (outcome, written) = try await put(points, into: target, mode: .eachItem, deadline: deadline)
            var failures: [PointID: ApusError] = [:]
            for (point, error) in zip(points, outcome.errors) {
                failures[point.id] = error
                if error == nil { copies[point.id] = written.positions[target.shards[target.shardNumber(of: point.id)].id]?.sequence }
            }
            let moved = here.subtracting(failures.keys)
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

    /// Deletes those points that still are what the operation of that number wrote.
    private func delete(_ copies: [PointID: Int64], from collection: LoadedCollection, deadline: Instant) async throws {
        let ids = Array(copies.keys)
        let items = collection.itemsByShard(ids)
        let shards = collection.shards(with: items)
        guard !shards.isEmpty else { return }
        for _ in 0..<Self.mostTries {
            var write = Write(operations: [], expectedHeads: [:])
            let answers = try await ask(collection, shards, isCurrent: true, deadline: deadline) { shard in
                LookupQuestion(ids: items[shard.number].map { ids[$0] }, projection: [])
            }
            for (shard, answer) in zip(shards, answers) {
                let unchanged = answer.answer.compactMap(\.self).filter { copies[$0.point.id] == $0.version }.map(\.point.id)
                guard !unchanged.isEmpty else { continue }
                write.operations.append((shard, ShardOperation(changes: [.delete(unchanged)])))
                write.expectedHeads?[shard.id] = answer.position
            }
            guard !write.operations.isEmpty else { return }
            do {
                _ = try await sharing(collection.shards) { try await commit(write, to: collection, deadline: deadline) }
                return
            } catch let error as ApusError where error.code == .shardMovedOn {
                continue
            }
        }
        throw ApusError(
            .shardBusy, "collection '\(collection.name)' is written to so much that copies of what was deleted meanwhile are still in it",
            context: ["collection": collection.name.rawValue])
    }
}
