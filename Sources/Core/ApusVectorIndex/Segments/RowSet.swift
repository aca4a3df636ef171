/// Some rows of a segment: a bit for each.
struct RowSet: Sendable {
    /// Of the segment.
    let rows: Int
    private(set) var words: [UInt64]
    private(set) var count: Int

    init(rows: Int) {
        self.rows = rows
        words = [UInt64](repeating: 0, count: (rows + 63) / 64)
        count = 0
    }

    func contains(_ row: Int) -> Bool { words[row >> 6] & 1 << UInt64(row & 63) != 0 }

    mutating func insert(_ row: Int) {
        guard !contains(row) else { return }
        words[row >> 6] |= 1 << UInt64(row & 63)
        count += 1
    }

    /// Rows of 4 bytes each; those that the segment does not have are left out: the list may have rotted.
    mutating func insert(list: UnsafeRawBufferPointer) {
        let rows = UInt32(clamping: rows)
        var added = 0
        words.withUnsafeMutableBufferPointer { words in
            for index in 0..<list.count / 4 {
                let row: UInt32 = list.number(at: index * 4)
                guard row < rows else { continue }
                let word = words[Int(row >> 6)]
                let bit = UInt64(1) << UInt64(row & 63)
                added += word & bit == 0 ? 1 : 0
                words[Int(row >> 6)] = word | bit
            }
        }
        count += added
    }

    mutating func formUnion(_ other: RowSet) { combine(other) { $0 | $1 } }
    mutating func formIntersection(_ other: RowSet) { combine(other) { $0 & $1 } }
    mutating func subtract(_ other: RowSet) { combine(other) { $0 & ~$1 } }

    var complement: RowSet {
        var all = RowSet(rows: rows)
        for index in all.words.indices { all.words[index] = .max }
        if rows % 64 != 0 { all.words[all.words.count - 1] = .max >> UInt64(64 - rows % 64) }
        all.count = rows
        all.subtract(self)
        return all
    }

    /// Both are of the same segment.
    private mutating func combine(_ other: RowSet, _ operation: (UInt64, UInt64) -> UInt64) {
        var sum = 0
        words.withUnsafeMutableBufferPointer { words in
            other.words.withUnsafeBufferPointer { others in
                for index in 0..<min(words.count, others.count) {
                    words[index] = operation(words[index], others[index])
                    sum += words[index].nonzeroBitCount
                }
            }
        }
        count = sum
    }

    func forEach(_ body: (Int) -> Void) {
        for (number, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                body(number << 6 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
    }

    /// The first so many.
    func prefix(_ limit: Int) -> [Int] {
        var found: [Int] = []
        for (number, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                guard found.count < limit else { return found }
                found.append(number << 6 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
        return found
    }

    var bytes: Int { words.count * 8 }
}
