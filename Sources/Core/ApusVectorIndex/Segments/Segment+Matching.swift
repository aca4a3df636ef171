extension Segment {
    /// What the indexes tell of a filter. Nothing is kept of it, and no payload is read.
    func bounds(of filter: Filter) -> RowBounds { outline(of: filter).bounds(of: count) }

    /// The rows that match, dead ones included; some of them once `stops` says so.
    func matching(_ filter: Filter, until stops: () -> Bool) -> RowSet {
        let known = filters[filter]
        if let rows = known?.rows { return rows }
        return decide(filter, known?.bounds ?? bounds(of: filter), until: stops).certain
    }

    /// What is known of the filter without reading many payloads. Where the indexes leave much open, the first rows of what they leave, which
    /// are in random order, are a sample.
    func estimate(_ filter: Filter) -> MatchCache.Known {
        if let known = filters[filter] { return known }
        let bounds = bounds(of: filter)
        let undecided = bounds.undecided
        if undecided.count <= Self.fewPayloads {
            let rows = decide(filter, bounds) { false }.certain
            return MatchCache.Known(share: Double(rows.count) / Double(max(1, count)), rows: rows)
        }
        let sample = undecided.prefix(Self.sampledPayloads)
        let found = sample.count { matches($0, filter) }
        let expected = Double(bounds.certain.count) + Double(undecided.count) * Double(found) / Double(sample.count)
        let known = MatchCache.Known(share: expected / Double(count), bounds: bounds)
        filters.keep(known, of: filter)
        return known
    }

    /// Whether a row matches, by what is known of the filter or else by its payload.
    func matches(_ row: Int, _ filter: Filter, _ known: MatchCache.Known) -> Bool {
        if let rows = known.rows { return rows.contains(row) }
        guard let bounds = known.bounds else { return matches(row, filter) }
        return bounds.certain.contains(row) || bounds.mayMatch(row) && matches(row, filter)
    }

    private static let sampledPayloads = 128
    private static let fewPayloads = 256

    /// Reads the payloads of the rows that the bounds leave open.
    private func decide(_ filter: Filter, _ bounds: RowBounds, until stops: () -> Bool) -> RowBounds {
        var rows = bounds.certain
        if !bounds.isExact { bounds.undecided.forEach { if !stops(), matches($0, filter) { rows.insert($0) } } }
        if stops() { return RowBounds(certain: rows) }
        filters.keep(.init(share: Double(rows.count) / Double(max(1, count)), rows: rows), of: filter)
        return RowBounds(certain: rows)
    }

    private func outline(of filter: Filter) -> FilterOutline {
        switch filter {
        case .all(let parts): return .all(parts.map(outline))
        case .any(let parts): return .any(parts.map(outline))
        case .not(let part): return .not(outline(of: part))
        case .atLeast(let count, let parts): return .atLeast(count, parts.map(outline))
        case .hasID(let wanted): return .lists(RowLists(loose: wanted.compactMap(ids.row(of:))))
        case .hasVector(let name):
            guard let number = fields.firstIndex(where: { $0.name == name }) else { return .nothing }
            return .lists(field(number).presence)
        default:
            guard let path = filter.path, let index = payloadIndexes[path.indexKey],
                !path.searchesArrays || !index.flags.contains(.passesArrays)
            else { return .unknown }
            return index.outline(of: filter)
        }
    }
}
