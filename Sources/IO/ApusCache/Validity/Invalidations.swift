internal import ApusTypes

/// What the change feed has said to be out of date, as far as this node has read it. A value without I/O.
///
/// A value that was computed at a moment (what the node had read *before* it began) holds until a change after that moment names one of its
/// tags. So neither a computation that overlaps a change nor a copy in a shared cache, however late it arrives there, is taken for newer than it is.
struct Invalidations: Sendable {
    /// Tags remembered one by one; beyond that the oldest are forgotten, and with them all that was computed before.
    static let tagLimit = 10_000

    /// How far the feed was read; nil until it was, and then nothing is kept.
    private(set) var now: Moment?
    /// What was computed earlier is not known to hold: this node has not read the changes since.
    private var oldest: Int64 = 0
    private var versions: [CacheTag: Int64] = [:]

    /// The feed is read from here: at the start, and whenever it could not be followed.
    mutating func begin(at moment: Moment) {
        now = moment
        oldest = moment.version
        versions = [:]
    }

    /// All changes up to this version have been told.
    mutating func advance(to version: Int64) {
        if let moment = now, moment.version < version { now?.version = version }
    }

    /// A change of this version names a tag; nil: everything.
    mutating func invalidate(_ tag: CacheTag?, at version: Int64) {
        defer { advance(to: version) }
        guard let tag else {
            oldest = max(oldest, version)
            return versions = [:]
        }
        versions[tag] = max(versions[tag] ?? 0, version)
        guard versions.count > Self.tagLimit else { return }
        let middle = versions.values.sorted()[versions.count / 2]
        oldest = max(oldest, middle)
        versions = versions.filter { $0.value > middle }
    }

    func holds(_ moment: Moment, _ tags: [CacheTag]) -> Bool {
        guard let now, moment.history == now.history, moment.version >= oldest else { return false }
        return versions.isEmpty || tags.allSatisfy { versions[$0].map { $0 <= moment.version } ?? true }
    }
}
