/// Base 64 (RFC 4648).
enum Base64 {
    /// Of the alphabet for URLs without padding, as tokens have it. Nil for any other character: one text, one meaning.
    static func urlDecoded(_ text: some StringProtocol) -> [UInt8]? { decoded(Array(text.utf8), plus: 45, slash: 95) }

    /// Of the usual alphabet. Padding, blanks and line ends do not count.
    static func decoded(_ text: some StringProtocol) -> [UInt8]? {
        decoded(text.utf8.filter { ![61, 32, 10, 13, 9].contains($0) }, plus: 43, slash: 47)
    }

    private static func decoded(_ text: [UInt8], plus: UInt8, slash: UInt8) -> [UInt8]? {
        guard text.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var (buffer, bits): (UInt32, Int) = (0, 0)
        for character in text {
            let value: UInt8
            switch character {
            case 65...90: value = character - 65
            case 97...122: value = character - 71
            case 48...57: value = character + 4
            case plus: value = 62
            case slash: value = 63
            default: return nil
            }
            buffer = buffer << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
            }
        }
        // Bits that are left over say nothing, and must not.
        return buffer & (1 << UInt32(bits) - 1) == 0 ? bytes : nil
    }
}
