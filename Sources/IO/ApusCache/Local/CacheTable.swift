internal import ApusTypes

/// A value and what it holds by.
struct CacheEntry: Sendable, Hashable {
    var value: [UInt8]
    var tags: [CacheTag]
    var moment: Moment
    var expires: Instant

    /// What it takes of the cache's bytes: entries of the tables that lead to it are about as large as this.
    var weight: Int { value.count + tags.reduce(0) { $0 + $1.utf8.count + 16 } + 256 }
}

/// What is kept, and what is being computed. A value without I/O: the decisions of a cache.
struct CacheTable: Sendable {
    private var kept: BoundedCache<CacheKey, CacheEntry>
    private var flights: [CacheKey: Flight] = [:]
    private var flightCount: UInt64 = 0

    struct Flight: Sendable, Hashable {
        var id: UInt64
        var moment: Moment
    }

    enum Answer: Sendable, Hashable {
        case hit(CacheEntry)
        /// Somebody computes it who began when all was known that is known now.
        case join(Flight)
        /// The caller computes it, and then calls `land`. Nil: the feed was not read yet, so nothing can be kept.
        case lead(Flight?)
    }

    init(bytes: Int) { kept = BoundedCache(capacity: bytes) }

    var bytes: Int { kept.weight }
    var count: Int { kept.count }

    mutating func lookUp(
        _ key: CacheKey, _ tags: @autoclosure () -> [CacheTag], at time: Instant, _ invalidations: Invalidations
    ) -> Answer {
        if let entry = kept.value(for: key) {
            if time < entry.expires, invalidations.holds(entry.moment, entry.tags) { return .hit(entry) }
            kept.removeValue(for: key)
        }
        guard let moment = invalidations.now else { return .lead(nil) }
        if let flight = flights[key], invalidations.holds(flight.moment, tags()) { return .join(flight) }
        flightCount += 1
        let flight = Flight(id: flightCount, moment: moment)
        flights[key] = flight
        return .lead(flight)
    }

    /// Ends a computation; nil: it failed. What does not hold any more is not kept, though those who waited for it may have it: they asked before.
    mutating func land(_ flight: Flight, of key: CacheKey, with entry: CacheEntry?, _ invalidations: Invalidations) {
        if flights[key] == flight { flights[key] = nil }
        guard let entry, invalidations.holds(entry.moment, entry.tags) else { return }
        kept.insert(entry, for: key, weight: entry.weight)
    }
}
