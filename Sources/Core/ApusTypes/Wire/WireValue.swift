/// A value that nodes tell each other.
///
/// Fields follow each other in the order in which they are written, numbers little-endian, lengths and counts in four bytes, cases and
/// optionals behind one byte. A message is changed by another name for the call that carries it, so that nodes of two versions can talk.
public protocol WireValue: Sendable {
    func write(to writer: inout WireWriter)

    /// Throws `protocol.invalid` for bytes that are no such value.
    init(from reader: inout WireReader) throws(ApusError)

    /// Without their count.
    static func writeAll(_ values: [Self], to writer: inout WireWriter)
    static func readAll(_ count: Int, from reader: inout WireReader) throws(ApusError) -> [Self]
}

extension WireValue {
    public var wireBytes: [UInt8] {
        var writer = WireWriter()
        writer.write(self)
        return writer.bytes
    }

    /// Throws `protocol.invalid` unless the bytes are one value and nothing else.
    public init(wireBytes: [UInt8]) throws(ApusError) {
        var reader = WireReader(wireBytes)
        try self.init(from: &reader)
        try reader.finish()
    }

    public static func writeAll(_ values: [Self], to writer: inout WireWriter) { for value in values { value.write(to: &writer) } }

    public static func readAll(_ count: Int, from reader: inout WireReader) throws(ApusError) -> [Self] {
        var values: [Self] = []  // no room is kept for a count that was only said
        for _ in 0..<count { values.append(try Self(from: &reader)) }
        return values
    }
}

public struct WireWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func write<each Value: WireValue>(_ value: repeat each Value) { repeat (each value).write(to: &self) }

    /// The number of a case, and what belongs to it.
    public mutating func write<each Value: WireValue>(case number: UInt8, _ value: repeat each Value) {
        bytes.append(number)
        repeat (each value).write(to: &self)
    }

    public mutating func append(_ plain: UnsafeRawBufferPointer) { bytes.append(contentsOf: plain) }

    mutating func write(count: Int) { UInt32(count).write(to: &self) }
}

/// Reads values in the order in which they were written; whatever the bytes are, it ends in values or `protocol.invalid`.
public struct WireReader: Sendable {
    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0
    /// Values within values; a filter has at most 16 levels.
    private static let deepest = 64

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public mutating func read<Value: WireValue>(_ type: Value.Type = Value.self) throws(ApusError) -> Value { try Value(from: &self) }

    public mutating func readCase() throws(ApusError) -> UInt8 { try read() }

    /// Reads a value that may hold values of its own kind.
    public mutating func nested<Value>(_ body: (inout WireReader) throws(ApusError) -> Value) throws(ApusError) -> Value {
        guard depth < Self.deepest else { throw Self.invalid("values lie in each other more than \(Self.deepest) deep") }
        depth += 1
        defer { depth -= 1 }
        return try body(&self)
    }

    public func finish() throws(ApusError) {
        guard position == bytes.count else { throw Self.invalid("\(bytes.count - position) bytes are left over") }
    }

    public static func invalid(_ reason: String) -> ApusError {
        ApusError(.protocolInvalid, "a message of another node cannot be read: \(reason)", hint: "apus status tells the nodes' versions")
    }

    /// Each item of a list takes a byte or more.
    mutating func readCount() throws(ApusError) -> Int {
        let count = Int(try read(UInt32.self))
        guard count <= bytes.count - position else { throw Self.invalid("a list says that it has \(count) items") }
        return count
    }

    /// The next `count` bytes; they are valid while `body` runs.
    public mutating func take<Value>(_ count: Int, _ body: (UnsafeRawBufferPointer) -> Value) throws(ApusError) -> Value {
        guard count >= 0, count <= bytes.count - position else { throw Self.invalid("it ends too soon") }
        defer { position += count }
        return bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[position..<position + count])) }
    }
}
