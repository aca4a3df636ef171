public import ApusCatalog
public import ApusStore
public import ApusTypes
internal import ApusVectorIndex

/// A node's segments among the objects.
public struct SegmentStorage: Sendable {
    let access: ObjectAccess
    let intents: ObjectIntents
    let node: NodeName

    public init(_ access: ObjectAccess, intents: ObjectIntents, node: NodeName) {
        self.access = access
        self.intents = intents
        self.node = node
    }

    /// Stores a new segment. Until a manifest names it the collector may take it.
    func put(_ segment: SegmentBytes, deadline: Instant) async throws -> SegmentRow {
        let store = try access.store()
        var generator = SystemRandomNumberGenerator()
        let key = ObjectKey.random(using: &generator)
        try await intents.record(key, by: node, deadline: deadline)
        _ = try await store.put(key, deadline: deadline, .chunks { segment.next() })
        return SegmentRow(object: key, points: segment.rows, size: ByteCount(segment.count))
    }

    /// The segment, verified, in this machine's page cache.
    ///
    /// Throws `segment.corrupt` if the store's copy is damaged too, `segment.unsupported`, and what the store throws.
    func open(_ row: SegmentRow, fields: [VectorField], deadline: Instant) async throws -> Segment {
        do {
            let object = try await access.copies(deadline).fetch(row.object, deadline: deadline)
            object.advise(.random)
            return try Segment(object.bytes, key: row.object, fields: fields, owner: object)
        } catch let error as ApusError where [.objectCorrupt, .objectUnknown].contains(error.code) {
            throw ApusError(
                .segmentCorrupt, "segment \(row.object) cannot be read: \(error.summary)",
                hint: "restore the object from a backup of the store", cause: error)
        }
    }
}
