/// A node of a parsed YAML document, with the place where it stands, so that every complaint can name file and line.
public struct YAMLNode: Sendable, Hashable {
    public enum Content: Sendable, Hashable {
        case scalar(YAMLScalar)
        case sequence([YAMLNode])
        /// In the order written; keys are unique.
        case mapping([YAMLEntry])
    }

    public var content: Content
    public var mark: YAMLMark

    public init(_ content: Content, mark: YAMLMark = .none) {
        self.content = content
        self.mark = mark
    }

    /// The value of `key`, when this is a mapping that has it.
    public subscript(key: String) -> YAMLNode? {
        guard case .mapping(let entries) = content else { return nil }
        return entries.first { $0.key == key }?.value
    }

    public var scalar: YAMLScalar? { if case .scalar(let scalar) = content { scalar } else { nil } }
    public var isNull: Bool { scalar?.core == .null }

    /// What a person would call this kind of node.
    public var kind: String {
        switch content {
        case .sequence: "a list"
        case .mapping: "a mapping"
        case .scalar(let scalar):
            switch scalar.core {
            case .null: "nothing"
            case .bool: "a boolean"
            case .integer: "an integer"
            case .double: "a number"
            case .string: "text"
            }
        }
    }
}

public struct YAMLEntry: Sendable, Hashable {
    public var key: String
    /// Where the key stands; `value.mark` is where its value does.
    public var mark: YAMLMark
    public var value: YAMLNode

    public init(_ key: String, mark: YAMLMark = .none, _ value: YAMLNode) {
        self.key = key
        self.mark = mark
        self.value = value
    }
}

/// Line and column, both counted from 1. Line 0 means "not from a file".
public struct YAMLMark: Sendable, Hashable {
    public var line: Int
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    public static let none = YAMLMark(line: 0, column: 0)
}

/// A scalar as written. Its type is decided by the core schema of YAML 1.2, so `no`, `on` and `012` are what they look like
/// (two texts and a twelve), unlike in YAML 1.1.
public struct YAMLScalar: Sendable, Hashable {
    public var text: String
    /// Not quoted and not a block: only a plain scalar can be anything but text.
    public var isPlain: Bool

    public init(text: String, isPlain: Bool) {
        self.text = text
        self.isPlain = isPlain
    }

    public enum Core: Sendable, Hashable {
        case null
        case bool(Bool)
        case integer(Int64)
        case double(Double)
        case string(String)
    }

    /// The typed value (YAML 1.2.2, section 10.3.2). An integer that does not fit 64 bits is a double.
    public var core: Core {
        guard isPlain else { return .string(text) }
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .double(.infinity)
        case "-.inf", "-.Inf", "-.INF": return .double(-.infinity)
        case ".nan", ".NaN", ".NAN": return .double(.nan)
        default: return number ?? .string(text)
        }
    }

    private var number: Core? {
        if text.hasPrefix("0x"), let value = Self.digits(text.dropFirst(2), radix: 16) { return .integer(value) }
        if text.hasPrefix("0o"), let value = Self.digits(text.dropFirst(2), radix: 8) { return .integer(value) }
        let unsigned = text.utf8.first.map { $0 == 43 || $0 == 45 } == true ? text.utf8.dropFirst() : text.utf8[...]
        // What is left must begin with a digit or a point and hold only what a decimal number holds; `Double` checks the rest.
        guard let first = unsigned.first, (48...57).contains(first) || first == 46,
            unsigned.contains(where: { (48...57).contains($0) }),
            unsigned.allSatisfy({ (48...57).contains($0) || [43, 45, 46, 69, 101].contains($0) })
        else { return nil }
        if let value = Int64(text) { return .integer(value) }
        guard let value = Double(text.hasSuffix(".") ? text + "0" : text) else { return nil }
        return .double(value)
    }

    private static func digits(_ text: Substring, radix: Int) -> Int64? {
        guard let first = text.utf8.first, first != 43, first != 45 else { return nil }
        return Int64(text, radix: radix)
    }
}
