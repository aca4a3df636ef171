internal import ApusCatalog
internal import ApusMembership
internal import ApusTypes

extension Cluster {
    /// The leader's duty of writing down which nodes it suspects, takes for gone and sees again, and from what it tells so.
    public var standingsDuty: Duty {
        Duty("standings", every: .seconds(1)) { epoch, deadline in
            let changed = self.observation.withLock { $0.unrecorded(leader: epoch, grace: self.options.absenceGrace) }
            guard !changed.isEmpty else { return }
            try await self.catalog.records.add(
                changed.map { (.decision, "node \($0.key)", $0.value.reason, $0.value.standing.inputs.description) }, deadline: deadline)
            self.observation.withLock { $0.recorded(changed, leader: epoch) }
        }
    }
}

extension NodeVerdict {
    var reason: String {
        guard isCutOff else { return standing.reason }
        let peers = standing.failures.map(\.rawValue).sorted().joined(separator: ", ")
        return "cut off, and its shards are placed elsewhere, because it has not answered \(peers) for \(Int(standing.isolation.seconds)) s"
    }
}

extension NodeStanding {
    /// `suspect, because its heartbeats stand still for 3 s`.
    var reason: String {
        switch state {
        case .alive: "back: its heartbeats go on"
        case .suspect where isFlapping: "suspect, because it has come and gone too often of late"
        case .suspect where failures.count > answers.count:
            "suspect, because it does not answer \(failures.map(\.rawValue).sorted().joined(separator: ", "))"
        case .suspect: "suspect, because its heartbeats stand still for \(Int(silence.seconds)) s"
        case .down: "down, because its heartbeats stand still for \(Int(silence.seconds)) s and nobody is answered by it"
        }
    }

    var inputs: JSONValue {
        func names(_ nodes: Set<NodeName>) -> JSONValue { .array(nodes.sorted().map { .string($0.rawValue) }) }
        return [
            "state": .string(state.rawValue), "silence_seconds": .double(silence.seconds), "answers": names(answers),
            "failures": names(failures), "is_flapping": .bool(isFlapping), "isolation_seconds": .double(isolation.seconds),
        ]
    }
}
