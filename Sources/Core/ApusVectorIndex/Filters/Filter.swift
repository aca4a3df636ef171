public import ApusTypes

/// A condition on a point's payload.
///
/// Keys are paths into the payload: `author.name` reads `{"author": {"name": …}}`. Where a path meets an array, every element is tried
/// and one that matches is enough. A key that is missing, or holds a value of another type than the condition compares with,
/// does not match: it is no error, and `not` of it matches.
public indirect enum Filter: Sendable, Hashable {
    /// All of them (an empty list matches everything).
    case all([Filter])
    /// At least one of them (an empty list matches nothing).
    case any([Filter])
    case not(Filter)
    /// At least `count` of them.
    case atLeast(Int, [Filter])
    case equals(PayloadPath, Scalar)
    /// One of the values.
    case oneOf(PayloadPath, Set<Scalar>)
    /// Numbers within the bounds.
    case range(PayloadPath, NumberRange)
    /// Strings within the bounds, compared by their UTF-8 bytes (so RFC 3339 times in one zone compare as times).
    case textRange(PayloadPath, TextRange)
    /// The key is there, whatever its value, `null` included.
    case exists(PayloadPath)
    case isNull(PayloadPath)
    /// The value, or an element of it, is `null`.
    case hasNull(PayloadPath)
    /// The key is missing, `null` or an empty array.
    case isEmpty(PayloadPath)
    /// One of the values, and of its very type: 1.0 is not 1.
    case identical(PayloadPath, Set<Scalar>)
    /// A value that is neither `null` nor identical with one of these.
    case different(PayloadPath, Set<Scalar>)
    case text(PayloadPath, TextMatch)
    /// Strings that read as moments within the bounds (`PayloadTime`).
    case timeRange(PayloadPath, TimeRange)
    /// Objects `{"lat", "lon"}` that lie in a part of the Earth.
    case place(PayloadPath, GeoShape)
    /// How many elements an array has; another value counts as one, a missing one and `null` as none.
    case valueCount(PayloadPath, CountRange)
    /// An object in the array that matches by itself, as if it were a payload without id and vectors.
    case nested(PayloadPath, Filter)
    case hasID(Set<PointID>)
    /// The point has a vector in the field of that name.
    case hasVector(String)

    public static let everything = Filter.all([])

    /// What the condition is on; nil for what is no condition on one value of the payload.
    var path: PayloadPath? {
        switch self {
        case .equals(let path, _), .oneOf(let path, _), .range(let path, _), .textRange(let path, _), .exists(let path), .isNull(let path),
            .hasNull(let path), .isEmpty(let path), .identical(let path, _), .different(let path, _), .text(let path, _),
            .timeRange(let path, _), .place(let path, _), .valueCount(let path, _):
            path
        case .all, .any, .not, .atLeast, .nested, .hasID, .hasVector: nil
        }
    }

}

/// A value that conditions compare with.
public enum Scalar: Sendable, Hashable {
    case bool(Bool)
    case integer(Int64)
    /// An integer above `Int64.max`.
    case unsigned(UInt64)
    /// A number with a fraction or exponent; equal to an integer of the same value.
    case double(Double)
    case string(ExactString)
}

/// Bounds of a number; those that are nil do not bound.
public struct NumberRange: Sendable, Hashable {
    public var greaterThan: Double?
    public var atLeast: Double?
    public var lessThan: Double?
    public var atMost: Double?

    public init(greaterThan: Double? = nil, atLeast: Double? = nil, lessThan: Double? = nil, atMost: Double? = nil) {
        self.greaterThan = greaterThan
        self.atLeast = atLeast
        self.lessThan = lessThan
        self.atMost = atMost
    }

    func contains(_ value: Double) -> Bool {
        if let greaterThan, !(value > greaterThan) { return false }
        if let atLeast, !(value >= atLeast) { return false }
        if let lessThan, !(value < lessThan) { return false }
        if let atMost, !(value <= atMost) { return false }
        return true
    }
}

/// Bounds of a number of things; those that are nil do not bound.
public struct CountRange: Sendable, Hashable {
    public var greaterThan: Int?
    public var atLeast: Int?
    public var lessThan: Int?
    public var atMost: Int?

    public init(greaterThan: Int? = nil, atLeast: Int? = nil, lessThan: Int? = nil, atMost: Int? = nil) {
        self.greaterThan = greaterThan
        self.atLeast = atLeast
        self.lessThan = lessThan
        self.atMost = atMost
    }

    func contains(_ count: Int) -> Bool {
        if let greaterThan, count <= greaterThan { return false }
        if let atLeast, count < atLeast { return false }
        if let lessThan, count >= lessThan { return false }
        if let atMost, count > atMost { return false }
        return true
    }
}

/// Bounds of a string; those that are nil do not bound.
public struct TextRange: Sendable, Hashable {
    public var greaterThan: String?
    public var atLeast: String?
    public var lessThan: String?
    public var atMost: String?

    public init(greaterThan: String? = nil, atLeast: String? = nil, lessThan: String? = nil, atMost: String? = nil) {
        self.greaterThan = greaterThan
        self.atLeast = atLeast
        self.lessThan = lessThan
        self.atMost = atMost
    }
}
