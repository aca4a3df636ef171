/// A value as Thunder carries it: one of eight kinds, each with its name on the wire.
public indirect enum ThunderValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int64)
    case float(Double)
    case bytes([UInt8])
    case string(String)
    case array([ThunderValue])
    /// Pairs, because a key may be any value.
    case map([Pair])

    public struct Pair: Sendable, Hashable {
        public var key: ThunderValue
        public var value: ThunderValue

        public init(_ key: ThunderValue, _ value: ThunderValue) {
            self.key = key
            self.value = value
        }
    }

    /// A map with strings as keys.
    public static func map(_ members: KeyValuePairs<String, ThunderValue>) -> ThunderValue {
        .map(members.map { Pair(.string($0.key), $0.value) })
    }

    public static func int(_ value: Int) -> ThunderValue { .int(Int64(value)) }

    public var isNull: Bool { self == .null }
    public var asString: String? { if case .string(let value) = self { value } else { nil } }
    public var asBool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var asInt: Int64? { if case .int(let value) = self { value } else { nil } }
    public var asArray: [ThunderValue]? { if case .array(let value) = self { value } else { nil } }
    public var asMap: [Pair]? { if case .map(let value) = self { value } else { nil } }
    /// Any number.
    public var asDouble: Double? {
        switch self {
        case .float(let value): value
        case .int(let value): Double(value)
        default: nil
        }
    }

    /// The first member with this key; nil where there is none, and where this is no map.
    public subscript(key: String) -> ThunderValue? {
        asMap?.first { if case .string(let own) = $0.key { own.utf8.elementsEqual(key.utf8) } else { false } }?.value
    }
}

// MARK: On the wire

extension ThunderValue {
    /// Arrays and maps inside each other, beyond which a message is refused: a reader that recurses must not be led too far.
    public static let deepest = 64

    init(_ reader: inout MessagePackReader, depth: Int = 0) throws(ThunderProblem) {
        guard depth <= Self.deepest else { throw ThunderProblem("values are nested more than \(Self.deepest) deep") }
        switch try reader.token() {
        case .string(let count):
            guard try reader.content(count).elementsEqual("Null".utf8) else {
                throw ThunderProblem("a value without a tag must be \"Null\"")
            }
            self = .null
        case .map(1):
            guard case .string(let count) = try reader.token() else { throw ThunderProblem("a value's tag must be a string") }
            let tag = Tag(try reader.content(count))
            switch (tag, try reader.token()) {
            case (.bool, .bool(let value)): self = .bool(value)
            case (.int, .integer(let value)): self = .int(value)
            case (.float, .double(let value)): self = .float(value)
            case (.float, .integer(let value)): self = .float(Double(value))
            case (.float, .unsigned(let value)): self = .float(Double(value))
            case (.string, .string(let count)): self = .string(try reader.text(count))
            case (.bytes, .binary(let count)): self = .bytes(Array(try reader.content(count)))
            case (.bytes, .array(let count)): self = .bytes(try Self.legacyBytes(&reader, count))
            case (.array, .array(let count)):
                try reader.require(count)
                var elements: [ThunderValue] = []
                // Not more at once than a small message can announce honestly.
                elements.reserveCapacity(min(count, 4096))
                for _ in 0..<count { elements.append(try ThunderValue(&reader, depth: depth + 1)) }
                self = .array(elements)
            case (.map, .array(let count)):
                try reader.require(count)
                var pairs: [Pair] = []
                for _ in 0..<count {
                    guard case .array(2) = try reader.token() else { throw ThunderProblem("an entry of a Map must be a pair") }
                    let key = try ThunderValue(&reader, depth: depth + 1)
                    pairs.append(Pair(key, try ThunderValue(&reader, depth: depth + 1)))
                }
                self = .map(pairs)
            case (nil, _): throw ThunderProblem("a value's tag must be Bool, Int, Float, Bytes, Str, Array or Map")
            default: throw ThunderProblem("a value is not of the kind that its tag says, or does not fit into it")
            }
        default: throw ThunderProblem("a value must be \"Null\", or a map of one tag and its content")
        }
    }

    private enum Tag {
        case bool, int, float, bytes, string, array, map

        init?(_ name: UnsafeRawBufferPointer) {
            func isName(_ text: StaticString) -> Bool {
                name.count == text.utf8CodeUnitCount && (0..<name.count).allSatisfy { name[$0] == text.utf8Start[$0] }
            }
            if isName("Float") {
                self = .float
            } else if isName("Str") {
                self = .string
            } else if isName("Int") {
                self = .int
            } else if isName("Bool") {
                self = .bool
            } else if isName("Array") {
                self = .array
            } else if isName("Map") {
                self = .map
            } else if isName("Bytes") {
                self = .bytes
            } else {
                return nil
            }
        }
    }

    /// As old clients write bytes: an array of integers.
    private static func legacyBytes(_ reader: inout MessagePackReader, _ count: Int) throws(ThunderProblem) -> [UInt8] {
        try reader.require(count)
        var bytes: [UInt8] = []
        for _ in 0..<count {
            guard case .integer(let value) = try reader.token(), let byte = UInt8(exactly: value) else {
                throw ThunderProblem("an element of Bytes must be 0 to 255")
            }
            bytes.append(byte)
        }
        return bytes
    }

    func write(to writer: inout MessagePackWriter) {
        if case .null = self { return writer.string("Null") }
        writer.map(1)
        switch self {
        case .null: break
        case .bool(let value):
            writer.string("Bool")
            writer.bool(value)
        case .int(let value):
            writer.string("Int")
            writer.integer(value)
        case .float(let value):
            writer.string("Float")
            writer.double(value)
        case .bytes(let value):
            writer.string("Bytes")
            writer.binary(value)
        case .string(let value):
            writer.string("Str")
            writer.string(value)
        case .array(let elements):
            writer.string("Array")
            writer.array(elements.count)
            for element in elements { element.write(to: &writer) }
        case .map(let pairs):
            writer.string("Map")
            writer.array(pairs.count)
            for pair in pairs {
                writer.array(2)
                pair.key.write(to: &writer)
                pair.value.write(to: &writer)
            }
        }
    }
}

/// Why bytes are not what they should be, in a sentence that is safe to send.
public struct ThunderProblem: Error, Hashable {
    public var reason: String
    public init(_ reason: String) { self.reason = reason }
}

extension MessagePackReader {
    static let malformed = ThunderProblem("the frame is not MessagePack, or ends within a value")

    mutating func token() throws(ThunderProblem) -> Token {
        do { return try next() } catch { throw Self.malformed }
    }

    mutating func content(_ count: Int) throws(ThunderProblem) -> UnsafeRawBufferPointer {
        do { return try take(count) } catch { throw Self.malformed }
    }

    mutating func skipped() throws(ThunderProblem) {
        do { try skip() } catch { throw Self.malformed }
    }

    mutating func text(_ count: Int) throws(ThunderProblem) -> String {
        guard let text = String(validating: try content(count), as: UTF8.self) else { throw ThunderProblem("a string is not UTF-8") }
        return text
    }

    /// So many values cannot be in fewer bytes.
    func require(_ count: Int) throws(ThunderProblem) {
        guard count <= remaining else { throw Self.malformed }
    }
}
