internal import ApusCatalog
internal import ApusMembership
internal import ApusTypes

extension Cluster {
    /// The leader's duty of writing down which nodes it suspects, takes for gone and sees again, and from what it tells so.
    public var standingsDuty: Duty {
        Duty("standings", every: .seconds(1)) { epoch, deadline in
            let changed = self.observation.withLock { $0.unrecorded(leader: epoch) }
            guard !changed.isEmpty else { return }
            try await self.catalog.records.add(
                changed.map { (.decision, "node \($0.key)", $0.value.reason, $0.value.inputs.description) }, deadline: deadline)
            self.observation.withLock { $0.recorded(changed, leader: epoch) }
        }
    }
}

extension NodeStanding {
    /// Whether what was written down before says the same; nil: nothing was, so it was alive.
    func isToldBy(_ before: NodeStanding?) -> Bool {
        state == before?.state ?? .alive && wasUnreached == before?.wasUnreached ?? false && isUnreached == before?.isUnreached ?? false
    }

    /// `suspect, because its heartbeats stand still for 3 s`.
    var reason: String {
        let (those, others) = (Self.list(failures), Self.list(answers))
        return switch state {
        case .down: "down, because its heartbeats stand still for \(Int(silence.seconds)) s and nobody is answered by it"
        case _ where isUnreached:
            "unreached, and its shards are placed elsewhere, because it has not answered \(those) for \(Int(unreachedTime.seconds)) s"
        case _ where wasUnreached && !answers.isEmpty: "given nothing, because it answers \(others) again, and not \(those)"
        case .alive: "back: its heartbeats go on"
        case .suspect where isFlapping: "suspect, because it has come and gone too often of late"
        case .suspect where isDoubted: "suspect, because it does not answer \(those)"
        case .suspect: "suspect, because its heartbeats stand still for \(Int(silence.seconds)) s"
        }
    }

    private static func list(_ nodes: Set<NodeName>) -> String { nodes.map(\.rawValue).sorted().joined(separator: ", ") }

    var inputs: JSONValue {
        func names(_ nodes: Set<NodeName>) -> JSONValue { .array(nodes.sorted().map { .string($0.rawValue) }) }
        return [
            "state": .string(state.rawValue), "silence_seconds": .double(silence.seconds), "answers": names(answers),
            "failures": names(failures), "is_flapping": .bool(isFlapping), "unreached_seconds": .double(unreachedTime.seconds),
        ]
    }
}
