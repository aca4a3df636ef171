internal import ApusCatalog
internal import ApusDatabase
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

extension Cluster {
    /// The leader's duty of having each shard served by as many nodes as its collection asks for.
    public var placementDuty: Duty {
        Duty("placement", every: .milliseconds(500)) { epoch, deadline in _ = try await self.placeReplicas(epoch, deadline: deadline) }
    }

    /// One round; gives how many replicas it changed.
    @discardableResult
    func placeReplicas(_ epoch: Epoch, deadline: Instant) async throws -> Int {
        guard let nodes = presences(asLeader: epoch) else { return 0 }
        let followed = try await shards.read(catalog, deadline: deadline)
        let feed = followed.position?.version ?? 0
        let unsteady = options.probe == nil ? [] : observation.withLock { $0.unsteady(leader: epoch) }
        let isSettled = placement.withLock { memory in
            memory.begin(epoch)
            return memory.isSettled(at: feed, nodes, unsteady: unsteady)
        }
        guard !isSettled else { return 0 }
        let rows = followed.shards
        let now = clock.now
        let (ended, newcomers) = placement.withLock { memory in
            (memory.ended(rows, at: now), memory.newcomers(rows, followed.factors, unsteady: unsteady, at: now))
        }
        let isPaused = followed.pause != nil
        let steps = try await planning.run(deadline: deadline) { [options] in
            ReplicaSteps(
                shards: rows, factors: followed.factors, nodes: nodes, ended: ended, newcomers: newcomers,
                movesAtOnce: options.movesAtOnce, isPaused: isPaused
            ).steps.prefix(Self.mostSteps)
        }
        guard !steps.isEmpty else {
            if try await removeEmptied(rows, epoch, deadline: deadline) > 0 { return 0 }
            placement.withLock { $0.settle(at: feed, nodes, unsteady: unsteady) }
            return 0
        }
        // A node that has come back since the nodes were read may serve again by now, as the shards say that were just read.
        let seen = try await catalog.nodes.list(deadline: deadline)
        observation.withLock { $0.read(seen, by: identity.name, leader: epoch, at: clock.now) }
        guard presences(asLeader: epoch) == nodes else { return 0 }
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
            // The rows were read a moment ago: the round before may have removed it.
            do { try await catalog.nodes.remove(row.name, leader: epoch, deadline: deadline) } catch let error as ApusError
                where error.code == .nodeUnknown
            {
                continue
            }
            log.notice("a node was removed", ["node": row.name.rawValue])
            try await catalog.records.add(
                .event, subject: "node \(row.name)", summary: "removed: it was to be, and serves nothing any more", deadline: deadline)
        }
        return emptied.count
    }
}
