public import ApusTypes

/// The id of a point: unique in its collection.
///
/// Every id has exactly one text, and no two ids share one, so a client that only knows strings and one that knows numbers
/// name the same point: the text `17` is the integer 17, a hyphenated UUID in any case is that UUID, all else is a string.
public enum PointID: Hashable, Sendable {
    case integer(UInt64)
    /// 128 bits, most significant first.
    case uuid(high: UInt64, low: UInt64)
    /// Never a text that reads as one of the other two; `init(_:)` sees to that.
    case string(ExactString)

    /// Longest string id, in characters (Unicode scalars).
    public static let longestString = 256

    /// Reads an id from its text.
    ///
    /// Throws `request.invalid` for a text that is empty, longer than 256 characters, has a space at its ends or a `#` in it.
    public init(_ text: String) throws(ApusError) {
        if let number = Self.decimal(text) {
            self = .integer(number)
        } else if let (high, low) = Self.hyphenatedUUID(text) {
            self = .uuid(high: high, low: low)
        } else {
            if let problem = Self.problem(text) {
                throw ApusError(
                    .requestInvalid, "the point id \(problem)",
                    hint: "an id is an unsigned integer, a UUID, or a string of 1 to 256 characters without '#'")
            }
            self = .string(ExactString(text))
        }
    }

    /// A number without sign or leading zeros, as this type writes it.
    private static func decimal(_ text: String) -> UInt64? {
        guard let first = text.utf8.first, text.utf8.count <= 20, text.utf8.allSatisfy({ (48...57).contains($0) }),
            first != 48 || text.utf8.count == 1
        else { return nil }
        return UInt64(text)
    }

    private static func hyphenatedUUID(_ text: String) -> (UInt64, UInt64)? {
        guard text.utf8.count == 36 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        var digits = 0
        for (position, byte) in text.utf8.enumerated() {
            if position == 8 || position == 13 || position == 18 || position == 23 {
                guard byte == 45 else { return nil }
                continue
            }
            let digit: UInt8
            switch byte {
            case 48...57: digit = byte - 48
            case 65...70: digit = byte - 55
            case 97...102: digit = byte - 87
            default: return nil
            }
            if digits < 16 { words.0 = words.0 << 4 | UInt64(digit) } else { words.1 = words.1 << 4 | UInt64(digit) }
            digits += 1
        }
        return words
    }

    private static func problem(_ text: String) -> String? {
        guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last else { return "is empty" }
        if text.utf8.count > longestString, text.unicodeScalars.count > longestString {
            return "is longer than \(longestString) characters"
        }
        if first.properties.isWhitespace || last.properties.isWhitespace { return "begins or ends with a space" }
        if text.utf8.contains(35) { return "contains '#'" }
        return nil
    }
}

extension PointID: CustomStringConvertible {
    /// The one text of this id; a UUID is lower-case and hyphenated.
    public var description: String {
        switch self {
        case .integer(let number): return String(number)
        case .string(let text): return text.text
        case .uuid(let high, let low):
            let digits = Array(
                hexadecimal([high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }).utf8)
            let groups = [digits[0..<8], digits[8..<12], digits[12..<16], digits[16..<20], digits[20..<32]]
            return String(decoding: Array(groups.joined(separator: [45])), as: UTF8.self)
        }
    }
}

extension PointID: Comparable {
    /// The order of scrolling: integers by value, then UUIDs, then strings by their UTF-8 bytes.
    public static func < (left: PointID, right: PointID) -> Bool {
        switch (left, right) {
        case (.integer(let a), .integer(let b)): a < b
        case (.uuid(let a, let b), .uuid(let c, let d)): (a, b) < (c, d)
        case (.string(let a), .string(let b)): a < b
        case (.integer, _), (.uuid, .string): true
        default: false
        }
    }
}

extension PointID {
    /// Hyphenated, as 32 digits, in braces or as a URN, in any case.
    public init?(uuid text: String) {
        var text = text[...]
        if text.hasPrefix("urn:uuid:") { text = text.dropFirst(9) }
        if text.hasPrefix("{"), text.hasSuffix("}") { text = text.dropFirst().dropLast() }
        if text.utf8.count == 32 {
            var parts: [Substring] = []
            for length in [8, 4, 4, 4, 12] {
                parts.append(text.prefix(length))
                text = text.dropFirst(length)
            }
            text = parts.joined(separator: "-")[...]
        }
        guard text.utf8.count == 36, let id = try? PointID(String(text)), case .uuid = id else { return nil }  // else it is none
        self = id
    }
}
