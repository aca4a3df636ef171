/// Writes protocol buffers' wire format. As in version 3 of the language, a field that has its default value is left out.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(64) }

    mutating func integer(_ field: Int, _ value: some BinaryInteger) { if value != 0 { present(field, value) } }

    /// An integer for which 0 says something else than nothing.
    mutating func present(_ field: Int, _ value: some BinaryInteger) {
        varint(UInt64(field << 3))
        varint(UInt64(truncatingIfNeeded: value))
    }

    mutating func string(_ field: Int, _ value: String) { if !value.isEmpty { data(field, value.utf8) } }

    /// A string, bytes or a message that is there even when it is empty.
    mutating func data(_ field: Int, _ value: some Collection<UInt8>) {
        data(field, count: value.count)
        bytes += value
    }

    /// Begins a field of `count` bytes, which follow.
    mutating func data(_ field: Int, count: Int) {
        varint(UInt64(field << 3 | 2))
        varint(UInt64(count))
    }

    mutating func message(_ field: Int, _ body: (inout ProtobufWriter) -> Void) {
        var writer = ProtobufWriter()
        body(&writer)
        data(field, writer.bytes)
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
