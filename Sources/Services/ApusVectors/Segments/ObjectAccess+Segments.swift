internal import ApusCatalog
internal import ApusStore
internal import ApusTypes
internal import ApusVectorIndex

extension ObjectAccess {
    /// Stores a new segment; see `place`.
    func put(_ segment: SegmentBytes, deadline: Instant) async throws -> SegmentRow {
        let object = try await place(.chunks { segment.next() }, deadline: deadline)
        return SegmentRow(object: object.key, points: segment.rows, size: ByteCount(segment.count))
    }

    /// The segment, verified, in this machine's page cache, and the part of it that searches need most in `memory`.
    ///
    /// Throws `segment.corrupt` if the store's copy is damaged too, `segment.unsupported`, and what the store throws.
    func open(_ row: SegmentRow, fields: [VectorField], memory: SearchMemory, deadline: Instant) async throws -> Segment {
        do {
            let object = try await copies().fetch(row.object, deadline: deadline)
            object.advise(.random)
            return try Segment(object.bytes, key: row.object, fields: fields, owner: object, memory: memory)
        } catch let error as ApusError where [.objectCorrupt, .objectUnknown].contains(error.code) {
            throw ApusError(
                .segmentCorrupt, "segment \(row.object) cannot be read: \(error.summary)",
                hint: "restore the object from a backup of the store", cause: error)
        }
    }
}
