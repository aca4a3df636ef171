internal import ApusTypes

/// Reads protocol buffers' wire format, field by field. The bytes must outlive what is read.
struct ProtobufReader {
    struct Field {
        /// 0 for a field that is not there.
        var number = 0
        /// Of an integer; 0 for bytes.
        var integer: UInt64 = 0
        /// Of a string, bytes or a message; empty for an integer.
        var bytes = UnsafeRawBufferPointer(start: nil, count: 0)

        var integer32: UInt32 { UInt32(truncatingIfNeeded: integer) }
        var string: String { String(decoding: bytes, as: UTF8.self) }
        var data: [UInt8] { Array(bytes) }
    }

    private var rest: UnsafeRawBufferPointer.SubSequence

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes[...] }

    /// The next field; nil at the end. Throws `protocol.invalid` for what is not the format.
    mutating func next() throws(ApusError) -> Field? {
        guard !rest.isEmpty else { return nil }
        let tag = try varint()
        guard case let number = Int(tag >> 3), number > 0 else { throw Self.invalid }
        switch tag & 7 {
        case 0: return Field(number: number, integer: try varint())
        case 1: return Field(number: number, bytes: try take(8))
        case 2: return Field(number: number, bytes: try take(varint()))
        case 5: return Field(number: number, bytes: try take(4))
        default: throw Self.invalid
        }
    }

    private mutating func varint() throws(ApusError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard let byte = rest.popFirst() else { break }
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        throw Self.invalid
    }

    private mutating func take(_ count: UInt64) throws(ApusError) -> UnsafeRawBufferPointer {
        guard count <= UInt64(rest.count) else { throw Self.invalid }
        defer { rest = rest.dropFirst(Int(count)) }
        return UnsafeRawBufferPointer(rebasing: rest.prefix(Int(count)))
    }

    private static let invalid = ApusError(.protocolInvalid, "the message is not what its protocol says")
}

/// The bytes as a message.
extension UnsafeRawBufferPointer {
    /// The fields of that number.
    func fields(_ number: Int) throws(ApusError) -> [ProtobufReader.Field] {
        var reader = ProtobufReader(self)
        var found: [ProtobufReader.Field] = []
        while let field = try reader.next() { if field.number == number { found.append(field) } }
        return found
    }

    /// The last field of that number, as the format has it; one with default values if there is none.
    func field(_ number: Int) throws(ApusError) -> ProtobufReader.Field {
        var reader = ProtobufReader(self)
        var found = ProtobufReader.Field()
        while let field = try reader.next() { if field.number == number { found = field } }
        return found
    }
}
