/// A number that is written as it lies in memory: Swift runs on little-endian machines only.
public protocol PlainWireValue: WireValue, BitwiseCopyable {}

extension PlainWireValue {
    public func write(to writer: inout WireWriter) { withUnsafeBytes(of: self) { writer.append($0) } }

    public init(from reader: inout WireReader) throws(ApusError) {
        self = try reader.take(MemoryLayout<Self>.size) { $0.loadUnaligned(as: Self.self) }
    }

    public static func writeAll(_ values: [Self], to writer: inout WireWriter) { values.withUnsafeBytes { writer.append($0) } }

    public static func readAll(_ count: Int, from reader: inout WireReader) throws(ApusError) -> [Self] {
        try reader.take(count * MemoryLayout<Self>.stride) { bytes in
            [Self](unsafeUninitializedCapacity: count) { buffer, filled in
                UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
                filled = count
            }
        }
    }
}

extension UInt8: PlainWireValue {}
extension UInt16: PlainWireValue {}
extension UInt32: PlainWireValue {}
extension UInt64: PlainWireValue {}
extension Int64: PlainWireValue {}
extension Int: PlainWireValue {}
extension Float: PlainWireValue {}
extension Double: PlainWireValue {}

extension Bool: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(case: self ? 1 : 0) }

    public init(from reader: inout WireReader) throws(ApusError) {
        switch try reader.readCase() {
        case 0: self = false
        case 1: self = true
        case let other: throw WireReader.invalid("\(other) is no truth value")
        }
    }
}

extension String: WireValue {
    public func write(to writer: inout WireWriter) { Array(utf8).write(to: &writer) }

    public init(from reader: inout WireReader) throws(ApusError) {
        let bytes: [UInt8] = try reader.read()
        guard let text = String(validating: bytes, as: UTF8.self) else { throw WireReader.invalid("a text is not UTF-8") }
        self = text
    }
}

extension Array: WireValue where Element: WireValue {
    public func write(to writer: inout WireWriter) {
        writer.write(count: count)
        Element.writeAll(self, to: &writer)
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        self = try Element.readAll(try reader.readCount(), from: &reader)
    }
}

extension Set: WireValue where Element: WireValue {
    public func write(to writer: inout WireWriter) { Array(self).write(to: &writer) }
    public init(from reader: inout WireReader) throws(ApusError) { self = Set(try reader.read([Element].self)) }
}

extension Dictionary: WireValue where Key: WireValue, Value: WireValue {
    public func write(to writer: inout WireWriter) {
        writer.write(count: count)
        for (key, value) in self { writer.write(key, value) }
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        self.init()
        for _ in 0..<(try reader.readCount()) {
            let key: Key = try reader.read()
            self[key] = try reader.read(Value.self)
        }
    }
}

extension Optional: WireValue where Wrapped: WireValue {
    public func write(to writer: inout WireWriter) {
        writer.write(self != nil)
        if let self { writer.write(self) }
    }

    public init(from reader: inout WireReader) throws(ApusError) { self = try reader.read(Bool.self) ? try reader.read(Wrapped.self) : nil }
}

// MARK: Apus's own

extension ExactString: WireValue {
    public func write(to writer: inout WireWriter) { text.write(to: &writer) }
    public init(from reader: inout WireReader) throws(ApusError) { self.init(try reader.read()) }
}

extension NodeName: WireValue {}
extension CollectionName: WireValue {}

extension Name where Self: WireValue {
    public func write(to writer: inout WireWriter) { rawValue.write(to: &writer) }
    public init(from reader: inout WireReader) throws(ApusError) { self.init(try reader.read(String.self)) }
}

extension ShardID: WireValue {
    public func write(to writer: inout WireWriter) { value.write(to: &writer) }
    public init(from reader: inout WireReader) throws(ApusError) { self.init(try reader.read(Int64.self)) }
}

extension CollectionID: WireValue {
    public func write(to writer: inout WireWriter) { value.write(to: &writer) }
    public init(from reader: inout WireReader) throws(ApusError) { self.init(try reader.read(Int64.self)) }
}

extension ObjectKey: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(high, low) }
    public init(from reader: inout WireReader) throws(ApusError) { self.init(high: try reader.read(), low: try reader.read()) }
}

extension Digest: WireValue {
    public func write(to writer: inout WireWriter) { bytes.withUnsafeBytes { writer.append($0) } }

    public init(from reader: inout WireReader) throws(ApusError) {
        self = try reader.take(32) { Digest(bytes: Array($0)) }!  // 32 bytes make one
    }
}

/// Without its cause, which was logged where it was met. When to try again is told by the code.
extension ApusError: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(code.rawValue, summary, hint, context) }

    public init(from reader: inout WireReader) throws(ApusError) {
        self.init(
            ErrorCode(rawValue: try reader.read()), try reader.read(), hint: try reader.read(), context: try reader.read())
    }
}
