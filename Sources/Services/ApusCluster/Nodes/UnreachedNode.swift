internal import ApusCatalog
internal import ApusMembership
public import ApusTypes

/// A node that beats and that others do not reach, or that was so long enough to be emptied and is not reached again by all.
public struct UnreachedNode: Sendable, Hashable {
    /// For how long nobody has reached it, in successful reads of the node that was asked.
    public var time: Duration
    /// Who does not reach it, and who does again; by name.
    public var failures: [NodeName]
    public var answers: [NodeName]
    /// What it serves is placed elsewhere.
    public var isEmptied: Bool
}

extension Observation {
    var unreached: [NodeName: UnreachedNode] {
        Dictionary(
            rows.compactMap { row in
                guard let standing = standing(of: row.name), standing.unreachedTime > .zero, standing.state != .down else { return nil }
                return (
                    row.name,
                    UnreachedNode(
                        time: standing.unreachedTime, failures: standing.failures.sorted(), answers: standing.answers.sorted(),
                        isEmptied: standing.isUnreached)
                )
            }, uniquingKeysWith: { first, _ in first })
    }
}
