internal import Synchronization

/// What is known of filters that a segment was asked for lately. A segment does not change, so a filter is evaluated once.
final class MatchCache: Sendable {
    struct Known: Sendable {
        /// About the share of rows that match.
        var share: Double
        var rows: RowSet?
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

extension Segment {
    /// The rows that match, dead ones included.
    func matching(_ filter: Filter) -> RowSet {
        if let rows = filters[filter]?.rows { return rows }
        var rows = RowSet(rows: count)
        if case .hasID(let wanted) = filter {
            for id in wanted { if let row = ids.row(of: id) { rows.insert(Int(row)) } }
        } else {
            for row in 0..<count where matches(row, filter) { rows.insert(row) }
        }
        filters.keep(.init(share: Double(rows.count) / Double(max(1, count)), rows: rows), of: filter)
        return rows
    }

    /// What is known of the filter without evaluating it on all rows: the first ones, in random order, are a sample.
    func estimate(_ filter: Filter) -> MatchCache.Known {
        if let known = filters[filter] { return known }
        let sample = min(count, 128)
        let found = (0..<sample).reduce(0) { $0 + (matches($1, filter) ? 1 : 0) }
        let known = MatchCache.Known(share: Double(found) / Double(max(1, sample)), rows: nil)
        filters.keep(known, of: filter)
        return known
    }
}
