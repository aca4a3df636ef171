internal import ApusCatalog
internal import ApusRuntime
public import ApusTypes
public import ApusVectorIndex

/// What one step of a copy did.
public struct CopyStep: Sendable, Hashable {
    /// Points of the source that were looked at, and of those the ones that the destination did not have so already.
    public var compared = 0
    public var written = 0
    /// Points of the destination that the source does not have.
    public var deleted = 0
    /// Where the next step begins; nil after the last.
    public var next: PointID?
    /// The last operations in the logs of the source's shards before the step, and of all that was acknowledged by its end. Where the former
    /// of a first step and the latter of a last one are the same, the steps have copied everything.
    public var before: [Int64] = []
    public var after: [Int64] = []
}

extension VectorService {
    /// Makes a collection with what another is made with, settings and declared payload indexes too, but other sharding; nothing where it is
    /// there already with the same vectors. Points are not copied: that is `copy`.
    ///
    /// Throws `collection.unknown`, and `request.invalid` where the destination has other vectors.
    public func createCollection(
        _ name: CollectionName, like source: CollectionName, shards: Int?, deadline: Instant
    ) async throws -> CollectionDescription {
        let original = try await find(source, deadline: deadline)
        var configuration = original.configuration
        if let shards { configuration.sharding.shards = shards }
        let made: CollectionDescription
        do {
            made = try await createCollection(
                name, configuration, settings: try await settings(of: source, deadline: deadline), deadline: deadline)
        } catch let error as ApusError where error.code == .collectionExists {
            made = try await collection(name, deadline: deadline)
            guard made.id != original.id, made.configuration.fields == configuration.fields,
                made.configuration.embedding == configuration.embedding, made.configuration.sharding.shards == shards ?? made.shards.count
            else {
                throw ApusError(
                    .requestInvalid, "collection '\(name)' is there already, and is the same or made with other vectors or shards",
                    hint: "choose another name, or delete it", context: ["field": "to"])
            }
        }
        for (path, definition) in try await payloadIndexes(of: source, deadline: deadline) {
            try await setPayloadIndex(on: path, of: name, to: definition, deadline: deadline)
        }
        return made
    }

    /// One step of making a collection hold what another holds: the points of the source from `start` on, at most `limit` of them in the
    /// order of ids, are written where they are not so already, and points of the destination between them are deleted.
    ///
    /// Steps may be repeated, and a second round over all ids does only what the first missed or what was written since.
    public func copy(
        from source: CollectionName, to destination: CollectionName, startingAt start: PointID?, limit: Int, deadline: Instant
    ) async throws -> CopyStep {
        let (from, to) = (try await find(source, deadline: deadline), try await find(destination, deadline: deadline))
        guard from.id != to.id else {
            throw ApusError(.requestInvalid, "a collection cannot be copied to itself", context: ["field": "to"])
        }
        // Both show what was acknowledged before.
        let before = try await heads(of: from, deadline: deadline)
        _ = try await heads(of: to, deadline: deadline)
        let all: Projection = [.vector, .payload]
        let page = try await scroll(from.name, from: start, limit: limit, with: all, deadline: deadline)
        let wanted = Dictionary(page.points.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var there: [PointID: Point] = [:]
        var place = start
        // What is there between the page's first id and the next page's.
        reading: repeat {
            let part = try await scroll(to.name, from: place, limit: limit, with: all, deadline: deadline)
            for point in part.points {
                if let end = page.next, !(point.id < end) { break reading }
                there[point.id] = point
            }
            place = part.next
        } while place != nil
        let missing = page.points.filter { there[$0.id] != $0 }
        let gone = there.keys.filter { wanted[$0] == nil }
        if !missing.isEmpty { _ = try await upsert(missing, into: to.name, deadline: deadline) }
        if !gone.isEmpty { _ = try await delete(gone, from: to.name, deadline: deadline) }
        return CopyStep(
            compared: page.points.count, written: missing.count, deleted: gone.count, next: page.next, before: before,
            after: page.next == nil ? try await heads(of: from, deadline: deadline) : before)
    }

    /// The last operation that each shard's answers show: all that was acknowledged before the call is among them.
    private func heads(of collection: LoadedCollection, deadline: Instant) async throws -> [Int64] {
        try await ask(collection, isCurrent: true, deadline: deadline) { _ in CountQuestion(filter: .everything) }
            .map { $0.position?.sequence ?? 0 }
    }
}
