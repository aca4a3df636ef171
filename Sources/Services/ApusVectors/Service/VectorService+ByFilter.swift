public import ApusCatalog
internal import ApusRuntime
public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    /// To find a place in logs that others write to.
    static let mostTries = 12
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
        let sweep = Sweep(filter: filter, limit: options.deletionSize) { [.delete($0)] }
        let collection = try await prepare(sweep, in: name, deadline: deadline)
        var outcome = WriteOutcome(errors: [], affected: 0, isRepeat: false)
        var batches = 0
        repeat {
            var batch = operation
            if batches > 0, let scope = operation?.scope { batch?.scope = "\(scope) #\(batches)" }
            let deleted = try await carryOut(sweep, in: collection, batch, deadline: deadline)
            outcome.affected += deleted.affected
            outcome.isRepeat = deleted.isRepeat
            outcome.isPartial = deleted.isPartial
            batches += 1
        } while outcome.isPartial
        return outcome
    }

    /// Makes the same changes to the payloads of all points that match at the moment when the update takes its place in the log: all of
    /// them in one transaction, or none. `affected` says how many there were.
    ///
    /// Throws `request.too_large` if the changes take more than `Options.updateSize`, and what a deletion by filter throws.
    public func update(
        matching filter: Filter, with changes: [PayloadChange], in name: CollectionName, operation: OperationID? = nil, deadline: Instant
    ) async throws -> WriteOutcome {
        for change in changes { try change.check(field: "payload") }
        let encoded = changes.map(\.encoded)
        let sweep = Sweep(filter: filter, limit: .max) { ids in
            encoded.map { verb, payload in .changePayloads(verb, ids, [[UInt8]?](repeating: payload, count: ids.count)) }
        }
        return try await carryOut(sweep, in: try await prepare(sweep, in: name, deadline: deadline), operation, deadline: deadline)
    }

    /// What is done to the points that match a filter.
    private struct Sweep: Sendable {
        let filter: Filter
        /// Most points of one transaction; those beyond are left to another one.
        let limit: Int
        let changes: @Sendable ([PointID]) -> [ShardOperation.Change]
    }

    private func prepare(_ sweep: Sweep, in name: CollectionName, deadline: Instant) async throws -> LoadedCollection {
        try sweep.filter.validate()
        return try await find(name, deadline: deadline)
    }

    private func carryOut(
        _ sweep: Sweep, in collection: LoadedCollection, _ operation: OperationID?, deadline: Instant
    ) async throws -> WriteOutcome {
        var matches = [PointMatches?](repeating: nil, count: collection.shards.count)
        // The first look shows all that was acknowledged anywhere before.
        for attempt in 0..<Self.mostTries {
            let outcome: WriteOutcome?
            if attempt < Self.triesTogether {
                outcome = try await sharing(collection.shards) {
                    try await tryOnce(sweep, &matches, collection, operation, isCurrent: attempt == 0, deadline: deadline)
                }
            } else {
                // What this node had under way before is in memory before anything is evaluated.
                outcome = try await alone(collection.shards) {
                    try await tryOnce(sweep, &matches, collection, operation, isCurrent: true, deadline: deadline)
                }
            }
            if let outcome { return outcome }
        }
        throw ApusError(
            .shardBusy, "collection '\(collection.name)' is written to so much that a change by filter found no place in its log",
            context: ["collection": collection.name.rawValue])
    }

    /// Evaluates the filter at a position of each log and changes what matches if the heads are still there; nil if one is not. Of what
    /// was evaluated by an earlier try only the points written since are evaluated again.
    private func tryOnce(
        _ sweep: Sweep, _ matches: inout [PointMatches?], _ collection: LoadedCollection, _ operation: OperationID?, isCurrent: Bool,
        deadline: Instant
    ) async throws -> WriteOutcome? {
        let earlier = matches
        let answers = try await ask(collection, isCurrent: isCurrent, deadline: deadline) { shard in
            MatchQuestion(filter: sweep.filter, earlier: earlier[shard.number])
        }
        let found = answers.map(\.answer)
        matches = found.map(\.here)
        let count = found.reduce(0) { $0 + $1.ids.count }
        // All of them, so that what is written to a shard without matches meanwhile is not overlooked.
        let heads = Dictionary(
            answers.compactMap { answer in answer.position.map { (answer.shard, $0) } }, uniquingKeysWith: { first, _ in first })
        var write = Write(operations: [], operationID: operation, expectedHeads: heads)
        var room = sweep.limit
        var size = 0
        for (shard, matches) in zip(collection.shards, found) where !matches.ids.isEmpty && room > 0 {
            let ids = Array(matches.ids.prefix(room))
            room -= ids.count
            let operation = ShardOperation(changes: sweep.changes(ids))
            size += operation.size
            write.operations.append((shard, operation))
        }
        guard size <= options.updateSize.bytes else {
            // More may match than the first time.
            if let operation, let first = try await firstReply(to: operation, deadline: deadline) { return first }
            throw ApusError(
                .requestTooLarge,
                "\(count) points match; to change them takes \(ByteCount(size)), and \(options.updateSize) is the most for one transaction",
                hint: "narrow the filter, and send several requests", context: ["field": "filter"])
        }
        write.reply.affected = sweep.limit - room
        write.reply.isPartial = count > write.reply.affected
        do {
            let written = try await commit(write, to: collection, deadline: deadline)
            return written.repeated ?? write.reply
        } catch let error as ApusError where error.code == .shardMovedOn {
            wake.rise(by: 1)
            let soon = min(deadline, clock.now.advanced(by: .milliseconds(50)))
            for shard in collection.shards where shard.isServed {
                if await shard.applied.wait(for: (heads[shard.id]?.sequence ?? 0) + 1, until: soon) { break }
            }
            return nil
        }
    }

    /// The reply to a request that was done before; nil if it was not, and now never will be under its id.
    func firstReply(to operation: OperationID, deadline: Instant) async throws -> WriteOutcome? {
        switch try await catalog.operations.settle(operation, deadline: deadline) {
        case .done(let reply): return WriteOutcome(repeating: reply)
        case .refused: return nil
        case .unknown:
            throw ApusError(
                .outcomeUnknown, "whether the same request was done before cannot be found out now",
                hint: "send it again with the same key")
        }
    }
}
