/// Gives each name of a text one number. Open addressing over the text's own bytes; a name becomes a `String` once, at the end.
struct SymbolTable {
    private var slots: [Int32] = Array(repeating: -1, count: 128)
    private var ranges: [(start: Int32, count: Int32, hash: UInt64)] = []

    mutating func symbol(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Symbol {
        let count = end - start
        let hash = TextHash.hash(bytes, start, end)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] >= 0 {
            let found = slots[slot]
            let range = ranges[Int(found)]
            if range.hash == hash, range.count == count, Self.areEqual(bytes, Int(range.start), start, count) {
                return Symbol(index: found)
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        let index = Int32(ranges.count)
        ranges.append((Int32(start), Int32(count), hash))
        slots[slot] = index
        if 2 * ranges.count > slots.count { grow() }
        return Symbol(index: index)
    }

    func names(_ bytes: UnsafeBufferPointer<UInt8>) -> [String] {
        ranges.map { range in
            String(decoding: UnsafeBufferPointer(rebasing: bytes[Int(range.start)..<Int(range.start + range.count)]), as: UTF8.self)
        }
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: 2 * slots.count)
        for (index, range) in ranges.enumerated() {
            var slot = Int(truncatingIfNeeded: range.hash) & (slots.count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(index)
        }
    }

    private static func areEqual(_ bytes: UnsafeBufferPointer<UInt8>, _ left: Int, _ right: Int, _ count: Int) -> Bool {
        for offset in 0..<count where bytes[left + offset] != bytes[right + offset] { return false }
        return true
    }
}

/// A hash of bytes for tables of one process.
package enum TextHash {
    /// Differs with each process, so that nobody can prepare texts that collide.
    private static let seed = UInt64(truncatingIfNeeded: Hasher().finalize())

    /// Multiply and fold (as wyhash does): eight bytes a step.
    package static func hash(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> UInt64 {
        var hash = seed ^ UInt64(end - start)
        var index = start
        while index < end {
            var word: UInt64 = 0
            let stop = min(index + 8, end)
            while index < stop {
                word = word << 8 | UInt64(bytes[index])
                index += 1
            }
            let product = (hash ^ word ^ 0xA076_1D64_78BD_642F).multipliedFullWidth(by: 0xE703_7ED1_A0B4_28DB)
            hash = product.high ^ product.low
        }
        return hash
    }
}
