internal import ApusTypes
internal import Glibc

extension Filter {
    /// Whether a point matches. `payload` is a JSON object without white space, or empty where the point has none; `hasVector` tells
    /// whether it has a vector in the field of that name. What has no id is an object inside a payload.
    public func matches(id: PointID?, payload: UnsafeRawBufferPointer, hasVector: (String) -> Bool) -> Bool {
        func matches(_ filter: Filter) -> Bool { filter.matches(id: id, payload: payload, hasVector: hasVector) }
        func anyItem(_ path: PayloadPath, _ test: (UnsafeRawBufferPointer) -> Bool) -> Bool {
            PayloadScanner.items(at: path, in: payload, test)
        }
        switch self {
        case .all(let filters): return filters.allSatisfy(matches)
        case .any(let filters): return filters.contains(where: matches)
        case .not(let filter): return !matches(filter)
        case .atLeast(let count, let filters): return filters.reduce(0) { $0 + (matches($1) ? 1 : 0) } >= count
        case .hasID(let ids): return id.map(ids.contains) ?? false
        case .hasVector(let name): return hasVector(name)
        case .equals(let path, let scalar): return anyItem(path) { scalar.equals($0) }
        case .oneOf(let path, let scalars): return anyItem(path) { value in scalars.contains { $0.equals(value) } }
        case .identical(let path, let scalars): return anyItem(path) { Scalar(json: $0).map(scalars.contains) ?? false }
        case .different(let path, let scalars):
            return anyItem(path) { value in !jsonIsNull(value) && !(Scalar(json: value).map(scalars.contains) ?? false) }
        case .range(let path, let range): return anyItem(path) { jsonNumber(of: $0).map(range.contains) ?? false }
        case .textRange(let path, let range): return anyItem(path) { jsonText(of: $0).map(range.contains) ?? false }
        case .text(let path, let match): return anyItem(path) { jsonText(of: $0).map(match.matches) ?? false }
        case .timeRange(let path, let range):
            return anyItem(path) { jsonText(of: $0).flatMap { PayloadTime($0) }.map(range.contains) ?? false }
        case .place(let path, let shape): return anyItem(path) { GeoPoint(json: $0).map(shape.contains) ?? false }
        case .valueCount(let path, let range): return Self.anyCount(at: path, in: payload, range)
        case .exists(let path): return PayloadScanner.values(at: path, in: payload) { _ in true }
        case .isNull(let path): return PayloadScanner.values(at: path, in: payload, jsonIsNull)
        case .hasNull(let path): return anyItem(path, jsonIsNull)
        case .isEmpty(let path):
            return !PayloadScanner.values(at: path, in: payload) { value in !jsonIsNull(value) && !value.elementsEqual("[]".utf8) }
        case .nested(let path, let filter):
            return PayloadScanner.values(at: path.ofArray, in: payload) { array in
                array.first == UInt8(ascii: "[")
                    && PayloadScanner.elements(of: array) { element in
                        element.first == UInt8(ascii: "{") && filter.matches(id: nil, payload: element, hasVector: { _ in false })
                    }
            }
        }
    }

    private static func anyCount(at path: PayloadPath, in payload: UnsafeRawBufferPointer, _ range: CountRange) -> Bool {
        var isThere = false
        let isFound = PayloadScanner.values(at: path, in: payload) { value in
            isThere = true
            var count = jsonIsNull(value) ? 0 : 1
            if value.first == UInt8(ascii: "[") {
                count = 0
                _ = PayloadScanner.elements(of: value) { _ in
                    count += 1
                    return false
                }
            }
            return range.contains(count)
        }
        return isFound || !isThere && range.contains(0)
    }

    /// Whether it matches every point, whatever the payloads are: they need not be read.
    public var isEverything: Bool {
        switch self {
        case .all(let filters): filters.allSatisfy(\.isEverything)
        case .any(let filters): filters.contains(where: \.isEverything)
        case .not(let filter): filter.isNothing
        case .atLeast(let count, let filters): filters.count(where: \.isEverything) >= count
        default: false
        }
    }

    /// Whether it matches no point, whatever the payloads are.
    public var isNothing: Bool {
        switch self {
        case .all(let filters): filters.contains(where: \.isNothing)
        case .any(let filters): filters.allSatisfy(\.isNothing)
        case .not(let filter): filter.isEverything
        case .atLeast(let count, let filters): filters.count { !$0.isNothing } < count
        case .oneOf(_, let values), .identical(_, let values): values.isEmpty
        case .hasID(let ids): ids.isEmpty
        default: false
        }
    }

}

private func jsonIsNull(_ value: UnsafeRawBufferPointer) -> Bool { value.first == UInt8(ascii: "n") }

extension GeoPoint {
    /// The place that a JSON object names by `lat` and `lon`.
    init?(json: UnsafeRawBufferPointer) {
        guard let latitude = PayloadScanner.member("lat", of: json).flatMap(jsonNumber),
            let longitude = PayloadScanner.member("lon", of: json).flatMap(jsonNumber), latitude.isFinite, longitude.isFinite
        else { return nil }
        self.init(latitude: latitude, longitude: longitude)
    }
}

/// The number that a JSON text is.
func jsonNumber(of value: UnsafeRawBufferPointer) -> Double? {
    guard let first = value.first, first == UInt8(ascii: "-") || (48...57).contains(first) else { return nil }
    return withTerminated(value) { strtod($0, nil) }
}

/// The UTF-8 of the string that a JSON text is.
func jsonText(of value: UnsafeRawBufferPointer) -> [UInt8]? {
    guard value.first == UInt8(ascii: "\""), value.count >= 2 else { return nil }
    return PayloadScanner.unescaped(UnsafeRawBufferPointer(rebasing: value[1..<value.count - 1]))
}

/// Numbers are short; a longer text than any double needs is cut, which changes nothing that a double can show.
private func withTerminated<Value>(_ text: UnsafeRawBufferPointer, _ body: (UnsafePointer<CChar>) -> Value) -> Value {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 832) { buffer in
        let count = min(text.count, 831)
        for index in 0..<count { buffer[index] = CChar(bitPattern: text[index]) }
        buffer[count] = 0
        return body(UnsafePointer(buffer.baseAddress!))  // capacity is not 0
    }
}

extension Scalar {
    /// The boolean, integer or string that a JSON text is; nil for all else, numbers with a fraction or exponent too.
    public init?(json value: UnsafeRawBufferPointer) {
        switch value.first {
        case UInt8(ascii: "t"): self = .bool(true)
        case UInt8(ascii: "f"): self = .bool(false)
        case UInt8(ascii: "\""):
            guard let text = jsonText(of: value) else { return nil }
            self = .string(ExactString(String(decoding: text, as: UTF8.self)))
        default:
            guard let integer = Self.integer(value) else { return nil }
            if let signed = Int64(exactly: integer) {
                self = .integer(signed)
            } else if let unsigned = UInt64(exactly: integer) {
                self = .unsigned(unsigned)
            } else {
                return nil
            }
        }
    }

    /// Whether the JSON text is this value. Numbers are compared exactly as long as both are integers, else as doubles.
    func equals(_ value: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .bool(let bool): return value.elementsEqual((bool ? "true" : "false").utf8)
        case .string(let string):
            guard value.first == UInt8(ascii: "\""), value.count >= 2 else { return false }
            let raw = UnsafeRawBufferPointer(rebasing: value[1..<value.count - 1])
            if raw.contains(UInt8(ascii: "\\")) { return PayloadScanner.unescaped(raw).elementsEqual(string.utf8) }
            return raw.count == string.utf8.count && raw.elementsEqual(string.utf8)
        case .integer(let integer):
            if let exact = Self.integer(value) { return exact == Int128(integer) }
            return jsonNumber(of: value) == Double(integer)
        case .unsigned(let unsigned):
            if let exact = Self.integer(value) { return exact == Int128(unsigned) }
            return jsonNumber(of: value) == Double(unsigned)
        case .double(let double): return jsonNumber(of: value) == double
        }
    }

    /// The integer that a JSON text without fraction and exponent is, if it has at most 20 digits.
    static func integer(_ value: UnsafeRawBufferPointer) -> Int128? {
        guard let first = value.first, value.count <= 21 else { return nil }
        let isNegative = first == UInt8(ascii: "-")
        var sum: Int128 = 0
        for byte in value.dropFirst(isNegative ? 1 : 0) {
            guard (48...57).contains(byte) else { return nil }
            sum = sum * 10 + Int128(byte - 48)
        }
        return isNegative ? -sum : sum
    }
}

extension TextRange {
    func contains(_ text: [UInt8]) -> Bool {
        func precedes(_ bound: String) -> Bool { text.lexicographicallyPrecedes(bound.utf8) }
        func follows(_ bound: String) -> Bool { bound.utf8.lexicographicallyPrecedes(text) }
        if let greaterThan, !follows(greaterThan) { return false }
        if let atLeast, precedes(atLeast) { return false }
        if let lessThan, !precedes(lessThan) { return false }
        if let atMost, follows(atMost) { return false }
        return true
    }
}
