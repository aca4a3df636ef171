/// Checks UTF-8 that arrives in pieces, and finds the first wrong byte rather than the end of the text (Unicode 15, table 3-7).
struct UTF8Validator {
    /// Continuation bytes that the character being read still needs.
    private var missing = 0
    /// What the next continuation byte may be.
    private var range: ClosedRange<UInt8> = 0x80...0xBF

    /// Whether the text so far ends with a whole character.
    var isComplete: Bool { missing == 0 }

    /// False when the text with `bytes` added can no longer become valid.
    mutating func accepts(_ bytes: some Sequence<UInt8>) -> Bool {
        for byte in bytes {
            if missing > 0 {
                guard range.contains(byte) else { return false }
                missing -= 1
                range = 0x80...0xBF
                continue
            }
            switch byte {
            case 0x00...0x7F: continue
            case 0xC2...0xDF: missing = 1
            case 0xE0: (missing, range) = (2, 0xA0...0xBF)
            case 0xED: (missing, range) = (2, 0x80...0x9F)  // surrogates
            case 0xE1...0xEF: missing = 2
            case 0xF0: (missing, range) = (3, 0x90...0xBF)
            case 0xF1...0xF3: missing = 3
            case 0xF4: (missing, range) = (3, 0x80...0x8F)
            default: return false
            }
        }
        return true
    }
}
