internal import ApusCatalog
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectorIndex
internal import Synchronization

extension VectorService {
    /// Loads what the catalog holds and follows it until the task is cancelled.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.followFeed() }
            group.addTask { try await self.followLogs() }
            if objects != nil {
                group.addTask { try await self.tendSegments() }
                group.addTask { try await self.scrubSegments() }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    // MARK: Which collections there are

    /// The version of the change feed that this node has read to.
    public var feedVersion: Int64 { followed.value }

    private func followFeed() async throws {
        let events = catalog.feed.follow(from: nil) { [log] error in
            log.debug("the change feed cannot be read", ["error": "\(error)"])
        }
        for try await event in events {
            // An event comes once: it is tried until the catalog answers.
            while true {
                do {
                    try await handle(event)
                    break
                } catch let error as ApusError {
                    log.debug("a change cannot be read yet", ["error": error.description])
                    try await clock.sleep(until: clock.now.advanced(by: .milliseconds(200)), tolerance: nil)
                }
            }
        }
    }

    private func handle(_ event: FeedEvent) async throws {
        let deadline = clock.now.advanced(by: .seconds(2))
        switch event {
        case .rebuild(let position, let reason):
            let readAt = clock.now
            let rows = try await catalog.collections.list(deadline: deadline)
            let shards = peers == nil ? [] : try await catalog.shards.list(deadline: deadline)
            try await readAttributes(deadline: deadline)
            reconcile(rows, readAt: readAt)
            adopt(shards, for: allShards())
            models?.forget(nil)
            reached(position)
            log.info("read the collections of the catalog", ["collections": "\(rows.count)", "reason": reason])
        case .changes(let changes, let position):
            for change in changes where change.topic == .model { models?.forget(change.key) }
            if changes.contains(where: { [.collection, .alias].contains($0.topic) }) { try await readAttributes(deadline: deadline) }
            for key in Set(changes.lazy.filter { $0.topic == .collection }.map(\.key)) {
                guard let number = Int64(key) else { continue }
                let id = CollectionID(number)
                let readAt = clock.now
                if let row = try await catalog.collections.find(id, deadline: deadline) {
                    adoptReporting(row, readAt: readAt)
                    if peers != nil { adopt(try await catalog.shards.list(of: id, deadline: deadline), for: allShards()) }
                } else {
                    forget { $0.id == id }
                }
            }
            reached(position)
        }
        wake.rise(by: 1)
    }

    private func reached(_ position: FeedPosition) {
        place = position
        followed.rise(to: position.version)
    }

    // MARK: What is in the logs

    /// Looks at the heads of all shards in one query, again and again, and has those read that are behind.
    private func followLogs() async throws {
        await withDiscardingTaskGroup { group in
            var progress = LoadingProgress()
            while !Task.isCancelled {
                let woken = wake.value
                let instant = clock.now
                // Before the shards: a list from before the catalog was read is no list of all.
                let isListWhole = hasReadCatalog
                let shards = hostedShards()
                await look(at: shards, asOf: instant, in: &group)
                report(&progress, shards, isListWhole: isListWhole)
                _ = await wake.wait(for: woken + 1, until: instant.advanced(by: options.lookInterval))
            }
            group.cancelAll()
        }
    }

    private func look(at shards: [Shard], asOf instant: Instant, in group: inout DiscardingTaskGroup) async {
        do {
            let standings = try await catalog.log.standings(of: shards.map(\.id), deadline: instant.advanced(by: .seconds(2)))
            countLook(hasFailed: false)
            var outdated: Set<ShardID> = []
            var changes: [(shard: Shard, from: ReplicaState, to: ReplicaState?)] = []
            for shard in shards {
                guard let goal = standings[shard.id] else {
                    forget { $0.shards.contains { $0 === shard } }  // deleted; the feed will say so too
                    shard.end(asOf: instant)
                    continue
                }
                // The look and the map are of one moment or of another: what serves by this look is answered after the next one.
                guard peers == nil || shard.replicas.knows(goal.replicas) else {
                    outdated.insert(shard.id)
                    continue
                }
                // It answers no more, so nobody has to be told of anything any more.
                if shard.replicaState == .leaving {
                    changes.append((shard, .leaving, nil))
                    continue
                }
                if shard.replicaState == .suspended { changes.append((shard, .suspended, .loading)) }
                // It has what the log held a moment ago: from now on writers tell it of more, and after the next look it answers.
                if shard.isReadyToServe { changes.append((shard, .loading, .serving)) }
                let standing = shard.standing
                if standing.position.sequence == goal.head.sequence, standing.position.digest == goal.head.digest,
                    shard.manifest == goal.manifest
                {
                    shard.isCurrent(standing.memory, asOf: instant)
                } else if shard.beginFollowing() {
                    group.addTask {
                        await self.catchUp(shard, with: goal, asOf: instant)
                        shard.endFollowing()
                    }
                }
            }
            if !changes.isEmpty { group.addTask { [changes] in await self.change(changes) } }
            if !outdated.isEmpty {
                let collections = try loaded().values.filter { $0.shards.contains { outdated.contains($0.id) } }
                for collection in collections { try await readReplicas(of: collection, deadline: instant.advanced(by: .seconds(2))) }
            }
        } catch {
            countLook(hasFailed: true)
            log.debug("the heads of the logs cannot be read", ["error": "\(error)"])
        }
    }

    /// Takes steps in the lives of this node's own replicas.
    private func change(_ changes: [(shard: Shard, from: ReplicaState, to: ReplicaState?)]) async {
        guard let peers else { return }
        do {
            let deadline = clock.now.advanced(by: .seconds(5))
            let wanted = changes.map { ReplicaChange($0.shard.id, on: peers.node, from: [$0.from], to: $0.to) }
            for made in try await catalog.shards.change(wanted, deadline: deadline) {
                log.info("a replica has changed", ["shard": made.shard.description, "state": made.state?.rawValue ?? "dropped"])
            }
            let touched = Set(changes.map(\.shard.id))
            for collection in try loaded().values where collection.shards.contains(where: { touched.contains($0.id) }) {
                try await readReplicas(of: collection, deadline: deadline)
            }
        } catch {
            log.debug("replicas cannot be changed yet", ["error": "\(error)"])
        }
    }

    /// Reads the log of a shard from its own position, that operation included, until its head is applied. A memory that has nothing yet, or
    /// whose next operations are not in the log any more, begins with the shard's segments.
    private func catchUp(_ shard: Shard, with goal: ShardLog.Standing, asOf instant: Instant) async {
        do {
            if shard.standing.position.sequence == 0, goal.manifest > 0 { try await load(shard) }
            do {
                try await follow(shard, to: goal.head)
            } catch let error as ApusError where error.code == .logTruncated {
                try await load(shard)
                try await follow(shard, to: goal.head)
            }
            let memory = shard.standing.memory
            shard.isCurrent(memory, asOf: instant)
            if shard.manifest != goal.manifest { try await adoptSegments(shard, in: memory) }
        } catch let error as ApusError where error.code == .catalogRewound {
            startAnew(shard, because: error.summary)
        } catch let error as ApusError where [.logCorrupt, .catalogIncompatible, .objectCorrupt, .objectUnknown].contains(error.code) {
            if shard.fail(error) {
                log.error("a shard's log cannot be followed", ["shard": shard.id.description, "error": error.description])
            }
        } catch let error as ApusError where [.segmentCorrupt, .segmentUnsupported].contains(error.code) {
            if shard.refuse(error) {
                log.error("a shard's segments cannot be read", ["shard": shard.id.description, "error": error.description])
            }
        } catch {
            // The catalog or the store is away, or the node ends: the next look tries again.
            log.debug("a shard's log cannot be read", ["shard": shard.id.description, "error": "\(error)"])
        }
    }

    private func follow(_ shard: Shard, to head: LogPosition) async throws {
        let memory = shard.standing.memory
        repeat {
            try Task.checkCancellation()
            let position = shard.standing.position
            let incarnation = catalog.incarnation
            let records = try await catalog.log.read(
                shard.id, from: position, limit: options.readSize, deadline: clock.now.advanced(by: .seconds(10)))
            if records.isEmpty { break }
            try await pool.run { try shard.apply(records, of: incarnation, to: memory) }
        } while shard.standing.position.sequence < head.sequence
    }

    private func load(_ shard: Shard) async throws {
        let deadline = clock.now.advanced(by: .seconds(600))
        guard let manifest = try await catalog.segments.manifests(of: [shard.id], deadline: deadline)[shard.id] else { return }
        let segments = try await open(manifest, of: shard, deadline: deadline)
        try await pool.run { shard.begin(with: segments, manifest) }
    }

    /// The catalog has another history than the shard's memory.
    func startAnew(_ shard: Shard, because reason: String) {
        log.warning("the catalog has another history: a shard is loaded anew", ["shard": shard.id.description, "reason": reason])
        shard.startAnew(at: .beginning(of: catalog.incarnation))
        wake.rise(by: 1)
    }

    /// Takes over what another node has sealed. Throws `catalog.rewound` if the memory has segments that the catalog does not know (any more): a
    /// manifest was lost with what was written after it, or without.
    private func adoptSegments(_ shard: Shard, in memory: PointTable) async throws {
        let deadline = clock.now.advanced(by: .seconds(600))
        let known = shard.manifest
        let read = try await catalog.segments.manifests(of: [shard.id], deadline: deadline)[shard.id]
        guard read?.version ?? 0 >= known else { throw Self.rewound }
        guard let manifest = read, manifest.version > shard.manifest else { return }
        await shard.changes.close()
        defer { shard.changes.open() }
        guard manifest.version > shard.manifest else { return }  // this node's own change, just made
        guard !shard.contradicts(manifest) else { throw Self.rewound }
        let segments = try await open(manifest, of: shard, deadline: deadline)
        _ = try await pool.run { shard.adopt(segments, manifest, in: memory) }
    }

    static var rewound: ApusError { ApusError(.catalogRewound, "the catalog does not know the segments of the memory (any more)") }

    // MARK: What is said about it

    private struct LoadingProgress {
        var isBlocked = true
        var wasComplete = false
        var waitingSince: Instant?
        var saidAt: Instant?
    }

    /// Says how far loading is, in health at once and in the log every two seconds, until all is loaded. Later a node is not ready only
    /// when shards are missing for two seconds: a collection that another node has just made is there sooner.
    private func report(_ progress: inout LoadingProgress, _ shards: [Shard], isListWhole: Bool) {
        let now = clock.now
        let waiting = shards.count { $0.lookedAt.value == 0 }
        guard waiting > 0 || !isListWhole else {
            if progress.isBlocked {
                health?.recover("vectors")
                log.info("all shards are loaded", ["shards": "\(shards.count)"])
            }
            progress = LoadingProgress(isBlocked: false, wasComplete: true)
            return
        }
        let since = progress.waitingSince ?? now
        progress.waitingSince = since
        if progress.wasComplete, since.duration(to: now) < .seconds(2) { return }
        progress.isBlocked = true
        let points = shards.reduce(0) { $0 + $1.points }
        let summary =
            isListWhole
            ? "\(shards.count - waiting) of \(shards.count) shards are loaded, \(points) points so far" : "the catalog is not read yet"
        reportUnready(summary)
        if progress.saidAt.map({ $0.duration(to: now) >= .seconds(2) }) ?? true {
            log.info("loading shards", ["loaded": "\(shards.count - waiting)", "shards": "\(shards.count)", "points": "\(points)"])
            progress.saidAt = now
        }
    }
}
