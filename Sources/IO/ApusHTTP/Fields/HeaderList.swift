/// Header values that are lists (`a, b;q=0.5, "c"`), RFC 9110 section 5.6.
enum HeaderList {
    /// The elements of all the field's lines, trimmed, without empty ones. Commas inside quotes do not split.
    static func elements(of values: [String]) -> [String] {
        values.flatMap { split(Array($0.utf8), at: UInt8(ascii: ",")) }
    }

    /// Whether `token`, which is lower case, is one of the elements.
    static func contains(_ token: String, in values: [String]) -> Bool {
        elements(of: values).contains { $0.lowercased() == token }
    }

    /// `text/html;charset="utf 8"` as the value before the first semicolon and its parameters, whose names are lower case and
    /// whose values are unquoted; nil when a parameter cannot be read.
    static func parameters(of value: String) -> (value: String, parameters: [(name: String, value: String)])? {
        let parts = split(Array(value.utf8), at: UInt8(ascii: ";"))
        guard let first = parts.first else { return nil }
        var parameters: [(name: String, value: String)] = []
        for part in parts.dropFirst() {
            guard let equals = part.firstIndex(of: "=") else { return nil }
            let name = part[..<equals].lowercased()
            guard !name.isEmpty, let value = unquoted(part[part.index(after: equals)...]) else { return nil }
            parameters.append((name, value))
        }
        return (first, parameters)
    }

    private static func split(_ bytes: [UInt8], at separator: UInt8) -> [String] {
        var elements: [String] = []
        var start = 0
        var isQuoted = false
        var isEscaped = false
        func close(_ end: Int) {
            let element = trimmed(bytes[start..<end])
            if !element.isEmpty { elements.append(String(decoding: element, as: UTF8.self)) }
        }
        for (index, byte) in bytes.enumerated() {
            if isEscaped {
                isEscaped = false
            } else if isQuoted, byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if byte == separator, !isQuoted {
                close(index)
                start = index + 1
            }
        }
        close(bytes.count)
        return elements
    }

    static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let isSpace: (UInt8) -> Bool = { $0 == 32 || $0 == 9 }
        guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) }) else { return [] }
        return bytes[first...last]
    }

    /// A token as it is, a quoted string without its quotes and escapes; nil when the quotes do not close.
    private static func unquoted(_ text: Substring) -> String? {
        guard text.hasPrefix("\"") else { return text.contains("\"") ? nil : String(text) }
        var result: [UInt8] = []
        var isEscaped = false
        var rest = Array(text.utf8.dropFirst())[...]
        while let byte = rest.popFirst() {
            if isEscaped {
                result.append(byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                return rest.isEmpty ? String(decoding: result, as: UTF8.self) : nil
            } else {
                result.append(byte)
            }
        }
        return nil
    }
}
