internal import ApusCatalog
internal import ApusRuntime
internal import ApusTypes

/// Committed operations, told to a node that serves their shards.
struct TellMessage: WireValue {
    var shards: ShardList
    /// One for each shard.
    var operations: [ToldOperation]

    init(_ shards: ShardList, _ operations: [ToldOperation]) {
        self.shards = shards
        self.operations = operations
    }

    func write(to writer: inout WireWriter) { writer.write(shards, operations) }

    init(from reader: inout WireReader) throws(ApusError) {
        shards = try reader.read()
        operations = try reader.read()
        guard operations.count == shards.shards.count else { throw WireReader.invalid("there is not one operation for each shard") }
    }
}

struct ToldOperation: WireValue {
    var position: LogPosition
    /// Nil where it is large: it is read from the log.
    var bytes: [UInt8]?

    init(position: LogPosition, bytes: [UInt8]?) {
        self.position = position
        self.bytes = bytes
    }

    func write(to writer: inout WireWriter) { writer.write(position, bytes) }
    init(from reader: inout WireReader) throws(ApusError) { self.init(position: try reader.read(), bytes: try reader.read()) }
}

struct TellReply: WireValue {
    /// Shards whose next search shows the operation, or is not answered before the log was looked at again.
    var shown: Set<ShardID> = []
    /// How many points each change of a shard's operation touched, where that was seen.
    var touched: [ShardID: [Int]] = [:]

    init() {}

    func write(to writer: inout WireWriter) { writer.write(shown, touched) }

    init(from reader: inout WireReader) throws(ApusError) {
        shown = try reader.read()
        touched = try reader.read()
    }
}

extension VectorService {
    /// Shows committed operations to everybody who may answer for their shards; nil: one that the log has. Returns when all have them, at the latest
    /// `Options.acknowledgeWithin` after this call; by then whoever has not does not answer without a look at the log.
    func show(
        _ operations: [(shard: Shard, operation: EncodedOperation?)], _ outcome: AppendOutcome, of collection: LoadedCollection
    ) async -> Written {
        let patience = clock.now.advanced(by: options.acknowledgeWithin)
        guard let peers else { return await showHere(operations, outcome, until: patience) }
        var told = operations.filter { outcome.positions[$0.shard.id] != nil }
        // Somebody may have begun to serve since this node looked.
        var isKnown = true
        if told.contains(where: { !$0.shard.replicas.knows(outcome.replicas[$0.shard.id] ?? 0) }) {
            try? await readReplicas(of: collection, deadline: patience)  // told by what the shards know then
            isKnown = told.allSatisfy { $0.shard.replicas.knows(outcome.replicas[$0.shard.id] ?? 0) }
        }
        var groups: [NodeName: [(shard: Shard, operation: EncodedOperation?)]] = [:]
        for entry in told {
            for (node, state) in entry.shard.replicas.states where state.isTold && node != peers.node {
                groups[node, default: []].append(entry)
            }
        }
        told = told.filter(\.shard.isHosted)
        if groups.isEmpty, isKnown { return await showHere(told, outcome, until: patience) }
        let (written, isShown) = await withTaskGroup(of: (Written, Bool).self) { [told] tasks in
            tasks.addTask { (await self.showHere(told, outcome, until: patience), true) }
            for (node, operations) in groups {
                tasks.addTask { await self.tell(node, operations, outcome, of: collection, until: patience) }
            }
            var (written, isShown) = (Written(), isKnown)
            for await (part, isPartShown) in tasks {
                written.touched.merge(part.touched) { first, _ in first }
                isShown = isShown && isPartShown
            }
            return (written, isShown)
        }
        if !isShown { _ = await Watermark(clock: clock).wait(for: 1, until: patience) }
        return written
    }

    private func showHere(
        _ operations: [(shard: Shard, operation: EncodedOperation?)], _ outcome: AppendOutcome, until patience: Instant
    ) async -> Written {
        var written = Written()
        for (shard, operation) in operations {
            guard let position = outcome.positions[shard.id] else { continue }
            (_, written.touched[shard.id]) = await show(operation, of: shard, at: position, until: patience)
        }
        return written
    }

    /// Whether the operation is visible here, and how many points each of its changes touched, if that was seen.
    private func show(
        _ operation: EncodedOperation?, of shard: Shard, at position: LogPosition, until patience: Instant
    ) async -> (isShown: Bool, touched: [Int]?) {
        switch shard.deliver(operation, at: position) {
        case .applied(let touched): return (true, touched)
        case .known: return (true, nil)
        case .doubtful:
            wake.rise(by: 1)
            return (true, nil)  // the next search is not answered before the log was looked at
        case .early: break
        }
        if operation != nil {
            // Mostly the operations before it are under way here too, and arrive at once; others are in the log.
            let soon = min(patience, clock.now.advanced(by: .milliseconds(10)))
            if await shard.applied.wait(for: position.sequence, until: soon) { return (true, shard.result(at: position.sequence)) }
        }
        wake.rise(by: 1)
        let isShown = await shard.applied.wait(for: position.sequence, until: patience)
        return (isShown, shard.result(at: position.sequence))
    }

    private func tell(
        _ node: NodeName, _ operations: [(shard: Shard, operation: EncodedOperation?)], _ outcome: AppendOutcome,
        of collection: LoadedCollection, until patience: Instant
    ) async -> (Written, Bool) {
        let told = operations.compactMap { shard, operation in
            outcome.positions[shard.id].map { position in
                let bytes = operation?.bytes
                return (shard, ToldOperation(position: position, bytes: bytes.flatMap { $0.count <= options.tellLimit.bytes ? $0 : nil }))
            }
        }
        do {
            guard let peers else { return (Written(), true) }
            let message = TellMessage(ShardList(collection, told.map(\.0)), told.map(\.1))
            let reply = try await TellReply(
                wireBytes: peers.call(node, PeerMethod.tell.rawValue, message.wireBytes, deadline: patience))
            return (Written(touched: reply.touched), told.allSatisfy { reply.shown.contains($0.0.id) })
        } catch {
            log.debug("a node was not told of a write", ["node": node.rawValue, "error": "\(error)"])
            return (Written(), false)
        }
    }

    /// Another node tells of operations that it has committed.
    func hear(_ message: TellMessage, deadline: Instant) async throws -> TellReply {
        let now = clock.now
        let (collection, shards, _) = try await known(message.shards, areAsked: false, deadline: deadline)
        let byID = Dictionary(shards.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var reply = TellReply()
        for (id, told) in zip(message.shards.shards, message.operations) {
            guard let shard = byID[id], shard.answers else {
                // Before it answers it looks at the log once more.
                byID[id]?.requireLook(after: now)
                reply.shown.insert(id)
                continue
            }
            let operation = try told.bytes.map { try EncodedOperation($0, fields: collection.configuration.fields) }
            let (isShown, touched) = await show(operation, of: shard, at: told.position, until: deadline)
            if isShown { reply.shown.insert(id) }
            reply.touched[id] = touched
        }
        return reply
    }
}
