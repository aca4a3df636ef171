public import ApusTypes
internal import Glibc

extension Filter {
    /// Whether a point matches. `payload` is a JSON object without white space, or empty where the point has none.
    public func matches(id: PointID, payload: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .all(let filters): filters.allSatisfy { $0.matches(id: id, payload: payload) }
        case .any(let filters): filters.contains { $0.matches(id: id, payload: payload) }
        case .not(let filter): !filter.matches(id: id, payload: payload)
        case .atLeast(let count, let filters):
            filters.reduce(0) { $0 + ($1.matches(id: id, payload: payload) ? 1 : 0) } >= count
        case .hasID(let ids): ids.contains(id)
        case .equals(let path, let scalar): Self.anyValue(at: path, in: payload) { scalar.equals($0) }
        case .oneOf(let path, let scalars): Self.anyValue(at: path, in: payload) { value in scalars.contains { $0.equals(value) } }
        case .range(let path, let range): Self.anyValue(at: path, in: payload) { number(of: $0).map(range.contains) ?? false }
        case .textRange(let path, let range): Self.anyValue(at: path, in: payload) { text(of: $0).map(range.contains) ?? false }
        case .exists(let path): PayloadScanner.values(at: path, in: payload) { _ in true }
        case .isNull(let path): PayloadScanner.values(at: path, in: payload) { $0.first == UInt8(ascii: "n") }
        case .isEmpty(let path):
            !PayloadScanner.values(at: path, in: payload) { value in
                value.first != UInt8(ascii: "n") && !value.elementsEqual("[]".utf8)
            }
        }
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
        case .oneOf(_, let values): values.isEmpty
        case .hasID(let ids): ids.isEmpty
        default: false
        }
    }

    /// Tries the value at `path`, or each of its elements if it is an array.
    private static func anyValue(
        at path: PayloadPath, in payload: UnsafeRawBufferPointer, _ test: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        PayloadScanner.values(at: path, in: payload) { value in
            value.first == UInt8(ascii: "[") ? PayloadScanner.elements(of: value, test) : test(value)
        }
    }

    /// Throws `request.invalid` for a tree that is too deep or too large; everything that holds a filter calls it once.
    public func validate() throws(ApusError) {
        var conditions = 0
        let depth = measure(&conditions)
        guard depth <= Self.deepest else {
            throw ApusError(
                .requestInvalid, "the filter is nested \(depth) deep; at most \(Self.deepest) are allowed", context: ["field": "filter"])
        }
        guard conditions <= Self.mostConditions else {
            throw ApusError(
                .requestInvalid, "the filter has \(conditions) conditions; at most \(Self.mostConditions) are allowed",
                context: ["field": "filter"])
        }
    }

    private func measure(_ conditions: inout Int) -> Int {
        switch self {
        case .all(let filters), .any(let filters), .atLeast(_, let filters):
            conditions += 1
            var deepest = 0
            for filter in filters { deepest = max(deepest, filter.measure(&conditions)) }
            return deepest + 1
        case .not(let filter):
            conditions += 1
            return filter.measure(&conditions) + 1
        case .oneOf(_, let values): conditions += values.count
        case .hasID(let ids): conditions += ids.count
        default: conditions += 1
        }
        return 1
    }
}

/// The number that a JSON text is.
private func number(of value: UnsafeRawBufferPointer) -> Double? {
    guard let first = value.first, first == UInt8(ascii: "-") || (48...57).contains(first) else { return nil }
    return withTerminated(value) { strtod($0, nil) }
}

/// The UTF-8 of the string that a JSON text is.
private func text(of value: UnsafeRawBufferPointer) -> [UInt8]? {
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
            return number(of: value) == Double(integer)
        case .unsigned(let unsigned):
            if let exact = Self.integer(value) { return exact == Int128(unsigned) }
            return number(of: value) == Double(unsigned)
        case .double(let double): return number(of: value) == double
        }
    }

    /// The integer that a JSON text without fraction and exponent is, if it has at most 20 digits.
    private static func integer(_ value: UnsafeRawBufferPointer) -> Int128? {
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
