internal import Synchronization

/// What is known of filters that a segment was asked for lately. A segment does not change, so a filter is evaluated once.
final class MatchCache: Sendable {
    struct Known: Sendable {
        /// About the share of rows that match.
        var share: Double
        /// Nil as long as it takes payloads to tell: then what the indexes tell.
        var rows: RowSet?
        var bounds: RowBounds?
    }

    private struct Entry {
        let filter: Filter
        let known: Known
        let bytes: Int
    }

    private let entries = Mutex<[Entry]>([])
    static let most = 32
    static let mostBytes = 8 << 20

    subscript(filter: Filter) -> Known? {
        entries.withLock { entries in
            guard let index = entries.lastIndex(where: { $0.filter == filter }) else { return nil }
            if index == entries.count - 1 { return entries[index].known }
            let entry = entries.remove(at: index)
            entries.append(entry)
            return entry.known
        }
    }

    /// The oldest go for it; what is too large by itself is not kept.
    func keep(_ known: Known, of filter: Filter) {
        let size = filter.size
        let bytes = size.bytes + 64 * size.conditions + (known.rows?.bytes ?? 0) + (known.bounds?.bytes ?? 0)
        entries.withLock { entries in
            if let index = entries.firstIndex(where: { $0.filter == filter }) { entries.remove(at: index) }
            guard bytes <= Self.mostBytes else { return }
            entries.append(Entry(filter: filter, known: known, bytes: bytes))
            var sum = entries.reduce(0) { $0 + $1.bytes }
            while entries.count > Self.most || sum > Self.mostBytes { sum -= entries.removeFirst().bytes }
        }
    }

    /// Of all that is kept, about.
    var bytes: Int { entries.withLock { $0.reduce(0) { $0 + $1.bytes } } }
}
