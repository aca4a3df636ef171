internal import ApusCatalog
internal import ApusRuntime
internal import ApusStore
public import ApusTypes
public import ApusVectorIndex
internal import Synchronization

/// One shard of this node's memory, beside the same shard built anew from the catalog and the store.
public struct ShardVerification: Sendable {
    public var id: ShardID
    public var number: Int
    /// The last operation of the log that both hold.
    public var sequence: Int64 = 0
    public var memory = PointsDigest()
    /// Of the manifest's segments with the log after them.
    public var log = PointsDigest()
    public var segments = 0
    /// Read from the log, after the segments.
    public var operations = 0
    /// Nil where memory and log are the same.
    public var differences: PointDifferences?
    /// Segments that did not pass their checksums, and what could not be read at all.
    public var problems: [ApusError] = []

    public var isWhole: Bool { problems.isEmpty && differences == nil }
}

extension VectorService {
    /// Longest time for one shard.
    private static let verificationTime: Duration = .seconds(3600)

    /// Compares what this node has in memory of a collection with a second memory that is built beside it, one shard after the other: from
    /// the manifest's segments, each checked against its checksums, and the log after them, whose digests are chained anew. `number` is
    /// the shard to look at; nil: all.
    ///
    /// Searches and writes go on; what they change meanwhile is on neither side. A second memory holds what is not in segments twice. Throws
    /// `collection.unknown`, `request.invalid` for a shard that is not there, `node.overloaded` while another verification runs,
    /// `shard.busy` when a shard is sealed faster than it is read.
    public func verify(_ name: CollectionName, shard number: Int? = nil, deadline: Instant) async throws -> [ShardVerification] {
        let collection = try await find(name, deadline: deadline)
        guard number.map(collection.shards.indices.contains) ?? true else {
            throw ApusError(
                .requestInvalid, "'shard' must be below \(collection.shards.count), the number of shards", context: ["field": "shard"])
        }
        guard !isVerifying.exchange(true, ordering: .acquiringAndReleasing) else {
            throw ApusError(.overloaded, "this node verifies a collection already", hint: "wait for that to end")
        }
        defer { isVerifying.store(false, ordering: .releasing) }
        var found: [ShardVerification] = []
        for shard in number.map({ [collection.shards[$0]] }) ?? collection.shards { found.append(try await verify(shard, of: collection)) }
        return found
    }

    private func verify(_ shard: Shard, of collection: LoadedCollection) async throws -> ShardVerification {
        let deadline = clock.now.advanced(by: Self.verificationTime)
        var result = ShardVerification(id: shard.id, number: shard.number)
        do {
            for _ in 0..<Self.mostTries {
                do {
                    // A replica that is still loading, or leaves, does not answer for the shard: another one does.
                    let found =
                        shard.isServed
                        ? try await verifyHere(shard, &result, deadline: deadline)
                        : try await verifyElsewhere(shard, of: collection, deadline: deadline)
                    if let found { return found }
                } catch let error as ApusError where error.code == .shardElsewhere {}  // it has moved meanwhile
            }
        } catch let error as ApusError where Self.isDamage(error.code) {
            result.problems.append(error)
            return result
        }
        throw ApusError(
            .shardBusy, "shard \(shard.id) was sealed or moved again and again while it was verified", hint: "try again later")
    }

    /// Nil if the shard was sealed meanwhile. What was found before an error is in `result`.
    private func verifyHere(
        _ shard: Shard, _ result: inout ShardVerification, deadline: Instant
    ) async throws -> ShardVerification? {
        try await reachHeads(of: [shard], deadline: deadline)
        let (memory, position) = try shard.positioned()
        result = ShardVerification(id: shard.id, number: shard.number, sequence: position.sequence)
        // Before the segments are read: a rotten copy is mended after that.
        result.memory = try await sealing.run { memory.digest }
        guard let truth = try await replay(shard, to: position, &result, deadline: deadline) else { return nil }
        result.log = try await sealing.run { truth.digest }
        if result.log != result.memory { result.differences = try await sealing.run { memory.differences(from: truth) } }
        return result
    }

    /// Compares what the node that serves the shard has in memory with the points that are built here. Nil if the shard was sealed meanwhile.
    private func verifyElsewhere(
        _ shard: Shard, of collection: LoadedCollection, deadline: Instant
    ) async throws -> ShardVerification? {
        let answer = try await ask(collection, [shard], isCurrent: true, deadline: deadline) { _ in DigestQuestion() }[0]
        guard let position = answer.position else { return nil }
        var result = ShardVerification(id: shard.id, number: shard.number, sequence: position.sequence)
        result.memory = answer.answer
        guard let truth = try await replay(shard, to: position, &result, deadline: deadline) else { return nil }
        result.log = try await sealing.run { truth.digest }
        if result.log != result.memory {
            result.problems.append(
                ApusError(
                    .logCorrupt, "the node that serves shard \(shard.number) holds other points than catalog and store",
                    hint: "ask that node to verify the collection: it tells which"))
        }
        return result
    }

    /// The points of a shard as of a place in its log, from the catalog and the store alone. Throws `shard.busy` when it is sealed faster
    /// than it is read.
    func rebuilt(_ shard: Shard, at position: LogPosition) async throws -> PointSnapshot {
        var result = ShardVerification(id: shard.id, number: shard.number)
        let deadline = clock.now.advanced(by: Self.verificationTime)
        if let points = try await replay(shard, to: position, &result, deadline: deadline) { return points }
        throw ApusError(.shardBusy, "shard \(shard.id) was sealed while it was read", hint: "try again")
    }

    private static func isDamage(_ code: ErrorCode) -> Bool {
        [
            .segmentCorrupt, .segmentUnsupported, .objectCorrupt, .objectUnknown, .logCorrupt, .catalogIncompatible, .catalogRewound,
        ].contains(code)
    }

    /// The points after the operation at `position`, from the catalog and the store alone. Nil if the shard was sealed beyond it meanwhile.
    private func replay(
        _ shard: Shard, to position: LogPosition, _ result: inout ShardVerification, deadline: Instant
    ) async throws -> PointSnapshot? {
        let incarnation = catalog.incarnation
        let second = Shard(
            id: shard.id, number: shard.number, fields: shard.fields, beginning: .beginning(of: incarnation), isNew: false, clock: clock)
        if let manifest = try await catalog.segments.manifests(of: [shard.id], deadline: deadline)[shard.id] {
            guard manifest.position.sequence <= position.sequence else { return nil }
            let segments = try await verified(manifest.segments, of: shard, &result, deadline: deadline)
            result.segments = segments.count
            try await sealing.run { second.begin(with: segments, manifest) }
        }
        let table = second.standing.memory
        while second.standing.position.sequence < position.sequence {
            try Task.checkCancellation()
            let records: [LogRecord]
            do {
                records = try await catalog.log.read(
                    shard.id, from: second.standing.position, limit: options.readSize, deadline: clock.now.advanced(by: .seconds(10)))
            } catch let error as ApusError where error.code == .logTruncated {
                return nil
            }
            let wanted = records.filter { $0.sequence <= position.sequence }
            guard !wanted.isEmpty else {
                throw ApusError(
                    .logCorrupt, "the log of shard \(shard.id) ends before operation \(position.sequence), which was applied here")
            }
            try await sealing.run { try second.apply(wanted, of: incarnation, to: table) }
            result.operations += wanted.count
        }
        guard second.standing.position.digest == position.digest else {
            throw ApusError(.catalogRewound, "the log of shard \(shard.id) is another one than was applied here")
        }
        return table.snapshot()
    }

    /// Opens segments after their bytes were read and compared with their checksums. A copy that has rotted is a problem of the result, is
    /// fetched again, and taken out of this node's memory.
    private func verified(
        _ rows: [SegmentRow], of shard: Shard, _ result: inout ShardVerification, deadline: Instant
    ) async throws -> [Segment] {
        let objects = try requireObjects()
        var segments: [Segment] = []
        for row in rows {
            do {
                try await objects.copies().verify(row.object, deadline: deadline)
            } catch let error as ApusError where error.code == .objectCorrupt {
                result.problems.append(
                    ApusError(
                        .segmentCorrupt, "segment \(row.object) has rotted on this node: \(error.summary)", hint: "it was fetched again",
                        cause: error))
            } catch let error as ApusError where error.code == .objectUnknown {}  // no copy, so it is fetched now
            let segment = try await objects.open(row, fields: shard.fields, memory: searchMemory, deadline: deadline)
            if !result.problems.isEmpty { shard.mend(segment) }
            segments.append(segment)
        }
        return segments
    }
}
