internal import ApusTypes

/// What a cache knows of its copies, and who may do what to them. Decides; `LocalCache` acts.
struct CacheState {
    /// A copy that was there when the process started.
    struct Found: Sendable {
        var key: ObjectKey
        var size: Int
        /// When it was fetched; what is known of its use.
        var modified: Duration
    }

    enum Decision {
        /// The copy is good: map it.
        case ready
        /// Somebody is at it: wait until the stream ends, then ask again.
        case wait(AsyncStream<Never>)
        /// The caller verifies the copy, then calls `land`.
        case check
        /// The caller fetches the object, then calls `land`.
        case fetch
    }

    private struct Entry {
        var size: Int
        var lastUse: UInt64
        /// Mappings that are held.
        var pins = 0
        /// Whether this process has verified it.
        var isTrusted: Bool
    }

    /// Bytes of all copies and of fetches under way.
    var used: Int
    private var entries: [ObjectKey: Entry] = [:]
    private var flights: [ObjectKey: [AsyncStream<Never>.Continuation]] = [:]
    private var clock: UInt64 = 0

    init(_ found: [Found]) {
        used = found.reduce(0) { $0 + $1.size }
        for copy in found.sorted(by: { $0.modified < $1.modified }) {
            clock += 1
            entries[copy.key] = Entry(size: copy.size, lastUse: clock, isTrusted: false)
        }
    }

    mutating func want(_ key: ObjectKey) -> Decision {
        if flights[key] != nil {
            let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
            flights[key]?.append(continuation)
            return .wait(stream)
        }
        if entries[key]?.isTrusted == true { return .ready }
        flights[key] = []
        return entries[key] == nil ? .fetch : .check
    }

    /// Ends what `want` let the caller do, whatever came of it; gives those who wait.
    mutating func land(_ key: ObjectKey) -> [AsyncStream<Never>.Continuation] { flights.removeValue(forKey: key) ?? [] }

    /// The copy is whole: `size` bytes on disk, of which `written` were counted while it was fetched.
    mutating func add(_ key: ObjectKey, size: Int, insteadOf written: Int) {
        clock += 1
        used += size - written
        entries[key] = Entry(size: size, lastUse: clock, isTrusted: true)
    }

    mutating func trust(_ key: ObjectKey) { entries[key]?.isTrusted = true }

    mutating func remove(_ key: ObjectKey) {
        if let entry = entries.removeValue(forKey: key) { used -= entry.size }
    }

    /// False if the copy is gone.
    mutating func pin(_ key: ObjectKey) -> Bool {
        clock += 1
        entries[key]?.pins += 1
        entries[key]?.lastUse = clock
        return entries[key] != nil
    }

    mutating func unpin(_ key: ObjectKey) {
        if let entry = entries[key], entry.pins > 0 { entries[key]?.pins -= 1 }
    }

    /// Counts `bytes` as used and gives the copies that must go for it; nil, and nothing changes, if too much is pinned.
    mutating func reserve(_ bytes: Int, within capacity: Int) -> [ObjectKey]? {
        var excess = used + bytes - capacity
        var victims: [ObjectKey] = []
        if excess > 0 {
            let candidates = entries.filter { $0.value.pins == 0 && flights[$0.key] == nil }
            for (key, entry) in candidates.sorted(by: { $0.value.lastUse < $1.value.lastUse }) where excess > 0 {
                victims.append(key)
                excess -= entry.size
            }
            guard excess <= 0 else { return nil }
            victims.forEach { remove($0) }
        }
        used += bytes
        return victims
    }
}
