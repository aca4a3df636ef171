import ApusTypes

/// Values in error messages, as JavaScript's `inspect` of graphql-js shows them: short, whatever a client sends.
enum Inspection {
    private static let longestList = 10
    private static let deepest = 2

    static func text(_ value: JSONValue) -> String { text(value, depth: 0) }

    private static func text(_ value: JSONValue, depth: Int) -> String {
        switch value {
        case .string, .null, .bool, .integer, .unsigned: return value.description
        case .double(let number): return numberText(number)
        case .array(let elements):
            if elements.isEmpty { return "[]" }
            if depth > deepest { return "[Array]" }
            var items = elements.prefix(longestList).map { text($0, depth: depth + 1) }
            let rest = elements.count - items.count
            if rest > 0 { items.append(rest == 1 ? "... 1 more item" : "... \(rest) more items") }
            return "[" + items.joined(separator: ", ") + "]"
        case .object(let members):
            if members.isEmpty { return "{}" }
            if depth > deepest { return "[Object]" }
            return "{ " + members.map { "\($0.key): \(text($0.value, depth: depth + 1))" }.joined(separator: ", ") + " }"
        }
    }

    /// Whole numbers without a fraction, as JavaScript writes them.
    static func numberText(_ number: Double) -> String {
        if let whole = Int64(exactly: number), abs(whole) < 1 << 53 { return String(whole) }
        return number.description
    }
}
