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

    private let entries = Mutex<[(filter: Filter, known: Known)]>([])
    private static let most = 32

    subscript(filter: Filter) -> Known? {
        entries.withLock { entries in
            guard let index = entries.lastIndex(where: { $0.filter == filter }) else { return nil }
            if index == entries.count - 1 { return entries[index].known }
            let entry = entries.remove(at: index)
            entries.append(entry)
            return entry.known
        }
    }

    func keep(_ known: Known, of filter: Filter) {
        entries.withLock { entries in
            if let index = entries.firstIndex(where: { $0.filter == filter }) { entries.remove(at: index) }
            if entries.count >= Self.most { entries.removeFirst() }
            entries.append((filter, known))
        }
    }
}
