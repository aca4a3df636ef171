public import ApusTypes
public import ApusVectorIndex

extension VectorizerFace {
    /// Reads a filter. Three dialects are understood, and may be mixed:
    ///
    /// - fields with what they must be: `{"year": 2020, "tags": ["a", "b"], "size": {"gte": 1, "lt": 5}}` (all of them; an array means any of it);
    /// - clauses: `{"must": […], "should": […], "must_not": […], "min_should": {"conditions": […], "min_count": 2}}` over conditions
    ///   `{"key", "match": {"value" | "any" | "except"}}`, `{"key", "range": {"gt", "gte", "lt", "lte"}}`, `{"is_null": {"key"}}`,
    ///   `{"is_empty": {"key"}}`, `{"has_id": […]}`, or filters again;
    /// - the real server's own conditions: `{"type": "match", "key", "match_value"}` and `{"type": "range", "key", "range"}`.
    ///
    /// What would widen a filter without a word is an error that names its place: an unknown condition, an empty one inside a clause, members
    /// beside a condition's own. A payload field that is called like a clause or a condition (`key`, `has_id`, …) is reached by a condition
    /// with `key`. Members that are null count as absent: clients send all of their models' fields.
    public static func filter(_ element: JSONElement) throws(ApusError) -> Filter {
        let filter = try element.isNull ? Filter.everything : group(element, depth: 0)
        try filter.validate()
        return filter
    }

    /// An object with one of these is a condition, never a field of the payload.
    private static let conditions = ["key", "has_id", "is_null", "is_empty", "has_vector", "nested"]

    private static func group(_ element: JSONElement, depth: Int) throws(ApusError) -> Filter {
        guard depth < Filter.deepest else { throw .invalid(element.path, "filters are nested more than \(Filter.deepest) deep") }
        guard let members = element.members else { throw .invalid(element.path, "it is not an object") }
        if conditions.contains(where: { element[$0] != nil }) { return try condition(element) }
        var filters: [Filter] = []
        for (key, value) in members {
            switch key {
            case "must": filters += try list(value, depth: depth)
            case "should":
                let alternatives = try list(value, depth: depth)
                if !alternatives.isEmpty { filters.append(.any(alternatives)) }
            case "must_not":
                for filter in try list(value, depth: depth) { filters.append(.not(filter)) }
            case "min_should":
                let count = try value.required("min_count").expectCount(1...Filter.mostConditions)
                let alternatives = try list(try value.required("conditions"), depth: depth)
                guard said(value) == ["min_count", "conditions"], !alternatives.isEmpty else {
                    throw .invalid(value.path, "it must have min_count and conditions, and nothing else")
                }
                filters.append(.atLeast(count, alternatives))
            default: filters.append(try field(PayloadPath(key), value))
            }
        }
        // Outermost, nothing asked is everything; inside a clause it is a mistake that would undo what the others ask.
        guard depth == 0 || !filters.isEmpty else { throw .invalid(element.path, "it has no condition") }
        return filters.count == 1 ? filters[0] : .all(filters)
    }

    /// A list of filters; a single one may stand without brackets.
    private static func list(_ element: JSONElement, depth: Int) throws(ApusError) -> [Filter] {
        if element.isNull { return [] }
        guard let elements = element.elements else { return [try group(element, depth: depth + 1)] }
        var filters: [Filter] = []
        for element in elements { filters.append(try group(element, depth: depth + 1)) }
        return filters
    }

    /// The members that are there and not null.
    private static func said(_ element: JSONElement) -> Set<String> {
        Set(element.members?.lazy.filter { !$0.value.isNull }.map(\.key) ?? [])
    }

    /// One condition of the second or third dialect.
    private static func condition(_ element: JSONElement) throws(ApusError) -> Filter {
        func path() throws(ApusError) -> PayloadPath { PayloadPath(try element.required("key").expectString()) }
        let type = element.first("type")?.string
        switch said(element) {
        case ["has_id"]: return .hasID(try pointIDs(try element.required("has_id")))
        case ["is_null"]: return .isNull(try key(in: try element.required("is_null")))
        case ["is_empty"]: return .isEmpty(try key(in: try element.required("is_empty")))
        case ["key", "match"]: return try match(try path(), try element.required("match"))
        case ["key", "range"]: return try range(try path(), try element.required("range"))
        case ["type", "key", "range"] where type == "range": return try range(try path(), try element.required("range"))
        case ["key", "match_value"]: return .equals(try path(), try scalar(try element.required("match_value")))
        case ["type", "key", "match_value"] where type == "match":
            return .equals(try path(), try scalar(try element.required("match_value")))
        case let said:
            let known: Set = ["key", "match", "range", "type", "match_value", "has_id", "is_null", "is_empty"]
            let unknown = said.subtracting(known).min()
            throw .invalid((unknown.flatMap { element[$0] } ?? element).path, "this condition is not known")
        }
    }

    private static func key(in element: JSONElement) throws(ApusError) -> PayloadPath {
        let key = try element.required("key").expectString()
        guard said(element) == ["key"] else { throw .invalid(element.path, "it must have key, and nothing else") }
        return PayloadPath(key)
    }

    private static func match(_ path: PayloadPath, _ match: JSONElement) throws(ApusError) -> Filter {
        switch said(match) {
        case ["value"]: .equals(path, try scalar(try match.required("value")))
        case ["any"]: .oneOf(path, try scalars(try match.required("any")))
        case ["except"]: .not(.oneOf(path, try scalars(try match.required("except"))))
        default: throw .invalid(match.path, "it must have one of value, any and except, and nothing else")
        }
    }

    /// One field of the first dialect.
    private static func field(_ path: PayloadPath, _ value: JSONElement) throws(ApusError) -> Filter {
        switch value.kind {
        case .null: .isNull(path)
        case .array: .oneOf(path, try scalars(value))
        case .object: try range(path, value)
        default: .equals(path, try scalar(value))
        }
    }

    private static func range(_ path: PayloadPath, _ bounds: JSONElement) throws(ApusError) -> Filter {
        var numbers = NumberRange()
        var texts = TextRange()
        var kinds: Set<Bool> = []
        // Bounds that are all null would let every number pass.
        guard let members = bounds.members, !said(bounds).isEmpty else { throw .invalid(bounds.path, "it has none of gt, gte, lt and lte") }
        for (key, bound) in members where !bound.isNull {
            kinds.insert(bound.string != nil)
            let number = bound.string == nil ? try bound.expectNumber() : nil
            switch key {
            case "gt": (numbers.greaterThan, texts.greaterThan) = (number, bound.string)
            case "gte": (numbers.atLeast, texts.atLeast) = (number, bound.string)
            case "lt": (numbers.lessThan, texts.lessThan) = (number, bound.string)
            case "lte": (numbers.atMost, texts.atMost) = (number, bound.string)
            default: throw .invalid(bound.path, "this condition is not known; gt, gte, lt and lte are")
            }
        }
        guard kinds.count <= 1 else { throw .invalid(bounds.path, "its bounds are numbers and strings at once") }
        return kinds.contains(true) ? .textRange(path, texts) : .range(path, numbers)
    }

    private static func scalar(_ element: JSONElement) throws(ApusError) -> Scalar {
        switch element.value {
        case .bool(let value): return .bool(value)
        case .integer(let value): return .integer(value)
        case .unsigned(let value): return .unsigned(value)
        case .double(let value): return .double(value)
        case .string(let value): return .string(ExactString(value))
        default: throw .invalid(element.path, "it is not a string, number or boolean")
        }
    }

    private static func scalars(_ element: JSONElement) throws(ApusError) -> Set<Scalar> {
        var values: Set<Scalar> = []
        for element in try element.expectElements(atMost: Filter.mostConditions) { values.insert(try scalar(element)) }
        return values
    }

    private static func pointIDs(_ element: JSONElement) throws(ApusError) -> Set<PointID> {
        var ids: Set<PointID> = []
        for element in try element.expectElements(atMost: Filter.mostConditions) { ids.insert(try element.expectPointID()) }
        return ids
    }
}
