/// Writes nodes back as YAML that `YAMLParser` reads into the same tree.
public struct YAMLWriter: Sendable {
    public private(set) var text = ""

    public init() {}

    public static func text(_ root: YAMLNode) -> String {
        var writer = YAMLWriter()
        writer.block(root, indent: 0)
        return writer.text
    }

    /// A value on one line: `[a, {b: 1}]`.
    public static func inline(_ node: YAMLNode) -> String {
        switch node.content {
        case .scalar(let scalar): Self.scalar(scalar, inFlow: true)
        case .sequence(let items): "[" + items.map(inline).joined(separator: ", ") + "]"
        case .mapping(let entries):
            "{" + entries.map { "\(key($0.key, inFlow: true)): \(inline($0.value))" }.joined(separator: ", ") + "}"
        }
    }

    private mutating func block(_ node: YAMLNode, indent: Int) {
        guard case .mapping(let entries) = node.content else {
            text += Self.inline(node) + "\n"
            return
        }
        for entry in entries {
            text += String(repeating: " ", count: indent) + Self.key(entry.key, inFlow: false) + ":"
            if case .mapping(let inner) = entry.value.content, !inner.isEmpty {
                text += "\n"
                block(entry.value, indent: indent + 2)
            } else {
                text += " " + Self.inline(entry.value) + "\n"
            }
        }
    }

    private static func key(_ text: String, inFlow: Bool) -> String {
        scalar(YAMLScalar(text: text, isPlain: isSafePlain(text)), inFlow: inFlow)
    }

    private static func scalar(_ scalar: YAMLScalar, inFlow: Bool) -> String {
        // What means a string is quoted unless it is obviously safe: a plain `b:[1` of a block would be something else inside a flow.
        let plain = YAMLScalar(text: scalar.text, isPlain: true)
        if case .string = plain.core { return isSafePlain(scalar.text) ? scalar.text : quoted(scalar.text) }
        guard scalar.isPlain else { return quoted(scalar.text) }
        // An empty plain scalar is null; written out so that it is seen.
        return scalar.text.isEmpty ? "null" : scalar.text
    }

    /// Deliberately narrow: what is not obviously safe is quoted.
    private static func isSafePlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, isWord(first) || first == 47 || first == 46 else { return false }  // "/", "."
        return text.utf8.allSatisfy { isWord($0) || [45, 46, 47, 43].contains($0) }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 95
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case " "..."~": result.unicodeScalars.append(scalar)
            case "\u{A0}"..."\u{2027}", "\u{202A}"..."\u{D7FF}", "\u{E000}"..."\u{FEFE}", "\u{FF00}"..."\u{FFFD}":
                result.unicodeScalars.append(scalar)
            default: result += escape(scalar.value)
            }
        }
        return result + "\""
    }

    private static func escape(_ value: UInt32) -> String {
        let (letter, width) = value < 0x100 ? ("x", 2) : value < 0x10000 ? ("u", 4) : ("U", 8)
        let digits = String(value, radix: 16)
        return "\\\(letter)" + String(repeating: "0", count: width - digits.count) + digits
    }
}
