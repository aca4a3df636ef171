internal import ApusTypes

/// A number, or a moment as its microseconds, by which points are ordered. 3 and 3.0 are the same.
public enum OrderValue: Sendable {
    case integer(Int64)
    case double(Double)

    /// The number or moment that a JSON text is.
    init?(json value: UnsafeRawBufferPointer) {
        if case .integer(let integer)? = Scalar(json: value) {
            self = .integer(integer)
        } else if let number = jsonNumber(of: value) {
            self = .double(number)
        } else if let time = jsonText(of: value).flatMap({ PayloadTime($0) }) {
            self = .integer(time.microseconds)
        } else {
            return nil
        }
    }
}

extension OrderValue: Comparable, Hashable {
    public static func == (left: OrderValue, right: OrderValue) -> Bool {
        switch (left, right) {
        case (.integer(let a), .integer(let b)): a == b
        default: left.number == right.number
        }
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(number) }

    public static func < (left: OrderValue, right: OrderValue) -> Bool {
        switch (left, right) {
        case (.integer(let a), .integer(let b)): a < b
        default: left.number < right.number
        }
    }

    private var number: Double {
        switch self {
        case .integer(let value): Double(value)
        case .double(let value): value
        }
    }
}

extension PayloadPath {
    /// What points are ordered by: every number and moment that is there, each once.
    public func orderValues(in payload: [UInt8]) -> Set<OrderValue> {
        var values: Set<OrderValue> = []
        visit(payload) { if let value = OrderValue(json: $0) { values.insert(value) } }
        return values
    }

    /// The booleans, integers and strings that are there, each once.
    public func scalars(in payload: [UInt8]) -> Set<Scalar> {
        var values: Set<Scalar> = []
        visit(payload) { if let value = Scalar(json: $0) { values.insert(value) } }
        return values
    }

    /// The groups that a point belongs to: the integers and strings that are there, each once, in order. None if anything else is there.
    public func groups(in payload: [UInt8]) -> [Scalar] {
        var values: [Scalar] = []
        var isOther = false
        visit(payload) { json in
            switch Scalar(json: json) {
            case nil, .bool: isOther = true
            case let value?: if !values.contains(value) { values.append(value) }
            }
        }
        return isOther ? [] : values
    }

    private func visit(_ payload: [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) {
        payload.withUnsafeBytes { payload in
            _ = PayloadScanner.items(at: self, in: payload) { value in
                body(value)
                return false
            }
        }
    }
}

extension Scalar: Comparable {
    /// Booleans, then numbers by value, then strings by their bytes.
    public static func < (left: Scalar, right: Scalar) -> Bool {
        switch (left, right) {
        case (.bool(let a), .bool(let b)): !a && b
        case (.integer(let a), .integer(let b)): a < b
        case (.unsigned(let a), .unsigned(let b)): a < b
        case (.double(let a), .double(let b)): a < b
        case (.string(let a), .string(let b)): a < b
        default: left.rank < right.rank
        }
    }

    private var rank: Int {
        switch self {
        case .bool: 0
        case .integer: 1
        case .unsigned: 2
        case .double: 3
        case .string: 4
        }
    }
}
