public import ApusTypes

extension Filter {
    /// Deepest nesting that `validate` lets pass.
    public static let deepest = 16
    /// Most conditions, counted over the whole tree: values of `oneOf` and `hasID`, words and corners of polygons count each.
    public static let mostConditions = 10_000
    /// Most bytes of text in all conditions together.
    public static let mostBytes = 1 << 20

    /// Throws `request.invalid` for a tree that is too deep or too large; everything that holds a filter calls it once.
    public func validate() throws(ApusError) {
        let size = size
        func refuse(_ summary: String) -> ApusError { ApusError(.requestInvalid, summary, context: ["field": "filter"]) }
        guard size.depth <= Self.deepest else {
            throw refuse("the filter is nested \(size.depth) deep; at most \(Self.deepest) are allowed")
        }
        guard size.conditions <= Self.mostConditions else {
            throw refuse("the filter has \(size.conditions) conditions; at most \(Self.mostConditions) are allowed")
        }
        guard size.bytes <= Self.mostBytes else {
            throw refuse("the filter has \(size.bytes) bytes of text; at most \(Self.mostBytes) are allowed")
        }
    }

    /// What a row that it is asked of is compared with, as `mostConditions` counts.
    public var conditions: Int { size.conditions }

    struct Size {
        var depth = 1
        var conditions = 0
        /// Of text.
        var bytes = 0

        mutating func add(_ count: Int, _ texts: some Sequence<Int>) {
            conditions += count
            bytes += texts.reduce(0, +)
        }
    }

    var size: Size {
        var size = Size()
        size.bytes = path?.description.utf8.count ?? 0
        switch self {
        case .all(let filters), .any(let filters), .atLeast(_, let filters):
            size.conditions = 1
            for part in filters.lazy.map(\.size) {
                size.depth = max(size.depth, part.depth + 1)
                size.add(part.conditions, CollectionOfOne(part.bytes))
            }
        case .not(let filter), .nested(_, let filter):
            size = filter.size
            size.depth += 1
            size.conditions += 1
            if case .nested(let path, _) = self { size.bytes += path.description.utf8.count }
        case .equals(_, let value): size.add(1, CollectionOfOne(value.bytes))
        case .oneOf(_, let values), .identical(_, let values), .different(_, let values): size.add(values.count, values.lazy.map(\.bytes))
        case .hasID(let ids): size.add(ids.count, ids.lazy.map(\.bytes))
        case .textRange(_, let range):
            let bounds = [range.greaterThan, range.atLeast, range.lessThan, range.atMost]
            size.add(1, bounds.lazy.compactMap { $0?.utf8.count })
        case .text(_, let match):
            let texts = match.texts
            size.add(max(1, texts.count), texts)
        case .place(_, .polygon(let ring, let holes)): size.conditions = holes.reduce(max(1, ring.count)) { $0 + $1.count }
        case .hasVector(let name): size.add(1, CollectionOfOne(name.utf8.count))
        case .range, .exists, .isNull, .hasNull, .isEmpty, .timeRange, .place, .valueCount: size.conditions = 1
        }
        return size
    }
}

extension Scalar {
    fileprivate var bytes: Int { if case .string(let string) = self { string.utf8.count } else { 0 } }
}

extension PointID {
    fileprivate var bytes: Int { if case .string(let string) = self { string.utf8.count } else { 0 } }
}

extension TextMatch {
    /// The length of each word, or of the whole.
    fileprivate var texts: [Int] {
        switch self {
        case .allWords(let words), .anyWord(let words), .phrase(let words): words.map(\.utf8.count)
        case .prefix(let text), .substring(let text): [text.utf8.count]
        }
    }
}
