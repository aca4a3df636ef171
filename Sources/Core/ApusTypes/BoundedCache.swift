/// Keeps what was used last, within a bound on the sum of what entries weigh. A value: whoever shares it between threads locks.
///
/// Inlinable, because caches are looked into by every request: through generic code of another module each look cost 0.6 µs more.
public struct BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// Neighbours in the list from the newest to the oldest; -1 for none.
    @usableFromInline
    struct Link: Sendable {
        @usableFromInline var newer = -1
        @usableFromInline var older = -1

        @inlinable init() {}
    }

    public let capacity: Int
    public private(set) var weight = 0
    @usableFromInline var places: [Key: Int] = [:]
    // By their places; free places are reused. Apart, so that a look copies a value and nothing else.
    @usableFromInline var values: [Value?] = []
    private var keys: [(key: Key, weight: Int)?] = []
    @usableFromInline var links: [Link] = []
    private var free: [Int] = []
    @usableFromInline var newest = -1
    @usableFromInline var oldest = -1

    public init(capacity: Int) {
        precondition(capacity >= 0, "a cache has room for nothing or more")
        self.capacity = capacity
    }

    public var count: Int { places.count }

    /// What is kept under `key`, which becomes the newest.
    @inlinable
    public mutating func value(for key: Key) -> Value? {
        guard let place = places[key] else { return nil }
        if place != newest {
            unlink(place)
            linkAsNewest(place)
        }
        return values[place]
    }

    /// Keeps a value in place of what was there, and drops the oldest until all fits. What is heavier than the whole cache is not kept.
    public mutating func insert(_ value: Value, for key: Key, weight: Int = 1) {
        precondition(weight >= 0, "nothing weighs less than nothing")
        if let place = places[key] { remove(place) }
        guard weight <= capacity else { return }
        while self.weight + weight > capacity { remove(oldest) }
        let place = free.popLast() ?? values.count
        if place == values.count {
            values.append(value)
            keys.append((key, weight))
            links.append(Link())
        } else {
            values[place] = value
            keys[place] = (key, weight)
        }
        places[key] = place
        self.weight += weight
        linkAsNewest(place)
    }

    public mutating func removeValue(for key: Key) {
        if let place = places[key] { remove(place) }
    }

    public mutating func removeAll() { self = BoundedCache(capacity: capacity) }

    private mutating func remove(_ place: Int) {
        guard let (key, weight) = keys[place] else { return }
        unlink(place)
        places[key] = nil
        self.weight -= weight
        values[place] = nil
        keys[place] = nil
        free.append(place)
    }

    @inlinable
    mutating func unlink(_ place: Int) {
        let link = links[place]
        if link.newer >= 0 { links[link.newer].older = link.older } else { newest = link.older }
        if link.older >= 0 { links[link.older].newer = link.newer } else { oldest = link.newer }
    }

    @inlinable
    mutating func linkAsNewest(_ place: Int) {
        links[place].newer = -1
        links[place].older = newest
        if newest >= 0 { links[newest].newer = place }
        newest = place
        if oldest < 0 { oldest = place }
    }
}
