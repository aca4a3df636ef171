/// The scalars of the dialect: what a column, an argument or a field of a struct can be.
public enum ScalarType: String, Sendable, Hashable, CaseIterable {
    case int = "Int"
    case bigInt = "BigInt"
    case float = "Float"
    case string = "String"
    case boolean = "Boolean"
    case date = "Date"
    case time = "Time"
    /// A date and a time without a zone.
    case dateTime = "DateTime"
    /// An instant, told with a zone.
    case timestamp = "Timestamp"
    case interval = "Interval"
    case json = "JSON"
    case geometry = "Geometry"
    case intRange = "IntRange"
    case bigIntRange = "BigIntRange"
    case timestampRange = "TimestampRange"
    case vector = "Vector"
    case h3Cell = "H3Cell"

    public var name: String { rawValue }

    /// What GraphQL defines itself.
    var isSpecified: Bool { [.int, .float, .string, .boolean].contains(self) }
}

/// What a filter of a scalar can ask.
public enum FilterOperator: String, Sendable, Hashable {
    case eq, ne, gt, gte, lt, lte, `in`, like, ilike, regex, has, contains, intersects, includes, excludes, upper, lower
    case hasAll = "has_all"
    case isNull = "is_null"
    case upperInclusive = "upper_inclusive"
    case lowerInclusive = "lower_inclusive"
    case upperInfinite = "upper_inf"
    case lowerInfinite = "lower_inf"
}

/// An aggregate function of a scalar.
public enum AggregateFunction: String, Sendable, Hashable {
    case count, sum, avg, min, max, list, any, last, intersection, union, extent
    case stringAggregate = "string_agg"
    case and = "bool_and"
    case or = "bool_or"
}

// MARK: - Filters

extension ScalarType {
    /// The operators of the scalar's filter with the types of their values; none: it cannot be filtered by.
    var operators: [(operator: FilterOperator, type: String)] {
        func ordered(_ others: [FilterOperator] = []) -> [(FilterOperator, String)] {
            ([.eq] + others + [.gt, .gte, .lt, .lte]).map { ($0, name) }
        }
        func range(_ bound: ScalarType, _ others: [FilterOperator]) -> [(FilterOperator, String)] {
            [(.eq, name), (.contains, bound.name)] + ([.intersects, .includes] + others).map { ($0, name) } + [
                isNull, (.upper, bound.name), (.lower, bound.name), (.upperInclusive, "Boolean"), (.lowerInclusive, "Boolean"),
                (.upperInfinite, "Boolean"), (.lowerInfinite, "Boolean"),
            ]
        }
        let isNull = (FilterOperator.isNull, "Boolean")
        let among = (FilterOperator.in, "[\(name)!]")
        return switch self {
        case .int, .bigInt, .date, .time: ordered() + [among, isNull]
        case .float: ordered([.ne]) + [among, isNull]
        case .dateTime, .timestamp, .interval: ordered() + [isNull]
        case .string: [(.eq, name), among, (.like, name), (.ilike, name), (.regex, name), isNull]
        case .boolean: [(.eq, name), isNull]
        case .json: [(.eq, name), (.has, "String"), (.hasAll, "[String!]"), (.contains, name), isNull]
        case .geometry: [(.eq, name), (.intersects, name), (.contains, name), isNull]
        case .intRange: range(.int, [])
        case .bigIntRange: range(.bigInt, [.excludes])
        case .timestampRange: range(.timestamp, [.excludes])
        case .vector: [isNull]
        case .h3Cell: []
        }
    }

    /// Whether lists of it have a filter of their own.
    var hasListFilter: Bool { [.int, .bigInt, .float, .string, .date, .time, .dateTime, .timestamp, .interval].contains(self) }

    /// The filter of a column; nil when there is none.
    func filterType(isList: Bool) -> String? {
        if operators.isEmpty { return nil }
        return isList && hasListFilter ? "\(name)ListFilter" : "\(name)Filter"
    }
}

// MARK: - Aggregates

/// An aggregate function as a field of a type: its arguments, the type of its value, and of what is aggregated once more.
struct AggregateField {
    var function: AggregateFunction
    var arguments = ""
    var type: String
    /// The aggregation of the function's values over groups; nil where they are not aggregated again.
    var again: String?
}

extension ScalarType {
    /// Empty for what cannot be aggregated.
    var aggregates: [AggregateField] {
        let count = AggregateField(function: .count, type: "BigInt", again: "BigIntAggregation")
        let picks = [
            AggregateField(function: .list, arguments: "(distinct: Boolean = false)", type: "[\(name)!]"),
            AggregateField(function: .any, type: name), AggregateField(function: .last, type: name),
        ]
        func same(_ functions: AggregateFunction...) -> [AggregateField] {
            functions.map { AggregateField(function: $0, type: name, again: "\(name)Aggregation") }
        }
        switch self {
        case .int, .bigInt, .float:
            // A sum of 32-bit numbers needs more bits.
            let sum = self == .float ? "Float" : "BigInt"
            return [
                count, AggregateField(function: .sum, type: sum, again: "\(sum)Aggregation"),
                AggregateField(function: .avg, type: "Float", again: "FloatAggregation"),
            ] + same(.min, .max) + picks
        case .string:
            let joined = AggregateField(
                function: .stringAggregate, arguments: "(sep: String!, distinct: Boolean = false)", type: "String",
                again: "StringAggregation")
            return [count, joined] + picks
        case .boolean: return [count] + same(.and, .or) + picks
        case .date, .time, .dateTime, .timestamp: return [count] + same(.min, .max) + picks
        case .json: return Self.jsonAggregates
        case .geometry: return [count] + picks + same(.intersection, .union, .extent)
        case .interval, .intRange, .bigIntRange, .timestampRange, .vector, .h3Cell: return []
        }
    }

    private static let jsonAggregates: [AggregateField] = {
        let path = "(path: String!)"
        func numbers(_ functions: AggregateFunction...) -> [AggregateField] {
            functions.map { AggregateField(function: $0, arguments: path, type: "Float", again: "FloatAggregation") }
        }
        return [
            AggregateField(function: .count, arguments: "(path: String)", type: "BigInt", again: "BigIntAggregation"),
            AggregateField(function: .list, arguments: "(path: String, distinct: Boolean = false)", type: "[JSON!]"),
            AggregateField(function: .any, arguments: "(path: String)", type: "JSON"),
            AggregateField(function: .last, arguments: "(path: String)", type: "JSON"),
        ] + numbers(.sum, .avg, .min, .max) + [
            AggregateField(
                function: .stringAggregate, arguments: "(path: String!, sep: String!, distinct: Boolean = false)", type: "String",
                again: "StringAggregation"),
            AggregateField(function: .and, arguments: path, type: "Boolean", again: "BooleanAggregation"),
            AggregateField(function: .or, arguments: path, type: "Boolean", again: "BooleanAggregation"),
        ]
    }()
}

// MARK: - Fields

/// What is derived from a column besides its value.
public enum DerivedField: Sendable, Hashable {
    /// A part of a date or time, as a number.
    case part
    /// The area, length or perimeter of a geometry.
    case measurement
    /// From a given vector.
    case distance
}

extension ScalarType {
    /// The arguments of a column's field, which change its value; empty without any.
    var fieldArguments: String {
        switch self {
        case .date: "(\(Self.bucket))"
        case .dateTime, .timestamp: "(\(Self.bucket), \"Truncate the specified part of the timestamp\" bucket_interval: Interval)"
        case .json: "(\"Struct to extract from the JSON\" struct: JSON)"
        case .geometry:
            """
            ("Apply geometry transformations" transforms: [GeometryTransform!], \
            \(Self.conversion), "Buffer geometry by the specified distance" buffer: Float, \
            "Simplify geometry by the specified factor" simplify_factor: Float)
            """
        default: ""
        }
    }

    private static let bucket = """
        "Truncate to the specified part of the timestamp. Possible values: 'year', 'month', 'day', 'hour', 'minute', 'second'." \
        bucket: TimeBucket
        """
    static let conversion = """
        "Converts geometry from the specified SRID" from: Int, "Converts geometry to the specified SRID" to: Int
        """

    var derived: DerivedField? {
        switch self {
        case .date, .dateTime, .timestamp: .part
        case .geometry: .measurement
        case .vector: .distance
        default: nil
        }
    }
}

extension DerivedField {
    func name(of column: String) -> String {
        switch self {
        case .part: "_\(column)_part"
        case .measurement: "_\(column)_measurement"
        case .distance: "_\(column)_distance"
        }
    }

    func description(of column: String, _ type: DataType) -> String {
        switch self {
        case .part: "Extract part of \(type.text) field \(column)"
        case .measurement: "Calculate measurement of geometry field \(column)"
        case .distance: "Calculate distance for vector field \(column)"
        }
    }

    var arguments: String {
        switch self {
        case .part:
            """
            ("Extracts the specified part of the timestamp" extract: TimeExtract!, "Divides the extracted value" extract_divide: Int)
            """
        case .measurement:
            """
            ("Measurement type" type: GeometryMeasurementTypes!, \
            "Reproject geometry (parameters from and to are required)" transform: Boolean, \(ScalarType.conversion))
            """
        case .distance:
            """
            ("Vector to calculate distance to" vector: Vector!, "Distance metric to use" distance: VectorDistanceType!)
            """
        }
    }

    /// The scalar of its value.
    public var scalar: ScalarType { self == .part ? .bigInt : .float }
}
