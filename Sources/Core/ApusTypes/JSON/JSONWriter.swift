internal import CSimdjson

/// Writes one JSON value into bytes, without a tree. Commas are its business, the pairing of keys and values is the caller's.
///
///     var writer = JSONWriter()
///     writer.object {
///         $0.member("id", "a")
///         $0.key("vector"); $0.floats(vector)
///     }
public struct JSONWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    private var needsComma = false

    public init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    public mutating func object<Failure: Error>(_ members: (inout JSONWriter) throws(Failure) -> Void) throws(Failure) {
        try container("{", "}", members)
    }

    public mutating func array<Failure: Error>(_ elements: (inout JSONWriter) throws(Failure) -> Void) throws(Failure) {
        try container("[", "]", elements)
    }

    public mutating func key(_ key: String) {
        separate()
        quote(key)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    public mutating func string(_ value: String) {
        separate()
        quote(value)
    }

    public mutating func integer(_ value: some BinaryInteger) { token(String(value)) }
    public mutating func bool(_ value: Bool) { token(value ? "true" : "false") }
    public mutating func null() { token("null") }

    /// The shortest text that reads back as the same double; null when it is not finite, which JSON cannot say.
    public mutating func double(_ value: Double) { token(value.isFinite ? value.description : "null") }

    /// The shortest text that reads back as the same float; null when it is not finite.
    public mutating func float(_ value: Float) { token(value.isFinite ? value.description : "null") }

    /// An array of floats, each in its shortest form, in one C call.
    public mutating func floats(_ values: [Float]) {
        separate()
        let text = [UInt8](unsafeUninitializedCapacity: 2 + 18 * values.count) { buffer, count in
            count = buffer.withMemoryRebound(to: CChar.self) { apus_json_write_floats(values, values.count, $0.baseAddress) }
        }
        bytes.append(contentsOf: text)
    }

    /// `json` is one JSON value already, such as a stored payload.
    public mutating func raw(_ json: some Sequence<UInt8>) {
        separate()
        bytes.append(contentsOf: json)
    }

    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let value): bool(value)
        case .integer(let value): integer(value)
        case .unsigned(let value): integer(value)
        case .double(let value): double(value)
        case .string(let value): string(value)
        case .array(let elements): array { for element in elements { $0.value(element) } }
        case .object(let members): object { for (key, value) in members { $0.member(key, value) } }
        }
    }

    private mutating func container<Failure: Error>(
        _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        separate()
        bytes.append(UInt8(ascii: open))
        needsComma = false
        try body(&self)
        bytes.append(UInt8(ascii: close))
        needsComma = true
    }

    private mutating func token(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { utf8 in
            var start = 0  // what is not escaped is copied in runs
            for index in utf8.indices {
                guard let escape = Self.escape(utf8[index]) else { continue }
                bytes.append(contentsOf: utf8[start..<index])
                bytes.append(contentsOf: escape)
                start = index + 1
            }
            bytes.append(contentsOf: utf8[start...])
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func escape(_ byte: UInt8) -> [UInt8]? {
        guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { return nil }
        switch byte {
        case UInt8(ascii: "\""): return Array(#"\""#.utf8)
        case UInt8(ascii: "\\"): return Array(#"\\"#.utf8)
        case 0x08: return Array(#"\b"#.utf8)
        case 0x09: return Array(#"\t"#.utf8)
        case 0x0A: return Array(#"\n"#.utf8)
        case 0x0C: return Array(#"\f"#.utf8)
        case 0x0D: return Array(#"\r"#.utf8)
        default: return Array("\\u00\(hexadecimal([byte]))".utf8)
        }
    }
}

extension JSONWriter {
    public mutating func member(_ key: String, _ value: String) { self.key(key); string(value) }
    public mutating func member(_ key: String, _ value: Bool) { self.key(key); bool(value) }
    public mutating func member(_ key: String, _ value: some BinaryInteger) { self.key(key); integer(value) }
    public mutating func member(_ key: String, _ value: Double) { self.key(key); double(value) }
    public mutating func member(_ key: String, _ value: JSONValue) { self.key(key); self.value(value) }
}
