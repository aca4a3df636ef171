internal import ApusCatalog
internal import ApusDatabase
internal import ApusMembership
internal import ApusPlacement
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// What the leader remembers from one round of placement to the next.
struct PlacementMemory: Sendable {
    private var epoch: Epoch?
    /// When replicas were first seen to be told to stop.
    private var stopped: [EndedReplica: Instant] = [:]
    /// What the last round that changed nothing was made from.
    private var settled: (feed: Int64, nodes: [NodeName: ReplicaSteps.Presence])?

    /// What a replica needs to stop answering, whatever it knows: the age that a look at the log may have, twice.
    static let stopTime = Duration.seconds(2)

    mutating func begin(_ epoch: Epoch) { if self.epoch != epoch { self = PlacementMemory(); self.epoch = epoch } }

    func isSettled(at feed: Int64, _ nodes: [NodeName: ReplicaSteps.Presence]) -> Bool {
        settled.map { $0.feed == feed && $0.nodes == nodes } ?? false
    }

    mutating func settle(at feed: Int64, _ nodes: [NodeName: ReplicaSteps.Presence]) { settled = stopped.isEmpty ? (feed, nodes) : nil }

    mutating func ended(_ shards: [ShardRow], at now: Instant) -> Set<EndedReplica> {
        let seen = Set(
            shards.flatMap { shard in
                shard.replicas.filter { $0.state == .leaving || $0.state == .suspended }.map { EndedReplica(shard, $0) }
            })
        stopped = stopped.filter { seen.contains($0.key) }
        for replica in seen where stopped[replica] == nil { stopped[replica] = now }
        return Set(stopped.filter { $0.value.duration(to: now) >= Self.stopTime }.keys)
    }
}

extension Cluster {
    /// The leader's duty of having each shard served by as many nodes as its collection asks for.
    public var placementDuty: Duty {
        Duty("placement", every: .milliseconds(500)) { epoch, deadline in _ = try await self.placeReplicas(epoch, deadline: deadline) }
    }

    /// One round; gives how many replicas it changed.
    func placeReplicas(_ epoch: Epoch, deadline: Instant) async throws -> Int {
        guard let nodes = presences(epoch) else { return 0 }
        let feed = try await catalog.feed.head(deadline: deadline).version
        guard
            !placement.withLock({
                $0.begin(epoch); return $0.isSettled(at: feed, nodes)
            })
        else { return 0 }
        let collections = try await catalog.collections.list(deadline: deadline)
        let shards = try await catalog.shards.list(deadline: deadline)
        let ended = placement.withLock { $0.ended(shards, at: clock.now) }
        let steps = ReplicaSteps(
            shards: shards, factors: Dictionary(collections.map { ($0.id, $0.replicas) }, uniquingKeysWith: { first, _ in first }),
            nodes: nodes, ended: ended, movesAtOnce: options.movesAtOnce
        ).steps.prefix(Self.mostSteps)
        guard !steps.isEmpty else {
            if try await removeEmptied(shards, epoch, deadline: deadline) > 0 { return 0 }
            placement.withLock { $0.settle(at: feed, nodes) }
            return 0
        }
        let made = Set(try await catalog.shards.change(steps.map(\.change), leader: epoch, deadline: deadline))
        let told = steps.filter { made.contains($0.change) }
        for step in told {
            log.info(
                "a replica is to change",
                [
                    "shard": step.change.shard.description, "node": step.change.node.rawValue,
                    "state": step.change.state?.rawValue ?? "dropped", "why": step.why,
                ])
        }
        try await catalog.records.add(
            told.map { step in
                let what = step.change.state.map { "\(step.change.node): \($0.rawValue)" } ?? "\(step.change.node): dropped"
                let inputs = step.candidates.map { JSONValue.object(["candidates": .string($0)]).description } ?? "{}"
                return (.decision, "shard \(step.change.shard)", "\(what), because \(step.why)", inputs)
            }, deadline: deadline)
        return made.count
    }

    private static let mostSteps = 256

    /// Forgets the nodes that were to be removed once they serve nothing.
    private func removeEmptied(_ shards: [ShardRow], _ epoch: Epoch, deadline: Instant) async throws -> Int {
        let holders = Set(shards.flatMap { $0.replicas.map(\.node) })
        let emptied = observation.withLock { $0.rows }.filter { $0.status == .removing && !holders.contains($0.name) }
        for row in emptied {
            try await catalog.nodes.remove(row.name, leader: epoch, deadline: deadline)
            log.notice("a node was removed", ["node": row.name.rawValue])
            try await catalog.records.add(
                .event, subject: "node \(row.name)", summary: "removed: it was to be, and serves nothing any more", deadline: deadline)
        }
        return emptied.count
    }

    /// How each node stands towards its replicas, by the leader's own observation; nil before it has read the nodes.
    private func presences(_ epoch: Epoch) -> [NodeName: ReplicaSteps.Presence]? {
        let now = clock.now
        return observation.withLock { observation in
            guard !observation.rows.isEmpty else { return nil }
            var presences: [NodeName: ReplicaSteps.Presence] = [:]
            for row in observation.rows {
                if row.status == .left {
                    let since = observation.leftSince[row.name] ?? now
                    presences[row.name] = since.duration(to: now) < options.restartWindow ? .awaited(isGone: true) : .lost
                    continue
                }
                guard let standing = observation.leaderStanding(of: row.name, epoch: epoch) else { return nil }
                let isLeaving = [.draining, .removing].contains(row.status) || !row.roles.contains(.worker)
                let isLost = isLeaving || standing.since.duration(to: now) >= options.absenceGrace
                presences[row.name] =
                    switch standing.state {
                    case .down: isLost ? .lost : .awaited(isGone: true)
                    case _ where isLeaving: .leaving
                    // It is given nothing, and has said what others are to serve.
                    case _ where row.status == .stopping: .awaited(isGone: false)
                    case .suspect: .awaited(isGone: false)
                    case .alive: .here
                    }
            }
            return presences
        }
    }
}
