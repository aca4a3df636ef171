internal import ApusCatalog
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectorIndex

extension VectorService {
    /// Throws `store.unavailable` where there is no place for segments.
    private func storage() throws(ApusError) -> SegmentStorage {
        guard let segments else { throw ApusError(.storeUnavailable, "this node has no store for segments") }
        return segments
    }

    // MARK: Loading

    /// Opens the segments of a manifest; those that the memory has are the same afterwards.
    func open(_ manifest: Manifest, of shard: Shard, deadline: Instant) async throws -> [Segment] {
        let storage = try storage()
        let known = shard.standing.memory.segments
        var segments: [Segment] = []
        for row in manifest.segments {
            if let segment = known.first(where: { $0.key == row.object }) {
                segments.append(segment)
            } else {
                segments.append(try await storage.open(row, fields: shard.fields, deadline: deadline))
            }
        }
        return segments
    }

    // MARK: Sealing

    /// Looks again and again which shards are to be sealed, and seals them, one at a time.
    func sealShards() async throws {
        while !Task.isCancelled {
            for shard in allShards() {
                guard let replaced = replacedSegments(of: shard) else { continue }
                do {
                    try await seal(shard, replacing: replaced)
                } catch let error as ApusError where [.shardMovedOn, .leaseStale, .shardUnknown, .nodeUnready].contains(error.code) {
                    log.debug("a shard was not sealed", ["shard": shard.id.description, "reason": error.summary])
                } catch let error as ApusError {
                    log.warning("a shard cannot be sealed", ["shard": shard.id.description, "error": error.description])
                    try await clock.sleep(until: clock.now.advanced(by: .seconds(2)), tolerance: nil)
                }
            }
            try await clock.sleep(until: clock.now.advanced(by: options.sealInterval), tolerance: nil)
        }
    }

    private func replacedSegments(of shard: Shard) -> Set<ObjectKey>? {
        guard shard.answers, segments != nil, let (snapshot, _, bytes) = try? shard.sealable() else { return nil }
        return options.sealPolicy.replaced(
            .init(
                unsealed: snapshot.unsealed, unsealedBytes: ByteCount(Int(max(0, bytes - shard.sealedBytes))),
                quiet: shard.changedAt.duration(to: clock.now), segments: snapshot.segments))
    }

    /// Puts the points in memory, and those of `replaced`, into a new segment. Writes and searches go on meanwhile.
    func seal(_ shard: Shard, replacing replaced: Set<ObjectKey>) async throws {
        let storage = try storage()
        let deadline = clock.now.advanced(by: .seconds(3600))
        let soon = clock.now.advanced(by: .seconds(5))
        let sealer = sealer?()
        guard self.sealer == nil || sealer != nil else { return }  // no session, no duties
        if let sealer, try await !catalog.segments.claim(shard.id, for: sealer, deadline: soon) { return }
        let memory = shard.standing.memory
        let (snapshot, position, bytes) = try shard.sealable()
        let before = try await catalog.segments.manifests(of: [shard.id], deadline: soon)[shard.id]
        guard before?.version ?? 0 == shard.manifest, snapshot.moment == position.sequence else { return }  // another node was faster

        let started = clock.now
        let plan = SealPlan(snapshot, replacing: replaced)
        var segments = before?.segments.filter { !replaced.contains($0.object) } ?? []
        if !plan.rows.isEmpty {
            let built = try await build(plan, deadline: deadline)
            segments.append(try await storage.put(built, deadline: deadline))
        }
        let manifest = Manifest(version: (before?.version ?? 0) + 1, position: position, bytes: bytes, segments: segments)
        let opened = try await open(manifest, of: shard, deadline: deadline)
        try await catalog.segments.commit(manifest, of: shard.id, by: sealer, deadline: clock.now.advanced(by: .seconds(10)))
        guard try await sealing.run(deadline: deadline, { shard.adopt(opened, manifest, in: memory) }) else { return }
        shard.sealedBytes = bytes
        log.info(
            "sealed a shard",
            [
                "shard": shard.id.description, "points": "\(plan.rows.count)", "replaced": "\(replaced.count)",
                "segments": "\(segments.count)", "milliseconds": "\(started.duration(to: clock.now).milliseconds)",
            ])
    }

    private func build(_ plan: SealPlan, deadline: Instant) async throws -> SegmentBytes {
        let threads = options.sealingThreads
        let builder = try await sealing.run(deadline: deadline) { plan.builder(threads: threads) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<threads {
                group.addTask { [sealing] in
                    // In short turns, so that a node that ends does not wait for it.
                    while try await sealing.run(deadline: deadline, { builder.work(thread: thread) }) { try Task.checkCancellation() }
                }
            }
            try await group.waitForAll()
        }
        return try await sealing.run(deadline: deadline) { builder.finish() }
    }
}
