extension Segment {
    /// The rows with a value of the kind at the path, dead ones included. Payloads are read where there is no index of the path.
    func rows(with kind: PayloadKind, at path: PayloadPath) -> RowSet {
        let bounds = bounds(of: kind, at: path)
        var rows = bounds.certain
        bounds.undecided.forEach { row in
            if path.hasValue(of: kind, in: Array(payload(row))) { rows.insert(row) }
        }
        return rows
    }

    private func bounds(of kind: PayloadKind, at path: PayloadPath) -> RowBounds {
        if let condition = kind.condition(at: path) { return bounds(of: condition) }
        guard let index = payloadIndexes[path.indexKey], !path.searchesArrays || !index.flags.contains(.passesArrays) else {
            return .unknown(rows: count)
        }
        return FilterOutline.lists(kind == .uuid ? index.identifiers : index.wholeNumbers).bounds(of: count)
    }
}

extension PayloadIndex {
    /// Rows with a string that is a UUID.
    fileprivate var identifiers: RowLists {
        let keys = (0..<sizes.strings).filter { PointID(uuid: String(decoding: string($0), as: UTF8.self)) != nil }
        return RowLists(certain: keys.map { rows(ofKeys: $0..<$0 + 1) })
    }

    /// Rows with an integer. Beyond 2^53 the keys do not tell them from other numbers.
    fileprivate var wholeNumbers: RowLists {
        let all = keysOfNumbers(from: { _ in true }, to: { _ in false })
        let low = keysOfNumbers(from: { _ in true }, to: { $0 > -0x1p53 }).numbers
        let high = keysOfNumbers(from: { $0 >= 0x1p53 }, to: { _ in false }).numbers
        return RowLists(certain: [rows(ofKeys: all.integers)], undecided: [rows(ofKeys: low), rows(ofKeys: high)])
    }
}

extension PointSnapshot {
    /// How many points have a value of the kind at the path. Of segments it is counted again only where points have died since.
    public func count(with kind: PayloadKind, at path: PayloadPath) -> Int {
        var count = sealed.reduce(0) { $0 + $1.count(with: kind, at: path) }
        forEachMemoryRow { row in
            if let payload = payload(row), path.hasValue(of: kind, in: payload) { count += 1 }
        }
        return count
    }
}
