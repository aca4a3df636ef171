internal import CMPack

/// Reads MessagePack token by token, with libmpack: it allocates nothing and believes no length field, so that depth and sizes are bounded
/// by what is really there.
struct MessagePackReader: ~Copyable {
    enum Token: Equatable {
        case null
        case bool(Bool)
        case integer(Int64)
        /// Only above `Int64.max`.
        case unsigned(UInt64)
        case double(Double)
        /// So many bytes follow: `take(_:)` them.
        case string(Int)
        case binary(Int)
        case `extension`(Int)
        /// So many values follow.
        case array(Int)
        /// So many pairs of values follow.
        case map(Int)
    }

    /// Not MessagePack, or it ends within a value.
    struct Malformed: Error {}

    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    /// `bytes` must outlive the reader.
    init(_ bytes: UnsafeRawBufferPointer, from start: Int = 0) {
        self.bytes = bytes
        position = start
    }

    var remaining: Int { bytes.count - position }

    @inline(__always)
    mutating func next() throws(Malformed) -> Token {
        var buffer = mpack_tokbuf_t()
        var token = mpack_token_t()
        guard position < bytes.count else { throw Malformed() }
        let start = bytes.baseAddress.map { $0.assumingMemoryBound(to: CChar.self) + position }
        var cursor = start
        var left = bytes.count - position
        guard mpack_read(&buffer, &cursor, &left, &token) == Int32(MPACK_OK) else { throw Malformed() }
        position = bytes.count - left
        let length = Int(token.length)
        switch token.type {
        case MPACK_TOKEN_NIL: return .null
        case MPACK_TOKEN_BOOLEAN: return .bool(token.data.value.lo != 0)
        case MPACK_TOKEN_UINT:
            let value = Self.word(token)
            return Int64(exactly: value).map(Token.integer) ?? .unsigned(value)
        case MPACK_TOKEN_SINT: return .integer(Int64(mpack_unpack_sint(token)))
        case MPACK_TOKEN_FLOAT:
            return .double(length == 4 ? Double(Float(bitPattern: token.data.value.lo)) : Double(bitPattern: Self.word(token)))
        case MPACK_TOKEN_STR: return .string(length)
        case MPACK_TOKEN_BIN: return .binary(length)
        case MPACK_TOKEN_EXT: return .extension(length)
        case MPACK_TOKEN_ARRAY: return .array(length)
        case MPACK_TOKEN_MAP: return .map(length)
        default: throw Malformed()
        }
    }

    private static func word(_ token: mpack_token_t) -> UInt64 { UInt64(token.data.value.hi) << 32 | UInt64(token.data.value.lo) }

    /// The next `count` bytes: the content of a string or of binary data.
    mutating func take(_ count: Int) throws(Malformed) -> UnsafeRawBufferPointer {
        guard count <= remaining else { throw Malformed() }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    /// Reads past one value, whatever it holds.
    mutating func skip() throws(Malformed) {
        var left = 1
        while left > 0 {
            // Every value takes a byte at least, so what is announced beyond that is not there.
            guard left <= remaining else { throw Malformed() }
            left -= 1
            switch try next() {
            case .string(let count), .binary(let count), .extension(let count): _ = try take(count)
            case .array(let count): left += count
            case .map(let count): left += 2 * count
            case .null, .bool, .integer, .unsigned, .double: break
            }
        }
    }
}
