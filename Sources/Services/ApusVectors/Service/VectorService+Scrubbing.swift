internal import ApusCatalog
internal import ApusRuntime
internal import ApusStore
internal import ApusTypes
internal import ApusVectorIndex
internal import Synchronization

extension VectorService {
    /// Reads every segment in use again, once in each interval, and mends what has rotted. Those that could not be read are
    /// tried again sooner.
    func scrubSegments() async throws {
        guard let objects else { return }
        var due = clock.now.advanced(by: options.scrubInterval)
        while !Task.isCancelled {
            let pause = min(options.scrubInterval, .seconds(2))
            try await clock.sleep(until: min(due, clock.now.advanced(by: pause)), tolerance: nil)
            let isDue = clock.now >= due
            if isDue { due = clock.now.advanced(by: options.scrubInterval) }
            for shard in hostedShards() {
                let damaged = shard.damagedSegments
                for segment in shard.standing.memory.segments where isDue || damaged.contains(segment.key) {
                    do {
                        try await verify(segment, of: shard, in: objects)
                    } catch let error as ApusError {
                        if shard.damage(segment.key, error) {
                            log.error("a shard's segments cannot be read", ["shard": shard.id.description, "error": error.description])
                        }
                    }
                }
            }
        }
    }

    /// Throws `segment.corrupt` if the segment is damaged here and in the store.
    private func verify(_ segment: Segment, of shard: Shard, in objects: ObjectAccess) async throws {
        let deadline = clock.now.advanced(by: .seconds(600))
        do {
            try await objects.copies().verify(segment.key, deadline: deadline)
            guard shard.damagedSegments.contains(segment.key) else { return }
        } catch let error as ApusError where [.objectCorrupt, .objectUnknown].contains(error.code) {
            log.warning("a segment has rotted and is fetched again", ["segment": segment.key.description, "reason": error.summary])
        } catch let error as ApusError {
            return log.debug("a segment cannot be verified now", ["segment": segment.key.description, "reason": error.summary])
        }
        let row = SegmentRow(object: segment.key, points: segment.count, size: ByteCount(segment.byteCount))
        let whole = try await objects.open(row, fields: shard.fields, memory: searchMemory, deadline: deadline)
        shard.mend(whole)
        mended.add(1, ordering: .relaxed)
    }

    /// Segments that were found damaged and are whole again.
    public var mendedSegments: Int { mended.load(ordering: .relaxed) }
}
