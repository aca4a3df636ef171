/// Keeps what was used last, within a bound on the sum of what entries weigh. A value: whoever shares it between threads locks.
public struct BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Entry {
        var key: Key
        var value: Value
        var weight: Int
        var newer: Int
        var older: Int
    }

    public let capacity: Int
    public private(set) var weight = 0
    private var places: [Key: Int] = [:]
    /// A list from the newest to the oldest, threaded through an array; free places are reused.
    private var entries: [Entry?] = []
    private var free: [Int] = []
    private var newest = -1
    private var oldest = -1

    public init(capacity: Int) {
        precondition(capacity >= 0, "a cache has room for nothing or more")
        self.capacity = capacity
    }

    public var count: Int { places.count }

    /// What is kept under `key`, which becomes the newest.
    public mutating func value(for key: Key) -> Value? {
        guard let place = places[key] else { return nil }
        unlink(place)
        linkAsNewest(place)
        return entries[place]?.value
    }

    /// Keeps a value in place of what was there, and drops the oldest until all fits. What is heavier than the whole cache is not kept.
    public mutating func insert(_ value: Value, for key: Key, weight: Int = 1) {
        precondition(weight >= 0, "nothing weighs less than nothing")
        if let place = places[key] { remove(place) }
        guard weight <= capacity else { return }
        while self.weight + weight > capacity { remove(oldest) }
        let place = free.popLast() ?? entries.count
        let entry = Entry(key: key, value: value, weight: weight, newer: -1, older: -1)
        if place == entries.count { entries.append(entry) } else { entries[place] = entry }
        places[key] = place
        self.weight += weight
        linkAsNewest(place)
    }

    public mutating func removeValue(for key: Key) {
        if let place = places[key] { remove(place) }
    }

    public mutating func removeAll() { self = BoundedCache(capacity: capacity) }

    private mutating func remove(_ place: Int) {
        guard let entry = entries[place] else { return }
        unlink(place)
        places[entry.key] = nil
        weight -= entry.weight
        entries[place] = nil
        free.append(place)
    }

    private mutating func unlink(_ place: Int) {
        guard let entry = entries[place] else { return }
        if entry.newer >= 0 { entries[entry.newer]?.older = entry.older } else { newest = entry.older }
        if entry.older >= 0 { entries[entry.older]?.newer = entry.newer } else { oldest = entry.newer }
    }

    private mutating func linkAsNewest(_ place: Int) {
        entries[place]?.newer = -1
        entries[place]?.older = newest
        if newest >= 0 { entries[newest]?.newer = place }
        newest = place
        if oldest < 0 { oldest = place }
    }
}
