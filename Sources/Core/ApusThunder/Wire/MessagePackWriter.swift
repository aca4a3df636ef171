internal import CMPack

/// Writes MessagePack into bytes, with libmpack.
struct MessagePackWriter {
    private(set) var bytes: [UInt8]

    init(reserving capacity: Int) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    mutating func array(_ count: Int) { put(mpack_pack_array(UInt32(count))) }
    mutating func map(_ count: Int) { put(mpack_pack_map(UInt32(count))) }
    mutating func bool(_ value: Bool) { put(mpack_pack_boolean(value ? 1 : 0)) }
    mutating func integer(_ value: Int64) { put(value < 0 ? mpack_pack_sint(value) : mpack_pack_uint(UInt64(value))) }

    /// Always 64 bits, as the protocol wants it; libmpack by itself would shorten what 32 bits can hold.
    mutating func double(_ value: Double) {
        var token = mpack_token_t()
        token.type = MPACK_TOKEN_FLOAT
        token.length = 8
        token.data.value.lo = UInt32(truncatingIfNeeded: value.bitPattern)
        token.data.value.hi = UInt32(truncatingIfNeeded: value.bitPattern >> 32)
        put(token)
    }

    mutating func string(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            put(mpack_pack_str(UInt32(utf8.count)))
            bytes.append(contentsOf: utf8)
        }
    }

    mutating func binary(_ value: [UInt8]) {
        put(mpack_pack_bin(UInt32(value.count)))
        bytes.append(contentsOf: value)
    }

    private mutating func put(_ token: mpack_token_t) {
        var token = token
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(MPACK_MAX_TOKEN_LEN)) { scratch in
            var buffer = mpack_tokbuf_t()
            var cursor = scratch.baseAddress
            var left = scratch.count
            let status = mpack_write(&buffer, &cursor, &left, &token)
            precondition(status == Int32(MPACK_OK), "a token fits into \(scratch.count) bytes")
            for byte in scratch.prefix(scratch.count - left) { bytes.append(UInt8(bitPattern: byte)) }
        }
    }
}
