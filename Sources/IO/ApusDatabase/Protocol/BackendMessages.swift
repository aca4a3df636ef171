/// Messages from a PostgreSQL server, taken out of the bytes as they come
/// (https://www.postgresql.org/docs/15/protocol-message-formats.html).
struct BackendMessages: ~Copyable {
    private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.usual, alignment: 8)
    private var start = 0
    private var end = 0
    /// Of a longer message nothing is kept but that it came.
    private let limit: Int
    /// Of one that is not kept, what has not come yet.
    private var skipped = 0

    private static let usual = 1 << 15

    /// A message, which is there until the next is asked for.
    struct Message {
        var kind: UInt8
        /// Empty when it was too long.
        var body: UnsafeRawBufferPointer
        var isTooLong = false
    }

    /// The server does not keep to its protocol.
    struct Malformed: Error {}

    init(limit: Int) { self.limit = limit }

    deinit { buffer.deallocate() }

    /// Gives the free space to `read`, which tells how much it filled; whether it filled all.
    mutating func receive(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
        let space = UnsafeMutableRawBufferPointer(rebasing: buffer[end...])
        let count = read(space)
        end += count
        return count == space.count
    }

    /// Nil until one has come whole.
    mutating func next() throws(Malformed) -> Message? {
        let over = min(skipped, end - start)
        start += over
        skipped -= over
        guard end - start >= 5 else {
            makeSpace(for: 5)
            return nil
        }
        let length = Int(Int32(bigEndian: buffer.loadUnaligned(fromByteOffset: start + 1, as: Int32.self)))
        guard length >= 4 else { throw Malformed() }
        if length > limit {
            skipped = 1 + length
            return Message(kind: buffer[start], body: UnsafeRawBufferPointer(rebasing: buffer[start..<start]), isTooLong: true)
        }
        guard end - start >= 1 + length else {
            makeSpace(for: 1 + length)
            return nil
        }
        let message = Message(
            kind: buffer[start], body: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[(start + 5)..<(start + 1 + length)]))
        start += 1 + length
        return message
    }

    /// Moves what has not been taken to the front of a buffer that holds a message of `size` bytes.
    private mutating func makeSpace(for size: Int) {
        let left = end - start
        let wanted = size <= Self.usual ? Self.usual : size
        if buffer.count < wanted || (buffer.count > wanted && left <= wanted) {
            let grown = UnsafeMutableRawBufferPointer.allocate(byteCount: wanted, alignment: 8)
            grown.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<end]))
            buffer.deallocate()
            buffer = grown
        } else if start > 0 {
            buffer.baseAddress?.copyMemory(from: UnsafeRawPointer(buffer.baseAddress! + start), byteCount: left)  // never empty
        }
        start = 0
        end = left
    }
}

extension UnsafeRawBufferPointer {
    /// The columns of a DataRow; nil where it is none. NULL is -1.
    func eachColumn(_ body: (_ start: UnsafeRawPointer, _ count: Int) -> Void) -> (columns: Int, bytes: Int)? {
        guard count >= 2, let base = baseAddress else { return nil }
        let columns = Int(Int16(bigEndian: loadUnaligned(as: Int16.self)))
        var offset = 2
        guard columns >= 0 else { return nil }
        for _ in 0..<columns {
            guard offset + 4 <= count else { return nil }
            let length = Int(Int32(bigEndian: loadUnaligned(fromByteOffset: offset, as: Int32.self)))
            offset += 4
            guard length >= -1, offset + Swift.max(0, length) <= count else { return nil }
            body(base + offset, length)
            offset += Swift.max(0, length)
        }
        return (columns, offset)
    }

    /// The types of a RowDescription's columns, by their numbers in the server's catalog; nil where it is none.
    var columnTypes: [UInt32]? {
        guard count >= 2 else { return nil }
        let columns = Int(Int16(bigEndian: loadUnaligned(as: Int16.self)))
        var types: [UInt32] = []
        var offset = 2
        for _ in 0..<Swift.max(0, columns) {
            // A name; its table and its number there, the type, three more numbers.
            guard let end = self[offset...].firstIndex(of: 0), end + 19 <= count else { return nil }
            types.append(UInt32(bigEndian: loadUnaligned(fromByteOffset: end + 7, as: UInt32.self)))
            offset = end + 19
        }
        return offset == count ? types : nil
    }

    /// Texts of an ErrorResponse or NoticeResponse by their codes.
    var reportFields: [UInt8: String] {
        var fields: [UInt8: String] = [:]
        var rest = self[...]
        while let code = rest.popFirst(), code != 0, let end = rest.firstIndex(of: 0) {
            fields[code] = String(decoding: rest[rest.startIndex..<end], as: UTF8.self)
            rest = rest[(end + 1)...]
        }
        return fields
    }
}
