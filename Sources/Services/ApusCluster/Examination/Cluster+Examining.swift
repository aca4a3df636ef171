internal import ApusCatalog
internal import ApusRuntime
public import ApusTypes

extension Cluster {
    /// Has every node look at itself and at its ways to all others, at once; gives what is wrong. Nodes that left are not asked.
    public func examine(deadline: Instant) async throws -> (nodes: [NodeName], findings: [ClusterFinding]) {
        let rows = try await catalog.nodes.list(deadline: deadline).filter { $0.status != .left }
        let answers = await withTaskGroup(of: (NodeName, ClusterExamination.Answer?).self) { group in
            for row in rows {
                group.addTask {
                    let began = self.clock.now
                    let time = BootClock.realTimeMilliseconds
                    guard let facts = await self.options.examine(row, rows, deadline) else { return (row.name, nil) }
                    // Its clock was read somewhere between; looking at the ways comes before, and takes most of the time.
                    let elapsed = began.duration(to: self.clock.now).nanoseconds / 1_000_000
                    let ahead = facts.time.millisecondsSinceEpoch - time - elapsed
                    return (row.name, ClusterExamination.Answer(facts: facts, ahead: .milliseconds(ahead)))
                }
            }
            return await group.reduce(into: [NodeName: ClusterExamination.Answer?]()) { $0.updateValue($1.1, forKey: $1.0) }
        }
        return (rows.map(\.name), ClusterExamination(answers, own: identity.name).findings)
    }

    /// Says in this node's health where its settings differ from other nodes' that should be the same.
    func compareSettings(_ rows: [NodeRow]) {
        let others = rows.filter { $0.name != identity.name && $0.status != .left }
        for row in others {
            let settings = NodeFacts.settings((try? JSONValue(parsing: Array(row.metadata.utf8)))?["settings"])
            guard let difference = ClusterExamination.differences(settings, options.settings).first else { continue }
            return health.report(
                "settings",
                ApusError(
                    .configurationDiffers, "\(difference.key) is \(difference.own) here and \(difference.other) on \(row.name)",
                    hint: "set it to one value on all nodes; 'apus doctor cluster' lists all differences"), blocks: [])
        }
        health.recover("settings")
    }
}
