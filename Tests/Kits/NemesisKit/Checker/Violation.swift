public import ApusTypes

/// Something that the cluster promised, and that the history shows not to have been so.
public struct Violation: Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// A point that must be there is not, or is missing from a search that says that it is complete.
        case lostWrite = "lost write"
        /// An earlier state of a point after a later one was acknowledged, or was seen.
        case staleRead = "stale read"
        case deletedReturned = "deleted point returned"
        /// A value that nobody wrote to this point, or not yet.
        case inventedValue = "value never written"
        /// A point twice in a reply, a wrong score, or a wrong order.
        case wrongReply = "wrong reply"
        /// A request that was right was said to be wrong.
        case refused = "refused"
        /// It took longer than promised.
        case late = "late"
        /// Requests failed, or were answered in part, that should not have been.
        case unavailable = "unavailable"
        /// A process ended that nobody had ended.
        case crashed = "crashed"
        /// Bytes where the store was not: under its mount, or another cluster's.
        case strayed = "written elsewhere"
        /// A node was said to be down that somebody reached.
        case wrongVerdict = "wrongly down"
    }

    public var kind: Kind
    public var summary: String
    /// Of the operations that show it.
    public var operations: [Int]
    public var at: Instant

    public init(_ kind: Kind, _ summary: String, operations: [Int] = [], at: Instant) {
        self.kind = kind
        self.summary = summary
        self.operations = operations
        self.at = at
    }

    public var description: String {
        let places = operations.isEmpty ? "" : " (operations \(operations.map(String.init).joined(separator: ", ")))"
        return "\(kind.rawValue): \(summary)\(places)"
    }
}
