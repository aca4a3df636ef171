/// Some rows of a segment: a bit for each.
struct RowSet: Sendable {
    private(set) var words: [UInt64]
    private(set) var count: Int

    init(rows: Int) {
        words = [UInt64](repeating: 0, count: (rows + 63) / 64)
        count = 0
    }

    func contains(_ row: Int) -> Bool { words[row >> 6] & 1 << UInt64(row & 63) != 0 }

    mutating func insert(_ row: Int) {
        guard !contains(row) else { return }
        words[row >> 6] |= 1 << UInt64(row & 63)
        count += 1
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

    var bytes: Int { words.count * 8 }
}
