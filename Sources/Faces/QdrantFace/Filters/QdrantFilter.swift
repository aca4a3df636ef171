internal import ApusTypes
internal import ApusVectorIndex

/// A filter by its clauses. Filters of stages are merged clause by clause, so they stay apart until then.
struct QdrantFilter: Sendable {
    var must: [Filter] = []
    var should: [Filter] = []
    var mustNot: [Filter] = []
    var minShould: (count: Int, conditions: [Filter])?

    static let everything = QdrantFilter()
    private static let clauses: Set<String> = ["must", "should", "must_not", "min_should"]

    init() {}

    /// Throws 400 for what is no filter, 422 for values out of bounds.
    init(_ element: JSONElement, depth: Int = 1) throws(ApusError) {
        guard depth <= Filter.deepest else { throw .format(element.path, "the filter is nested too deep") }
        try element.requireOnly(Self.clauses)
        must = try Self.conditions(element.member("must"), depth)
        should = try Self.conditions(element.member("should"), depth)
        mustNot = try Self.conditions(element.member("must_not"), depth)
        if let least = element.member("min_should") {
            try least.requireOnly(["conditions", "min_count"])
            minShould = (
                try least.required("min_count").expectCount(atLeast: 1), try Self.conditions(try least.required("conditions"), depth)
            )
        }
    }

    /// As the engine evaluates it. A clause without conditions asks nothing.
    var filter: Filter {
        var filters = must + mustNot.map { .not($0) }
        if !should.isEmpty { filters.append(.any(should)) }
        if let minShould { filters.append(.atLeast(minShould.count, minShould.conditions)) }
        return filters.count == 1 ? filters[0] : .all(filters)
    }

    /// Both, clause by clause: alternatives of both become alternatives of each other, as the real server has it.
    func merged(with inner: QdrantFilter) -> QdrantFilter {
        var merged = QdrantFilter()
        merged.must = must + inner.must
        merged.should = should + inner.should
        merged.mustNot = mustNot + inner.mustNot
        merged.minShould =
            if let minShould, let other = inner.minShould {
                (max(minShould.count, other.count), minShould.conditions + other.conditions)
            } else {
                minShould ?? inner.minShould
            }
        return merged
    }

    /// Without the points of the ids.
    func excluding(_ ids: Set<PointID>) -> QdrantFilter {
        var filter = self
        filter.mustNot.append(.hasID(ids))
        return filter
    }

    /// A condition, or several: a list of them.
    private static func conditions(_ element: JSONElement?, _ depth: Int) throws(ApusError) -> [Filter] {
        var conditions: [Filter] = []
        for element in element?.oneOrMany() ?? [] { conditions.append(try condition(element, depth)) }
        return conditions
    }

    private static func condition(_ element: JSONElement, _ depth: Int) throws(ApusError) -> Filter {
        guard element.kind == .object else { throw element.mismatch("a condition") }
        if element.member("key") != nil { return try FieldCondition.filter(element) }
        if let part = element.member("is_empty") {
            try element.requireOnly(["is_empty"])
            return .isEmpty(try part.required("key").expectPath())
        }
        if let part = element.member("is_null") {
            try element.requireOnly(["is_null"])
            return .hasNull(try part.required("key").expectPath())
        }
        if let ids = element.member("has_id") {
            try element.requireOnly(["has_id"])
            return .hasID(Set(try ids.expectPointIDs()))
        }
        if let name = element.member("has_vector") {
            try element.requireOnly(["has_vector"])
            return .hasVector(try name.expectString())
        }
        if let nested = element.member("nested") {
            try element.requireOnly(["nested"])
            try nested.requireOnly(["key", "filter"])
            let path = try nested.required("key").expectPath()
            return .nested(path, try QdrantFilter(try nested.required("filter"), depth: depth + 1).filter)
        }
        return try QdrantFilter(element, depth: depth + 1).filter
    }
}

/// `{"key": …, "match": …}` and its relatives.
private enum FieldCondition {
    private static let names: Set<String> = [
        "key", "match", "range", "geo_bounding_box", "geo_radius", "geo_polygon", "values_count", "is_empty", "is_null",
    ]

    static func filter(_ element: JSONElement) throws(ApusError) -> Filter {
        try element.requireOnly(names)
        let path = try element.required("key").expectPath()
        var filters: [Filter] = []
        if let match = element.member("match") { filters.append(try self.match(path, match)) }
        if let range = element.member("range") { filters.append(try self.range(path, range)) }
        if let box = element.member("geo_bounding_box") {
            try box.requireOnly(["top_left", "bottom_right"])
            filters.append(.place(path, .box(topLeft: try place(box, "top_left"), bottomRight: try place(box, "bottom_right"))))
        }
        if let circle = element.member("geo_radius") {
            try circle.requireOnly(["center", "radius"])
            let radius = try circle.required("radius").expectNumber()
            guard radius >= 0 else { throw .validation(circle.path + ".radius", "value \(radius) invalid, must be 0.0 or larger") }
            filters.append(.place(path, .circle(try place(circle, "center"), radius: radius)))
        }
        if let polygon = element.member("geo_polygon") {
            try polygon.requireOnly(["exterior", "interiors"])
            var holes: [[GeoPoint]] = []
            for hole in polygon.member("interiors")?.oneOrMany() ?? [] { holes.append(try ring(hole)) }
            filters.append(.place(path, .polygon(try ring(try polygon.required("exterior")), holes: holes)))
        }
        if let count = element.member("values_count") {
            try count.requireOnly(["lt", "gt", "gte", "lte"])
            filters.append(
                .valueCount(
                    path,
                    CountRange(
                        greaterThan: try count.member("gt")?.expectCount(), atLeast: try count.member("gte")?.expectCount(),
                        lessThan: try count.member("lt")?.expectCount(), atMost: try count.member("lte")?.expectCount())))
        }
        if let isEmpty = element.member("is_empty") {
            filters.append(try isEmpty.expectBool() ? .isEmpty(path) : .not(.isEmpty(path)))
        }
        if let isNull = element.member("is_null") { filters.append(try isNull.expectBool() ? .hasNull(path) : .not(.hasNull(path))) }
        guard !filters.isEmpty else { throw .validation(element.path, "At least one field condition must be specified") }
        return filters.count == 1 ? filters[0] : .all(filters)
    }

    private static func match(_ path: PayloadPath, _ match: JSONElement) throws(ApusError) -> Filter {
        guard let members = match.members else { throw match.mismatch("a match") }
        let said = members.filter { !$0.value.isNull }
        guard said.count == 1, let (kind, value) = said.first else { throw .format(match.path, "expected exactly one kind of match") }
        switch kind {
        case "value": return .identical(path, [try scalar(value)])
        case "any": return .identical(path, try scalars(value))
        case "except": return .different(path, try scalars(value))
        case "text": return .text(path, .allWords(TextMatch.words(of: try value.expectString())))
        case "text_any": return .text(path, .anyWord(TextMatch.words(of: try value.expectString())))
        case "phrase": return .text(path, .phrase(TextMatch.words(of: try value.expectString())))
        case "prefix": return .text(path, .prefix(ExactString(try value.expectString())))
        case "substring": return .text(path, .substring(ExactString(try value.expectString())))
        default: throw .format(value.path, "unknown match `\(kind)`")
        }
    }

    private static func scalar(_ element: JSONElement) throws(ApusError) -> Scalar {
        switch element.value {
        case .bool(let value): return .bool(value)
        case .integer(let value): return .integer(value)
        case .unsigned(let value): return .unsigned(value)
        case .string(let value): return .string(ExactString(value))
        default: throw element.mismatch("a boolean, an integer or a string")
        }
    }

    /// Strings or integers, not both.
    private static func scalars(_ element: JSONElement) throws(ApusError) -> Set<Scalar> {
        var values: Set<Scalar> = []
        var kinds: Set<Bool> = []
        for element in try element.expectElements() {
            let value = try scalar(element)
            if case .bool = value { throw element.mismatch("a string or an integer") }
            kinds.insert(element.string != nil)
            values.insert(value)
        }
        guard kinds.count <= 1 else { throw .format(element.path, "strings and integers cannot be mixed") }
        return values
    }

    private static func range(_ path: PayloadPath, _ range: JSONElement) throws(ApusError) -> Filter {
        try range.requireOnly(["lt", "gt", "gte", "lte"])
        let isTime = ["lt", "gt", "gte", "lte"].contains { range.member($0)?.string != nil }
        if isTime {
            func time(_ name: String) throws(ApusError) -> PayloadTime? {
                guard let element = range.member(name) else { return nil }
                guard let time = PayloadTime(try element.expectString().utf8) else {
                    throw .format(element.path, "'\(element.string ?? "")' is not in a supported date/time format, please use RFC 3339")
                }
                return time
            }
            return .timeRange(
                path, TimeRange(after: try time("gt"), atLeast: try time("gte"), before: try time("lt"), atMost: try time("lte")))
        }
        func number(_ name: String) throws(ApusError) -> Double? { try range.member(name)?.expectNumber() }
        return .range(
            path,
            NumberRange(greaterThan: try number("gt"), atLeast: try number("gte"), lessThan: try number("lt"), atMost: try number("lte")))
    }

    private static func place(_ element: JSONElement, _ name: String) throws(ApusError) -> GeoPoint {
        try place(try element.required(name))
    }

    private static func place(_ element: JSONElement) throws(ApusError) -> GeoPoint {
        let point = GeoPoint(
            latitude: try element.required("lat").expectNumber(), longitude: try element.required("lon").expectNumber())
        guard abs(point.latitude) <= 90, abs(point.longitude) <= 180 else {
            throw .format(
                element.path,
                "Wrong format of GeoPoint payload: expected `lat` = \(point.latitude) within [-90;90] and `lon` = \(point.longitude) "
                    + "within [-180;180]")
        }
        return point
    }

    private static func ring(_ element: JSONElement) throws(ApusError) -> [GeoPoint] {
        try element.requireOnly(["points"])
        var points: [GeoPoint] = []
        for point in try element.required("points").expectElements() { points.append(try place(point)) }
        guard points.count >= 4 else {
            throw .validation(element.path, "polygon invalid, the size must be at least 4, got \(points.count)")
        }
        guard points.first == points.last else {
            throw .validation(element.path, "polygon invalid, the first and the last points should be the same to form a closed line")
        }
        return points
    }
}

extension Optional where Wrapped == JSONElement {
    /// A filter, or everything where there is none.
    func filter() throws(ApusError) -> QdrantFilter { try map { element throws(ApusError) in try QdrantFilter(element) } ?? .everything }
}
