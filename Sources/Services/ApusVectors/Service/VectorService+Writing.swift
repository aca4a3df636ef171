public import ApusCatalog
public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    /// Writes points, replacing those with the same ids; of one id several times in a batch the last wins.
    ///
    /// `operation` is what a write is recognised by when its client sends it again: the first outcome is given again.
    /// Throws `vector.wrong_dimension` and `vector.invalid` (a number that is not finite, its place in `context["field"]`),
    /// `request.invalid` for a payload that is no object, `shard.busy`, `write.outcome_unknown`, `catalog.unavailable`.
    public func upsert(
        _ points: [Point], into name: CollectionName, mode: BatchMode = .atomic, operation: OperationID? = nil, deadline: Instant
    ) async throws -> WriteOutcome {
        let collection = try await find(name, deadline: deadline)
        let (outcome, written) = try await put(points, into: collection, mode: mode, operation: operation, deadline: deadline)
        return written.repeated ?? outcome
    }

    /// The same, with where it was written.
    func put(
        _ points: [Point], into collection: LoadedCollection, mode: BatchMode, operation: OperationID? = nil, deadline: Instant
    ) async throws -> (outcome: WriteOutcome, written: Written) {
        let errors = try check(points, mode) { point, field throws(ApusError) in
            try collection.configuration.check(point.vectors, at: field("vector"))
            if let payload = point.payload { try Payload.check(payload, field: field("payload")) }
        }
        let items = collection.itemsByShard(points.lazy.map(\.id))
        let operations = zip(collection.shards, items).map { shard, items in
            let valid = items.filter { errors[$0] == nil }.map { points[$0] }
            return (shard, ShardOperation(changes: valid.isEmpty ? [] : [.upsert(valid)]))
        }
        let outcome = WriteOutcome(errors: errors, affected: errors.count { $0 == nil }, isRepeat: false)
        let write = Write(operations: operations, operationID: operation, reply: outcome)
        let written = try await sharing(collection.shards(with: items)) { try await commit(write, to: collection, deadline: deadline) }
        return (outcome, written)
    }

    /// Deletes points. An unknown id is an error of its item (`point.unknown`); the others are deleted.
    public func delete(
        _ ids: [PointID], from name: CollectionName, operation: OperationID? = nil, deadline: Instant
    ) async throws -> WriteOutcome {
        let collection = try await find(name, deadline: deadline)
        let items = collection.itemsByShard(ids)
        var outcome = try await unknownPoints(ids, collection, deadline: deadline)
        var operations: [(Shard, ShardOperation)] = []
        for (shard, items) in zip(collection.shards, items) {
            var seen: Set<PointID> = []
            let known = items.filter { outcome.errors[$0] == nil && seen.insert(ids[$0]).inserted }.map { ids[$0] }
            operations.append((shard, ShardOperation(changes: known.isEmpty ? [] : [.delete(known)])))
        }
        outcome.affected = operations.reduce(0) { $0 + ($1.1.changes.first?.count ?? 0) }
        let write = Write(operations: operations, operationID: operation, reply: outcome)
        let written = try await sharing(collection.shards(with: items)) { try await commit(write, to: collection, deadline: deadline) }
        if let repeated = written.repeated { return repeated }
        // Somebody else may have deleted a point in between; each is counted by the one whose operation came first.
        outcome.affected = operations.reduce(0) { $0 + (written.touched[$1.0.id]?.first ?? $1.1.changes.first?.count ?? 0) }
        return outcome
    }

    /// Changes parts of points. An unknown id is an error of its item (`point.unknown`).
    ///
    /// A point may be deleted between the look and the commit; the update of it then does nothing. `affected` counts what was there at the look.
    /// Throws `request.too_large` if the changes take more than `Options.updateSize`: a short request may ask for one large payload at many
    /// points.
    public func update(
        _ updates: [PointUpdate], in name: CollectionName, mode: BatchMode = .atomic, operation: OperationID? = nil, deadline: Instant
    ) async throws -> WriteOutcome {
        let collection = try await find(name, deadline: deadline)
        // Many points mostly get one change, whose bytes they share.
        var checked: PayloadChange?
        let invalid = try check(updates, mode) { update, field throws(ApusError) in
            if let vectors = update.vectors { try collection.configuration.check(vectors, at: field("vector")) }
            for name in update.removedFields { _ = try collection.configuration.fieldNumber(name) }
            if update.payload != checked {
                try update.payload?.check(field: field("payload"))
                checked = update.payload
            }
        }
        let items = collection.itemsByShard(updates.lazy.map(\.id))
        var outcome = try await unknownPoints(updates.map(\.id), collection, deadline: deadline)
        for (index, error) in invalid.enumerated() where error != nil { outcome.errors[index] = error }
        if mode == .atomic, let index = outcome.errors.firstIndex(where: { $0 != nil }), var error = outcome.errors[index] {
            error.context["index"] = String(index)
            throw error
        }
        let operations = zip(collection.shards, items).map { shard, items in
            (shard, ShardOperation(updates: items.filter { outcome.errors[$0] == nil }.map { updates[$0] }))
        }
        let size = operations.reduce(0) { $0 + $1.1.size }
        guard size <= options.updateSize.bytes else {
            // More of the points may be there than the first time.
            if let operation, let first = try await firstReply(to: operation, deadline: deadline) { return first }
            throw ApusError(
                .requestTooLarge,
                "to change these points takes \(ByteCount(size)), and \(options.updateSize) is the most for one transaction",
                hint: "send several requests", context: ["field": "points"])
        }
        outcome.affected = outcome.errors.count { $0 == nil }
        let write = Write(operations: operations, operationID: operation, reply: outcome)
        let written = try await sharing(collection.shards(with: items)) { try await commit(write, to: collection, deadline: deadline) }
        return written.repeated ?? outcome
    }

    /// The error of each item, nil for those that are right. Throws the first one if the batch is atomic.
    private func check<Item>(
        _ items: [Item], _ mode: BatchMode, _ check: (Item, _ field: (String) -> String) throws(ApusError) -> Void
    ) throws(ApusError) -> [ApusError?] {
        var errors = [ApusError?](repeating: nil, count: items.count)
        for (index, item) in items.enumerated() {
            do throws(ApusError) {
                try check(item) { items.count == 1 ? $0 : "points[\(index)].\($0)" }
            } catch {
                var error = error
                error.context["index"] = String(index)
                if mode == .atomic { throw error }
                errors[index] = error
            }
        }
        return errors
    }

    /// An outcome that has an error for each id that does not exist: this node looks at the log before it says so, since another one may
    /// have acknowledged the point a moment ago. Throws `node.unready` while a shard is not loaded.
    private func unknownPoints(
        _ ids: [PointID], _ collection: LoadedCollection, deadline: Instant
    ) async throws -> WriteOutcome {
        var outcome = WriteOutcome(errors: [ApusError?](repeating: nil, count: ids.count), affected: 0, isRepeat: false)
        for (item, point) in try await found(ids, in: collection, with: [], deadline: deadline).enumerated() where point == nil {
            outcome.errors[item] = ApusError(
                .pointUnknown, "there is no point '\(ids[item])' in collection '\(collection.name)'",
                context: ["index": String(item), "id": ids[item].description])
        }
        return outcome
    }
}

extension LoadedCollection {
    /// Those that have items.
    func shards(with items: [[Int]]) -> [Shard] { zip(shards, items).filter { !$0.1.isEmpty }.map(\.0) }
}

extension ShardOperation {
    /// Updates in their order: those of one kind that follow each other share a change.
    init(updates: [PointUpdate]) {
        self.init(changes: [])
        var run: UpdateRun?
        func open(_ kind: UpdateRun.Kind, _ changes: inout [Change]) {
            guard run?.kind != kind else { return }
            if let run { changes.append(run.change) }
            run = UpdateRun(kind: kind)
        }
        var last: (change: PayloadChange, encoded: (verb: PayloadVerb, payload: [UInt8]?))?
        for update in updates {
            if let vectors = update.vectors {
                open(.setVectors, &changes)
                run?.ids.append(update.id)
                run?.vectors.append(vectors)
            }
            if !update.removedFields.isEmpty {
                open(.removeVectors(update.removedFields), &changes)
                run?.ids.append(update.id)
            }
            guard let change = update.payload else { continue }
            let encoded = last.flatMap { $0.change == change ? $0.encoded : nil } ?? change.encoded
            last = (change, encoded)
            open(.changePayloads(encoded.verb), &changes)
            run?.ids.append(update.id)
            run?.payloads.append(encoded.payload)
        }
        if let run { changes.append(run.change) }
    }
}

/// Updates of one kind, on their way to be a change.
private struct UpdateRun {
    enum Kind: Equatable {
        case setVectors
        case removeVectors(Set<String>)
        case changePayloads(ShardOperation.PayloadVerb)
    }

    let kind: Kind
    var ids: [PointID] = []
    var vectors: [PointVectors] = []
    var payloads: [[UInt8]?] = []

    var change: ShardOperation.Change {
        switch kind {
        case .setVectors: .setVectors(ids, vectors)
        case .removeVectors(let fields): .removeVectors(ids, fields: fields)
        case .changePayloads(let verb): .changePayloads(verb, ids, payloads)
        }
    }
}

extension PayloadChange {
    var encoded: (verb: ShardOperation.PayloadVerb, payload: [UInt8]?) {
        switch self {
        case .replace(let payload): (.replace, payload)
        case .merge(let payload): (.merge, payload)
        case .remove(let names): (.remove, JSONValue.array(names.map { .string($0) }).serialized())
        case .assign(let object, let path): (.assign, Self.pair(path?.description ?? "", object))
        case .removePaths(let paths): (.removePaths, JSONValue.array(paths.map { .string($0.description) }).serialized())
        case .clear: (.replace, nil)
        }
    }

    private static func pair(_ path: String, _ object: [UInt8]) -> [UInt8] {
        var writer = JSONWriter(reserving: object.count + path.utf8.count + 8)
        writer.array {
            $0.string(path)
            $0.raw(object)
        }
        return writer.bytes
    }
}
