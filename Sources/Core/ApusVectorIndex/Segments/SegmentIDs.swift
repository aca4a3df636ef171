internal import ApusTypes
internal import CVectorKernels
internal import CXXHash

/// The ids of a segment's rows, as they lie in its bytes.
struct SegmentIDs {
    let count: Int
    let kinds: UnsafeRawBufferPointer
    let words: UnsafeRawBufferPointer
    let text: UnsafeRawBufferPointer
    let table: UnsafeRawBufferPointer
    let order: UnsafeRawBufferPointer

    /// Has a row's id fetched, which is about to be read.
    func prefetch(_ row: Int) {
        apus_prefetch(kinds.baseAddress! + row, 1)  // there is a row
        apus_prefetch(words.baseAddress! + row * 16, 16)
    }

    subscript(row: Int) -> PointID {
        let (first, second): (UInt64, UInt64) = (words.number(at: row * 16), words.number(at: row * 16 + 8))
        switch kinds[row] {
        case 0: return .integer(first)
        case 1: return .uuid(high: first, low: second)
        default:
            // Bytes that rotted after they were verified give some other id, never a read outside.
            let start = Int(clamping: first), end = start &+ Int(clamping: second)
            guard start >= 0, end >= start, end <= text.count else { return .string(ExactString("")) }
            return .string(ExactString(String(decoding: text[start..<end], as: UTF8.self)))
        }
    }

    func row(of id: PointID) -> UInt32? {
        guard count > 0 else { return nil }
        let slots = table.count / 4
        var slot = Int(truncatingIfNeeded: Self.hash(id)) & (slots - 1)
        for _ in 0..<slots {
            let row: UInt32 = table.number(at: slot * 4)
            guard row < count else { return nil }  // an empty slot, or a rotten one
            if self[Int(row)] == id { return row }
            slot = (slot + 1) & (slots - 1)
        }
        return nil
    }

    /// The place in `order` of the first id that is not below `id`.
    func lowerBound(_ id: PointID) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[ordered(middle)] < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The row with the id of that rank.
    func ordered(_ rank: Int) -> Int { min(Int(order.number(at: rank * 4, as: UInt32.self)), count - 1) }

    /// XXH3 of 64 bits over the id's kind and value.
    static func hash(_ id: PointID) -> UInt64 {
        switch id {
        case .integer(let number): return hash(0, number, 0)
        case .uuid(let high, let low): return hash(1, high, low)
        case .string(let text):
            var text = text.text
            return text.withUTF8 { XXH3_64bits($0.baseAddress, $0.count) }
        }
    }

    private static func hash(_ kind: UInt8, _ first: UInt64, _ second: UInt64) -> UInt64 {
        withUnsafeTemporaryAllocation(byteCount: 17, alignment: 8) { bytes in
            bytes.storeBytes(of: first.littleEndian, as: UInt64.self)
            bytes.storeBytes(of: second.littleEndian, toByteOffset: 8, as: UInt64.self)
            bytes[16] = kind
            return XXH3_64bits(bytes.baseAddress, 17)
        }
    }

    /// Slots for `count` ids, a power of two, at most two thirds full.
    static func slots(for count: Int) -> Int {
        var slots = 2
        while slots * 2 < count * 3 { slots *= 2 }
        return slots
    }
}
