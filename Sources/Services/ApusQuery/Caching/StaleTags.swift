internal import ApusCache

/// Tags that this node knows to be out of date, and that the change feed does not say so of yet. A value without I/O.
///
/// Until a change that was published *after* a tag was named here comes back by the feed, what was computed before it cannot be told from what
/// was computed later: the cache is not used for that tag.
struct StaleTags {
    /// More at once are told as everything.
    static let limit = 256
    /// Names all tags.
    static let everything = "*"

    /// Nil: not published, or not known to be.
    private var batches: [CacheTag: UInt64?] = [:]

    mutating func add(_ tags: some Sequence<CacheTag>) {
        for tag in tags { batches.updateValue(nil, forKey: tag) }
        if batches.count > Self.limit { batches = [Self.everything: nil] }
    }

    /// `tags` are looked at where there are any of these: seldom.
    func contains(any tags: @autoclosure () -> [CacheTag]) -> Bool {
        !batches.isEmpty && (batches[Self.everything] != nil || tags().contains { batches[$0] != nil })
    }

    /// What is to be published now, as this batch.
    mutating func take(as batch: UInt64) -> [CacheTag] {
        let tags = batches.filter { $0.value == nil }.map(\.key)
        for tag in tags { batches.updateValue(batch, forKey: tag) }
        return tags
    }

    /// A change has come by the feed.
    mutating func came(_ tag: CacheTag, of batch: UInt64) { if batches[tag] == .some(batch) { batches.removeValue(forKey: tag) } }

    /// Whether a batch was published is not known: it is again.
    mutating func lose(_ batch: UInt64? = nil) {
        for (tag, known) in batches where batch == nil || known == batch { batches.updateValue(nil, forKey: tag) }
    }
}
