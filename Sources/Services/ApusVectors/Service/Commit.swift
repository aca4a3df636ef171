internal import ApusCatalog
internal import ApusTypes
internal import Synchronization

/// What a request writes: at most one operation for each shard, committed together.
struct Write: Sendable {
    var operations: [(shard: Shard, operation: ShardOperation)]
    var operationID: OperationID?
    /// The reply that is kept with the operation id.
    var reply = WriteOutcome(errors: [], affected: 0, isRepeat: false)
    /// Only if each of these shards' heads is exactly there.
    var expectedHeads: [ShardID: LogPosition]?
}

/// What came of it.
struct Written: Sendable {
    /// How many points each change of each shard's operation touched; a shard is missing if its operation is committed but could not be
    /// shown here in time.
    var touched: [ShardID: [Int]] = [:]
    /// Where each shard's operation is in its log.
    var positions: [ShardID: LogPosition] = [:]
    /// The first reply, if this was a repetition.
    var repeated: WriteOutcome?
}

extension VectorService {
    /// Appends a write to the logs and shows it in this node's memory.
    ///
    /// Returns when the next search sees it, at the latest `acknowledgeWithin` after the commit. Throws what `ShardLog.append` throws, and
    /// `collection.unknown` if the collection is gone, `write.aborted` if there is another one of its name now.
    func commit(_ write: Write, to collection: LoadedCollection, deadline: Instant) async throws -> Written {
        try requireCatalog()
        let now = clock.wallTime
        let encoded = try write.operations.filter { !$0.operation.changes.isEmpty }.sorted { $0.shard.id < $1.shard.id }.map {
            let fields = collection.configuration.fields
            return ($0.shard, try EncodedOperation($0.operation.encoded(at: now, for: fields), fields: fields))
        }
        guard !encoded.isEmpty || write.operationID != nil else { return Written() }
        // Also what failed may have been done.
        defer { tellOfWrite(to: collection.name) }
        let began = clock.now
        let outcome: AppendOutcome
        do {
            outcome = try await catalog.log.append(
                AppendRequest(
                    operationID: write.operationID, appends: encoded.map { LogAppend(shard: $0.id, operation: $1.bytes) },
                    expectedHeads: write.expectedHeads, reply: write.operationID == nil ? [] : write.reply.encoded()),
                deadline: deadline)
        } catch let error as ApusError where error.code == .shardUnknown {
            forget { $0 === collection }
            // Another node may have deleted it and made one of the same name, of another dimension perhaps.
            _ = try await find(collection.name, deadline: deadline)
            throw ApusError(
                .writeAborted, "collection '\(collection.name)' was deleted and made anew meanwhile; nothing was written",
                hint: "send it again")
        }
        if outcome.isRepeat {
            // The first time may have ended before everybody was told.
            _ = await show(encoded.map { ($0.0, nil) }, outcome, of: collection)
            return Written(repeated: WriteOutcome(repeating: outcome.reply))
        }
        let committed = clock.now
        var written = await show(encoded, outcome, of: collection)
        times.observe(commit: began.duration(to: committed), show: committed.duration(to: clock.now))
        written.positions = outcome.positions
        return written
    }

    /// Runs `body` while this node's appends to the shards may go on, but no one's that must be alone.
    func sharing<Value: Sendable>(_ shards: [Shard], _ body: () async throws -> Value) async rethrows -> Value {
        let shards = shards.sorted { $0.id < $1.id }  // one order for all, so that nobody waits in a circle
        for shard in shards { await shard.gate.enter() }
        defer { shards.forEach { $0.gate.leave() } }
        return try await body()
    }

    /// Runs `body` while nobody else on this node appends to the shards.
    func alone<Value: Sendable>(_ shards: [Shard], _ body: () async throws -> Value) async rethrows -> Value {
        let shards = shards.sorted { $0.id < $1.id }
        for shard in shards { await shard.gate.close() }
        defer { shards.forEach { $0.gate.open() } }
        return try await body()
    }
}

// MARK: Replies that are kept

extension WriteOutcome {
    /// As JSON: `{"affected": 2, "items": 3, "partial": false, "errors": [[1, "point.unknown", "…"]]}`.
    func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.object {
            $0.member("affected", affected)
            $0.member("items", errors.count)
            $0.member("partial", isPartial)
            $0.key("errors")
            $0.array { writer in
                for (index, error) in errors.enumerated() {
                    guard let error else { continue }
                    writer.array {
                        $0.integer(index)
                        $0.string(error.code.rawValue)
                        $0.string(error.summary)
                    }
                }
            }
        }
        return writer.bytes
    }

    /// From what `encoded` made; a reply that another version kept in another form is an empty one.
    init(repeating bytes: [UInt8]) {
        self.init(errors: [], affected: 0, isRepeat: true)
        let value: JSONValue
        do { value = try JSONValue(parsing: bytes) } catch { return }
        affected = Int(value["affected"]?.asInteger ?? 0)
        isPartial = value["partial"]?.asBool ?? false
        errors = [ApusError?](repeating: nil, count: Int(value["items"]?.asInteger ?? 0))
        for entry in value["errors"]?.asArray ?? [] {
            guard let parts = entry.asArray, parts.count == 3, let index = parts[0].asInteger, errors.indices.contains(Int(index)),
                let code = parts[1].asString, let summary = parts[2].asString
            else { continue }
            errors[Int(index)] = ApusError(ErrorCode(rawValue: code), summary)
        }
    }
}
