/// Strings in triple quotes (section "String Value" of the specification).
enum BlockString {
    /// The value of what stands between the quotes: without common indentation and blank lines at its ends.
    static func value(of bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> String {
        var lines: [[UInt8]] = [[]]
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = bytes[index]
            if byte == .lineFeed || byte == .carriageReturn {
                if byte == .carriageReturn, index + 1 < range.upperBound, bytes[index + 1] == .lineFeed { index += 1 }
                lines.append([])
            } else if Lexer.isEscapedDelimiter(bytes, index) {
                lines[lines.count - 1].append(contentsOf: [.quote, .quote, .quote])
                index += 3
            } else {
                lines[lines.count - 1].append(byte)
            }
            index += 1
        }
        return String(decoding: Array(dedented(lines).joined(separator: [.lineFeed])), as: UTF8.self)
    }

    private static func dedented(_ lines: [[UInt8]]) -> ArraySlice<ArraySlice<UInt8>> {
        let indents = lines.map { $0.prefix { isBlank($0) }.count }
        let filled = lines.indices.filter { indents[$0] < lines[$0].count }
        guard let first = filled.first, let last = filled.last else { return [] }
        let common = filled.filter { $0 > 0 }.map { indents[$0] }.min() ?? .max
        return lines.enumerated().map { $0 > 0 ? $1.dropFirst(min(common, $1.count)) : $1[...] }[first...last]
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Whether `value` is what is read back when it is printed in triple quotes.
    static func canPrint(_ value: String) -> Bool {
        if value.isEmpty { return true }
        var isLineEmpty = true
        var hasIndent = false
        var isIndented = true
        var hasSeenText = false
        for byte in value.utf8 {
            switch byte {
            case .lineFeed:
                if isLineEmpty && !hasSeenText { return false }  // a blank line at the start
                hasSeenText = true
                isLineEmpty = true
                hasIndent = false
            case 0x20, 0x09: hasIndent = hasIndent || isLineEmpty
            case 0...0x0F: return false
            default:
                isIndented = isIndented && hasIndent
                isLineEmpty = false
            }
        }
        return !isLineEmpty && !(isIndented && hasSeenText)
    }

    /// `value` in triple quotes: on lines of its own where that reads better, or as short as it goes.
    static func printed(_ value: String, minimized: Bool = false) -> String {
        let escaped = escapingDelimiters(value)
        let lines = escaped.split(omittingEmptySubsequences: false, whereSeparator: \.isLineEnd)
        let isSingle = lines.count == 1
        let needsFirstLine = lines.count > 1 && lines.dropFirst().allSatisfy { $0.isEmpty || isBlank($0.utf8.first ?? 0) }
        let endsWithDelimiter = escaped.hasSuffix("\\\"\"\"")
        let needsLastLine = (value.hasSuffix("\"") && !endsWithDelimiter) || value.hasSuffix("\\")
        let isMultiple =
            !minimized && (!isSingle || value.unicodeScalars.count > 70 || needsLastLine || needsFirstLine || endsWithDelimiter)
        let startsBlank = isSingle && isBlank(value.utf8.first ?? 0)
        let before = isMultiple && !startsBlank || needsFirstLine ? "\n" : ""
        return "\"\"\"\(before)\(escaped)\(isMultiple || needsLastLine ? "\n" : "")\"\"\""
    }

    private static func escapingDelimiters(_ value: String) -> String {
        var bytes: [UInt8] = []
        var quotes = 0
        for byte in value.utf8 {
            quotes = byte == .quote ? quotes + 1 : 0
            bytes.append(byte)
            if quotes == 3 {
                bytes.insert(.backslash, at: bytes.count - 3)
                quotes = 0
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Character {
    fileprivate var isLineEnd: Bool { self == "\n" || self == "\r" || self == "\r\n" }
}
