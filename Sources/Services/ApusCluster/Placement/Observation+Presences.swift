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
    /// How each node stands towards its replicas, as the leader sees it; nil before it has read the nodes under this epoch.
    func presences(leader epoch: Epoch, _ graces: ReplicaSteps.Graces, at now: Instant) -> [NodeName: ReplicaSteps.Presence]? {
        guard !rows.isEmpty else { return nil }
        var presences: [NodeName: ReplicaSteps.Presence] = [:]
        for row in rows {
            let standing = leaderStanding(of: row.name, epoch: epoch)
            guard standing != nil || row.status == .left else { return nil }
            presences[row.name] = .init(
                of: row, standing?.state ?? .down, since: standing?.since ?? now, leftSince: leftSince[row.name] ?? now, graces, at: now)
        }
        return presences
    }

    /// Nodes that live, as their heartbeats say, and that no other node reaches, or none has asked yet: behind a firewall, or under an address
    /// or certificate that is not theirs. Nobody stops for what they serve.
    func unreached(leader epoch: Epoch, at now: Instant) -> Set<NodeName> {
        Set(
            rows.lazy.map(\.name).filter { name in
                guard let standing = leaderStanding(of: name, epoch: epoch), standing.answers.isEmpty else { return false }
                return !standing.failures.isEmpty || standing.since.duration(to: now) < Self.acquaintance
            })
    }

    /// How long it may take until a new node's neighbours have asked it, and have said so.
    private static let acquaintance = Duration.seconds(5)
}

extension ReplicaSteps.Presence {
    /// Of a node that is in this state since then.
    init(
        of row: NodeRow, _ state: NodeStanding.State, since: Instant, leftSince: Instant, _ graces: ReplicaSteps.Graces, at now: Instant
    ) {
        let isLeaving = [.draining, .removing].contains(row.status) || !row.roles.contains(.worker)
        self =
            switch state {
            case _ where row.status == .left: leftSince.duration(to: now) < graces.restart ? .awaited(isGone: true) : .lost
            case .down: isLeaving || since.duration(to: now) >= graces.absence ? .lost : .awaited(isGone: true)
            case _ where isLeaving: .leaving
            // It is given nothing, and has said what others are to serve.
            case _ where row.status == .stopping: .awaited(isGone: false)
            case .suspect: .awaited(isGone: false)
            case .alive: .here
            }
    }
}
