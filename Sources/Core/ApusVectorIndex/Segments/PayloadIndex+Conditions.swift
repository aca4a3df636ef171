internal import ApusTypes
internal import Glibc

extension PayloadIndex {
    /// What the index says of a condition at its path.
    func outline(of condition: Filter) -> FilterOutline {
        switch condition {
        case .equals(_, let scalar): return .lists(lists(of: keys(equalTo: scalar)))
        case .oneOf(_, let scalars): return .lists(lists(of: keys(scalars, keys(equalTo:))))
        case .identical(_, let scalars): return .lists(lists(of: keys(scalars, keys(identicalTo:))))
        case .different(_, let scalars): return .lists(lists(of: keys(differentFrom: scalars)))
        case .range(_, let range):
            let lower = NumberRange(greaterThan: range.greaterThan, atLeast: range.atLeast)
            let upper = NumberRange(lessThan: range.lessThan, atMost: range.atMost)
            let keys = keysOfNumbers(from: lower.contains, to: { !upper.contains($0) })
            return .lists(RowLists(certain: [rows(ofKeys: keys.integers), rows(ofKeys: keys.numbers)]))
        case .textRange(_, let range): return .lists(lists(within: range))
        case .text(_, let match): return lists(of: match).map { .lists($0) } ?? .unknown
        case .timeRange(_, let range): return .lists(lists(ofStrings: strings(within: range)))
        case .place(_, let shape): return .lists(RowLists(loose: rows(in: shape)))
        case .valueCount(_, let range): return outline(ofCount: range)
        case .exists: return .lists(rows(of: .present))
        case .isNull: return .lists(rows(of: .nullValue))
        case .hasNull: return .lists(rows(of: .null))
        case .isEmpty: return .not(.lists(rows(of: .filled)))
        case .all, .any, .not, .atLeast, .nested, .hasID, .hasVector: return .unknown
        }
    }

    /// Of some, the value that a payload has is not told by the key alone.
    private struct Keys {
        var certain: [Range<Int>] = []
        var undecided: [Range<Int>] = []
    }

    private func lists(of keys: Keys) -> RowLists {
        RowLists(certain: keys.certain.map(rows(ofKeys:)), undecided: keys.undecided.map(rows(ofKeys:)))
    }

    private func keys(_ scalars: Set<Scalar>, _ keys: (Scalar) -> Keys) -> Keys {
        scalars.reduce(into: Keys()) { sum, scalar in
            let found = keys(scalar)
            sum.certain += found.certain
            sum.undecided += found.undecided
        }
    }

    /// As `Scalar.equals` has it.
    private func keys(equalTo scalar: Scalar) -> Keys {
        switch scalar {
        case .bool(let value): return Keys(certain: [key(of: value ? .isTrue : .isFalse)])
        case .string(let string): return Keys(certain: key(of: string).map { [$0..<$0 + 1] } ?? [])
        case .integer, .unsigned, .double:
            let number = scalar.number
            let keys = keysOfNumbers(from: { $0 >= number }, to: { $0 > number })
            // Beyond 2^53 integers that differ are the same double.
            if case .double = scalar { return Keys(certain: [keys.integers, keys.numbers]) }
            return abs(number) < Self.exactIntegers
                ? Keys(certain: [keys.integers, keys.numbers]) : Keys(undecided: [keys.integers, keys.numbers])
        }
    }

    /// As `Scalar.init(json:)` has it: no number with a fraction, and an unsigned one only where no signed one does.
    private func keys(identicalTo scalar: Scalar) -> Keys {
        switch scalar {
        case .bool, .string: return keys(equalTo: scalar)
        case .double: return Keys()
        case .integer, .unsigned:
            let number = scalar.number
            let keys = keysOfNumbers(from: { $0 >= number }, to: { $0 > number })
            guard abs(number) < Self.exactIntegers else { return Keys(undecided: [keys.numbers]) }
            if case .unsigned = scalar { return Keys() }
            return Keys(certain: [keys.integers])
        }
    }

    /// All values but null, without those that are identical with these.
    private func keys(differentFrom scalars: Set<Scalar>) -> Keys {
        let identical = keys(scalars, keys(identicalTo:))
        var found = Keys(undecided: identical.undecided)
        var next = 0
        let all = identical.certain + identical.undecided
        for range in all.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if next < range.lowerBound { found.certain.append(next..<range.lowerBound) }
            next = max(next, range.upperBound)
        }
        let end = key(of: .null).lowerBound
        if next < end { found.certain.append(next..<end) }
        return found
    }

    private func key(of string: ExactString) -> Int? {
        var text = string.text
        return text.withUTF8 { wanted in
            let wanted = UnsafeRawBufferPointer(wanted)
            let key = firstString { !$0.precedes(wanted) }
            return key < sizes.strings && self.string(key).elementsEqual(wanted) ? key : nil
        }
    }

    private func lists(within range: TextRange) -> RowLists {
        let lower = TextRange(greaterThan: range.greaterThan, atLeast: range.atLeast)
        let upper = TextRange(lessThan: range.lessThan, atMost: range.atMost)
        let start = firstString { lower.contains(Array($0)) }
        let end = max(start, firstString { !upper.contains(Array($0)) })
        return RowLists(certain: [rows(ofKeys: start..<end)])
    }

    private func lists(ofStrings keys: some Sequence<Int>) -> RowLists { RowLists(certain: keys.map { rows(ofKeys: $0..<$0 + 1) }) }

    /// Nil where there are many different strings, whose words are not indexed: reading the payloads of a few rows is quicker.
    private func lists(of match: TextMatch) -> RowLists? {
        func each(_ words: [String]) -> [[Int]]? {
            var found: [[Int]] = []
            for word in words {
                guard let strings = strings(with: word) else { return nil }
                found.append(strings)
            }
            return found
        }
        func withAll(_ found: [[Int]]) -> Set<Int> {
            let sorted = found.sorted { $0.count < $1.count }
            return sorted.dropFirst().reduce(Set(sorted.first ?? [])) { $0.intersection($1) }
        }
        switch match {
        case .prefix(let prefix):
            let bytes = Array(prefix.utf8)
            let start = bytes.withUnsafeBytes { wanted in firstString { !$0.precedes(wanted) } }
            let end = firstString { text in
                bytes.withUnsafeBytes { wanted in !text.precedes(wanted) && !text.starts(with: wanted) }
            }
            return RowLists(certain: [rows(ofKeys: start..<max(start, end))])
        case .anyWord(let words): if let found = each(words) { return lists(ofStrings: Set(found.joined())) }
        case .allWords(let words): if let found = each(words) { return lists(ofStrings: withAll(found)) }
        case .phrase(let words):
            if let found = each(words) { return lists(ofStrings: withAll(found).filter { match.matches(string($0)) }) }
        case .substring: break
        }
        guard sizes.strings <= Self.mostStringsRead else { return nil }
        return lists(ofStrings: (0..<sizes.strings).filter { match.matches(string($0)) })
    }

    /// Arrays are counted in the payload.
    private func outline(ofCount range: CountRange) -> FilterOutline {
        let several = FilterOutline.all([.any([.lists(rows(of: .array)), .lists(rows(of: .nullValue))]), .unknown])
        var parts = [several]
        if range.contains(0) { parts += [.not(.lists(rows(of: .present))), .lists(rows(of: .nullValue))] }
        if range.contains(1) {
            parts.append(
                .all([.lists(rows(of: .present)), .not(.lists(rows(of: .nullValue))), .not(.lists(rows(of: .array)))]))
        }
        return .any(parts)
    }

    private static let exactIntegers = 0x1p53
    private static let mostStringsRead = 4096
}

extension Scalar {
    /// Not a number for what is none.
    fileprivate var number: Double {
        switch self {
        case .integer(let integer): Double(integer)
        case .unsigned(let integer): Double(integer)
        case .double(let double): double
        case .bool, .string: .nan
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Below 0 if it comes first in the order of the bytes, a beginning before the whole; 0 if both are the same.
    func order(to other: UnsafeRawBufferPointer) -> Int {
        let common = Swift.min(count, other.count)
        if common > 0, let left = baseAddress, let right = other.baseAddress, case let order = memcmp(left, right, common), order != 0 {
            return Int(order)
        }
        return count - other.count
    }

    func precedes(_ other: UnsafeRawBufferPointer) -> Bool { order(to: other) < 0 }
}
