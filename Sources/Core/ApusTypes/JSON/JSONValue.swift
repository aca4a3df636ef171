/// A JSON value as a tree: for configuration, small bodies and replies. Hot request bodies use `JSONDocument`.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Only above `Int64.max`.
    case unsigned(UInt64)
    /// Finite; written as null otherwise.
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// Parses one JSON text (RFC 8259, UTF-8 without a byte order mark). Integers beyond 64 bits become doubles, the last of several
    /// members with one key wins. Throws `request.unparsable` with the reason.
    public init(parsing text: [UInt8], maxDepth: Int = 64) throws(ApusError) {
        self = try JSONDocument(parsing: text, maxDepth: maxDepth).root.value
    }
}

extension JSONValue {
    public var isNull: Bool { self == .null }
    public var asBool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var asString: String? { if case .string(let value) = self { value } else { nil } }
    public var asArray: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    public var asObject: JSONObject? { if case .object(let value) = self { value } else { nil } }
    public var asInteger: Int64? { if case .integer(let value) = self { value } else { nil } }

    /// Any number.
    public var asDouble: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// The member `key` of an object; nil when there is none or this is no object.
    public subscript(key: String) -> JSONValue? { asObject?[key] }

    /// Compact JSON text.
    public func serialized() -> [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }
}

extension JSONValue: CustomStringConvertible {
    public var description: String { String(decoding: serialized(), as: UTF8.self) }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
    public init(nilLiteral: ()) { self = .null }
}

/// The members of a JSON object in the order in which their keys first came. Keys are the same if their bytes are. Equality ignores the
/// order.
public struct JSONObject: Sendable {
    public private(set) var keys: [String] = []
    private var values: [ExactString: JSONValue] = [:]

    public init() {}

    /// The last of several members with one key wins.
    public init(_ members: some Sequence<(String, JSONValue)>) {
        for (key, value) in members { self[key] = value }
    }

    /// Setting nil removes the member.
    public subscript(key: String) -> JSONValue? {
        get { values[ExactString(key)] }
        set {
            if let newValue {
                if values.updateValue(newValue, forKey: ExactString(key)) == nil { keys.append(key) }
            } else if values.removeValue(forKey: ExactString(key)) != nil {
                keys.removeAll { ExactString($0) == ExactString(key) }
            }
        }
    }

}

extension JSONObject: Hashable {
    public static func == (left: JSONObject, right: JSONObject) -> Bool { left.values == right.values }
    public func hash(into hasher: inout Hasher) { hasher.combine(values) }
}

extension JSONObject: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { keys.count }
    // Each key has a value by construction.
    public subscript(position: Int) -> (key: String, value: JSONValue) { (keys[position], self[keys[position]] ?? .null) }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }
}
