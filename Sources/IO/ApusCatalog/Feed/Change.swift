public import ApusTypes

/// What kind of row a change is about. Open: services add their own.
public struct Topic: Name {
    public let rawValue: String
    public init(_ rawValue: String) { self.rawValue = rawValue }

    public static let collection: Topic = "collection"
    public static let node: Topic = "node"
    public static let key: Topic = "key"
    public static let setting: Topic = "setting"
    public static let alias: Topic = "alias"
}

/// One entry of the change feed: says what changed, not how. The reader reads the rows that it names.
public struct Change: Sendable, Hashable {
    public var version: Int64
    public var topic: Topic
    public var key: String
    public var digest: Digest
    public var at: WallTime
}

/// A place in the change feed: everything up to `version` has been applied.
public struct FeedPosition: Hashable, Sendable {
    public var incarnation: Incarnation
    /// 0 is before the first change.
    public var version: Int64
    public var digest: Digest

    public init(incarnation: Incarnation, version: Int64, digest: Digest) {
        self.incarnation = incarnation
        self.version = version
        self.digest = digest
    }
}

/// What a follower of the feed is told.
public enum FeedEvent: Sendable {
    /// At least one, in order; `position` is that of the last.
    case changes([Change], position: FeedPosition)
    /// The follower's position is not in this history, or was trimmed: read everything anew. `position` was taken before anything
    /// that the follower will read now, so following from it misses nothing.
    case rebuild(FeedPosition, reason: String)
}
