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
    /// An unknown condition is an error that names its place, never a condition that is left out. A payload field that is called like a
    /// clause is reached by a condition with `key`.
    public static func filter(_ element: JSONElement) throws(ApusError) -> Filter {
        let filter = try element.isNull ? Filter.everything : group(element, depth: 0)
        try filter.validate()
        return filter
    }

    private static let clauses: Set = ["must", "should", "must_not", "min_should"]

    private static func group(_ element: JSONElement, depth: Int) throws(ApusError) -> Filter {
        guard depth < Filter.deepest else { throw .invalid(element.path, "filters are nested more than \(Filter.deepest) deep") }
        guard let members = element.members else { throw .invalid(element.path, "it is not an object") }
        if let condition = try condition(element) { return condition }
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
                let count = try value.required("min_count").expectCount(0...Filter.mostConditions)
                filters.append(.atLeast(count, try list(try value.required("conditions"), depth: depth)))
            default: filters.append(try field(PayloadPath(key), value))
            }
        }
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

    /// One condition of the second or third dialect; nil when `element` is none.
    private static func condition(_ element: JSONElement) throws(ApusError) -> Filter? {
        if let ids = element["has_id"], ids.elements != nil { return .hasID(try pointIDs(ids)) }
        for (name, make) in [("is_null", Filter.isNull), ("is_empty", Filter.isEmpty)] {
            if let key = element[name]?["key"] { return make(PayloadPath(try key.expectString())) }
        }
        guard let key = element["key"], key.string != nil else { return nil }
        let path = PayloadPath(try key.expectString())
        if let value = element["match_value"] { return .equals(path, try scalar(value)) }
        if let match = element["match"], match.kind == .object {
            if let value = match["value"] { return .equals(path, try scalar(value)) }
            if let values = match["any"] { return .oneOf(path, try scalars(values)) }
            if let values = match["except"] { return .not(.oneOf(path, try scalars(values))) }
            throw .invalid(match.path, "it has none of value, any and except")
        }
        if let bounds = element["range"], bounds.kind == .object { return try range(path, bounds) }
        guard element["type"] == nil, element["match"] == nil, element["range"] == nil else {
            throw .invalid(element.path, "this condition is not known")
        }
        return nil  // a payload may have a field that is called key
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
        guard let members = bounds.members, bounds.count > 0 else { throw .invalid(bounds.path, "it has none of gt, gte, lt and lte") }
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
        case .string(let value): return .string(value)
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
