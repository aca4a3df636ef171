internal import ApusCatalog
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectorIndex

extension VectorService {
    // MARK: Loading

    /// Opens the segments of a manifest; those that the memory has are the same afterwards.
    func open(_ manifest: Manifest, of shard: Shard, deadline: Instant) async throws -> [Segment] {
        let objects = try requireObjects()
        let known = shard.standing.memory.segments
        var segments: [Segment] = []
        for row in manifest.segments {
            if let segment = known.first(where: { $0.key == row.object }) {
                segments.append(segment)
            } else {
                segments.append(try await objects.open(row, fields: shard.fields, memory: searchMemory, deadline: deadline))
            }
        }
        return segments
    }

    // MARK: Sealing

    /// Looks again and again which shards are to be sealed, and seals them, one at a time; beside that, merges segments.
    func tendSegments() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.eachShard { try await self.sealIfDue($0) } }
            group.addTask { try await self.eachShard { try await self.mergeIfDue($0) } }
            try await group.waitForAll()
        }
    }

    private func eachShard(_ tend: (Shard) async throws -> Void) async throws {
        while !Task.isCancelled {
            for shard in hostedShards() where shard.answers {
                do {
                    try await tend(shard)
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

    private func standing(_ shard: Shard, _ seen: Shard.Sealable) -> SealPolicy.Standing {
        SealPolicy.Standing(
            unsealed: seen.snapshot.unsealed, unsealedBytes: ByteCount(Int(max(0, seen.bytes - shard.sealedBytes))),
            quiet: shard.changedAt.duration(to: clock.now), segments: seen.snapshot.segments)
    }

    /// Puts the points in memory into a segment. Writes and searches go on meanwhile.
    ///
    /// No segments change between the look at the points and the commit: what takes other segments' places dates the deaths that it
    /// finds by that moment, and the tombstones of the new segment must not be older.
    private func sealIfDue(_ shard: Shard) async throws {
        guard options.sealPolicy.isDue(standing(shard, try shard.sealable())), try await holdsDuty(shard) else { return }
        await shard.changes.close()
        defer { shard.changes.open() }
        let started = clock.now
        let sealed = try shard.sealable()
        let place = sealed.position.sequence
        let plan = SealPlan(sealing: sealed.snapshot)
        // It is merged soon: a graph that takes half the time serves until then.
        let builder = try await build(plan, of: shard, candidates: 64)
        try await change(shard, seenIn: sealed.memory) { objects, manifest, burials in
            guard manifest.position.sequence < place else { return nil }
            let tombstones = sealed.memory.snapshot().tombstones(asOf: place, leaving: burials)
            var next = manifest
            next.position = sealed.position
            next.bytes = sealed.bytes
            next.writtenAt = sealed.lastChange ?? manifest.writtenAt
            if !plan.rows.isEmpty || !tombstones.isEmpty {
                next.segments.append(try await objects.put(builder.finish(tombstones, asOf: place), deadline: self.longest))
            }
            return next
        }
        log.info(
            "sealed a shard",
            [
                "shard": shard.id.description, "points": "\(plan.rows.count)", "segments": "\(shard.standing.memory.segments.count)",
                "milliseconds": "\(started.duration(to: clock.now).milliseconds)",
            ])
    }

    /// Makes one segment of some.
    private func mergeIfDue(_ shard: Shard) async throws {
        let seen = try shard.sealable()
        let merged = options.sealPolicy.merged(standing(shard, seen))
        guard !merged.isEmpty, try await holdsDuty(shard) else { return }
        let started = clock.now
        let base = shard.sealedAt
        guard base <= seen.snapshot.moment else { return }  // another node's seal, adopted between the two looks
        let plan = SealPlan(merging: merged, of: seen.snapshot, asOf: base)
        // What has died since the last seal is written once more, and killed again by the log: for the sake of that alone nothing is written.
        let rows = seen.snapshot.segments.reduce(0) { $0 + (merged.contains($1.key) ? $1.rows : 0) }
        guard merged.count > 1 || options.sealPolicy.isRotten(rows: rows, living: plan.rows.count) else { return }
        let builder = try await build(plan, of: shard)
        let objects = try requireObjects()
        let row = try await objects.put(builder.finish([], asOf: base), deadline: longest)
        let union = try await objects.open(row, fields: shard.fields, memory: searchMemory, deadline: longest)
        await shard.changes.close()
        defer { shard.changes.open() }
        try await change(shard, seenIn: seen.memory) { objects, manifest, burials in
            guard merged.isSubset(of: manifest.segments.map(\.object)) else { return nil }
            let place = manifest.position.sequence
            let now = seen.memory.snapshot()
            let tombstones = now.tombstones(asOf: place, leaving: merged.union(burials), merged: (union, base))
            var next = manifest
            next.segments.removeAll { merged.contains($0.object) }
            if !plan.rows.isEmpty { next.segments.append(row) }
            if !tombstones.isEmpty {
                let graves = SealPlan(burying: now).builder(threads: 1)
                graves.prepare()
                next.segments.append(try await objects.put(graves.finish(tombstones, asOf: place), deadline: self.longest))
            }
            return next
        }
        log.info(
            "merged segments",
            [
                "shard": shard.id.description, "points": "\(plan.rows.count)", "merged": "\(merged.count)",
                "segments": "\(shard.standing.memory.segments.count)",
                "milliseconds": "\(started.duration(to: clock.now).milliseconds)",
            ])
    }

    /// Segments may be large, and stores slow.
    private var longest: Instant { clock.now.advanced(by: .seconds(3600)) }

    /// Whether this node may seal the shard: it is the only one, or takes the duty. Throws `store.unavailable` while there is no store: then
    /// nothing is built either.
    private func holdsDuty(_ shard: Shard) async throws -> Bool {
        _ = try requireObjects().store()
        guard let sealer else { return true }
        guard let holder = sealer() else { return false }  // no session, no duties
        return try await catalog.segments.claim(shard.id, for: holder, deadline: clock.now.advanced(by: .seconds(5)))
    }

    /// Gives the shard the manifest that `body` makes of the one that it has, in the catalog and then in memory; throws `shard.moved_on` if
    /// another node's was faster, or the shard was loaded anew since the points were `seenIn` a memory: another one dates deaths by its own
    /// beginning. The caller has closed `shard.changes`.
    ///
    /// `body` gets the manifest with its next version, and without the segments that carry tombstones alone, whose keys it gets too: what
    /// it adds has tombstones of its own.
    private func change(
        _ shard: Shard, seenIn memory: PointTable, _ body: (ObjectAccess, Manifest, _ burials: Set<ObjectKey>) async throws -> Manifest?
    ) async throws {
        let objects = try requireObjects()
        let soon = clock.now.advanced(by: .seconds(10))
        var manifest =
            try await catalog.segments.manifests(of: [shard.id], deadline: soon)[shard.id]
            ?? Manifest(version: 0, position: .beginning(of: catalog.incarnation), bytes: 0, segments: [])
        let movedOn = ApusError(.shardMovedOn, "the segments of shard \(shard.id) have changed meanwhile")
        guard shard.standing.memory === memory else { throw movedOn }
        guard !shard.contradicts(manifest) else {
            startAnew(shard, because: Self.rewound.summary)
            throw movedOn
        }
        guard manifest.version == shard.manifest else { throw movedOn }
        let burials = Set(memory.segments.filter { $0.count == 0 }.map(\.key))
        manifest.version += 1
        manifest.segments.removeAll { burials.contains($0.object) }
        guard let next = try await body(objects, manifest, burials) else { return }
        let opened = try await open(next, of: shard, deadline: longest)
        try await catalog.segments.commit(next, of: shard.id, by: sealer?(), deadline: clock.now.advanced(by: .seconds(10)))
        // Not by the threads that leave the processor to others: writers wait for the last step.
        _ = try await pool.run(deadline: longest) { shard.adopt(opened, next, in: memory) }
    }

    /// `candidates` of the graph, if not as many as usual.
    private func build(_ plan: SealPlan, of shard: Shard, candidates: Int? = nil) async throws -> SegmentBuilder {
        let threads = options.sealingThreads
        let deadline = longest
        var parameters = SegmentBuilder.Parameters()
        parameters.indexes = try indexedPaths(of: shard)
        if let candidates { parameters.graph.candidates = candidates }
        let builder = try await sealing.run(deadline: deadline) { [parameters] in plan.builder(parameters, threads: threads) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<threads {
                group.addTask { [sealing] in
                    // In short turns, so that a small segment does not wait for a large one, nor a node that ends for either.
                    while try await sealing.run(deadline: deadline, { builder.work(thread: thread) }) { try Task.checkCancellation() }
                }
            }
            try await group.waitForAll()
        }
        try await sealing.run(deadline: deadline) { builder.prepare() }
        for field in builder.fieldsWithoutGraph {
            log.warning(
                "a graph finds too little: the points of a segment are compared one by one",
                ["shard": shard.id.description, "field": field, "points": "\(plan.rows.count)"])
        }
        return builder
    }
}
