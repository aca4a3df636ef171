/// A filter as the indexes of a segment understand it: its conditions are lists of rows, or unknown.
indirect enum FilterOutline {
    case lists(RowLists)
    case all([FilterOutline])
    case any([FilterOutline])
    case not(FilterOutline)
    case atLeast(Int, [FilterOutline])
    case unknown

    static var nothing: FilterOutline { .any([]) }

    /// No more match than this; known without looking at the lists.
    func most(of rows: Int) -> Int {
        switch self {
        case .lists(let lists): lists.isComplement ? rows - (lists.undecided.isEmpty ? min(rows, lists.count) : 0) : min(rows, lists.count)
        case .all(let parts): parts.reduce(rows) { min($0, $1.most(of: rows)) }
        case .any(let parts): parts.reduce(0) { min(rows, $0 + $1.most(of: rows)) }
        case .not, .atLeast, .unknown: rows
        }
    }

    func bounds(of rows: Int) -> RowBounds {
        switch self {
        case .unknown: return .unknown(rows: rows)
        case .not(let part): return part.bounds(of: rows).complement
        case .lists(let lists):
            var bounds = RowBounds.nothing(rows: rows)
            bounds.insert(lists)
            return lists.isComplement ? bounds.complement : bounds
        case .any(let parts):
            var union = RowBounds.nothing(rows: rows)
            for part in parts {
                if case .lists(let lists) = part, !lists.isComplement {
                    union.insert(lists)
                } else {
                    union.formUnion(part.bounds(of: rows))
                }
            }
            return union
        case .all(let parts):
            var common = RowBounds.everything(rows: rows)
            // The fewest first. Reading the payloads of few rows is quicker than a long list.
            for (part, most) in parts.map({ ($0, $0.most(of: rows)) }).sorted(by: { $0.1 < $1.1 }) {
                let isLong = most / Self.entriesPerPayload > common.possible.count
                common.formIntersection(isLong ? .unknown(rows: rows) : part.bounds(of: rows))
            }
            return common
        case .atLeast(let count, let parts):
            if count <= 0 { return .everything(rows: rows) }
            var certain = [UInt16](repeating: 0, count: rows)
            var possible = certain
            for part in parts {
                let bounds = part.bounds(of: rows)
                bounds.certain.forEach { certain[$0] += 1 }
                bounds.possible.forEach { possible[$0] += 1 }
            }
            func set(_ counts: [UInt16]) -> RowSet {
                var set = RowSet(rows: rows)
                for (row, found) in counts.enumerated() where found >= count { set.insert(row) }
                return set
            }
            return RowBounds(certain: set(certain), possible: set(possible))
        }
    }

    /// About how many entries of a list are read while a condition is evaluated on one payload.
    private static let entriesPerPayload = 512
}
