internal import ApusCatalog
internal import ApusMembership
internal import ApusTypes

extension ReplicaSteps {
    /// How long what a node serves stays its own after it has gone without a word, and after it has said that it leaves.
    struct Graces: Sendable {
        var absence: Duration
        var restart: Duration
    }
}

extension Observation {
    /// How long nodes that have registered a moment ago are waited for when a cluster starts: until others have asked them, and have said so.
    static let startTime = Duration.seconds(3)

    /// Whether one of `rows` may be given something in a moment.
    func hasNewcomers(among rows: [NodeRow]) -> Bool {
        rows.contains { $0.status == .active && standing(of: $0.name)?.isNewcomer ?? true }
    }

    /// How each node stands towards its replicas, as the leader sees it; nil before it has read the nodes under this epoch, and while others
    /// start with it: it would give everything to itself.
    func presences(leader epoch: Epoch, _ graces: ReplicaSteps.Graces, at now: Instant) -> [NodeName: ReplicaSteps.Presence]? {
        guard !rows.isEmpty, let leading, leading.epoch == epoch else { return nil }
        let isStarting = leading.since.duration(to: now) < Self.startTime
        guard !isStarting || !rows.contains(where: { leading.machine.standing(of: $0.name)?.isNewcomer ?? false }) else { return nil }
        var presences: [NodeName: ReplicaSteps.Presence] = [:]
        for row in rows {
            let standing = leaderStanding(of: row.name, epoch: epoch)
            guard standing != nil || row.status == .left else { return nil }
            presences[row.name] = .init(of: row, standing, leftSince: leftSince[row.name] ?? now, graces, at: now)
        }
        return presences
    }

    /// Nodes for whose replicas nobody stops: those that are about to stop themselves, and those that live, as their heartbeats say, and that no
    /// other node reaches, not all reach again, or none has asked yet: behind a firewall, or under an address or certificate that is not theirs.
    func unsteady(leader epoch: Epoch) -> Set<NodeName> {
        Set(
            rows.lazy.filter { row in
                if row.status == .stopping { return true }
                guard let standing = leaderStanding(of: row.name, epoch: epoch) else { return false }
                return standing.wasUnreached || standing.answers.isEmpty && (!standing.isAcquainted || !standing.failures.isEmpty)
            }.map(\.name))
    }
}

extension ReplicaSteps.Presence {
    /// Of a node that is thought of so; nil: nothing is known of it yet.
    init(of row: NodeRow, _ standing: NodeStanding?, leftSince: Instant, _ graces: ReplicaSteps.Graces, at now: Instant) {
        let isLeaving = [.draining, .removing].contains(row.status) || !row.roles.contains(.worker)
        guard row.status != .left else {
            self = leftSince.duration(to: now) < graces.restart ? .awaited(isGone: true) : .lost
            return
        }
        guard let standing else {
            self = isLeaving ? .leaving : .awaited(isGone: false)
            return
        }
        self =
            switch standing.state {
            case .down: isLeaving || standing.since.duration(to: now) >= graces.absence ? .lost : .awaited(isGone: true)
            case _ where isLeaving: .leaving
            // It is given nothing, and has said what others are to serve.
            case _ where row.status == .stopping: .awaited(isGone: false)
            // It serves until others do: it hears from the catalog when that is so.
            case _ where standing.isUnreached: .leaving
            case .suspect: .awaited(isGone: false)
            case .alive: standing.isAcquainted && !standing.wasUnreached ? .here : .awaited(isGone: false)
            }
    }
}
