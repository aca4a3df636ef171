/// Questions about single bytes, as HTTP's grammar asks them. Two 64-bit masks instead of a table: no memory is touched.
enum ASCII {
    /// `tchar` of RFC 9110, 5.6.2: what method and field names are made of.
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        byte < 128 && ((byte < 64 ? tokenLow : tokenHigh) >> UInt64(byte & 63)) & 1 == 1
    }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }

    /// A control character other than the horizontal tab.
    @inline(__always)
    static func isControl(_ byte: UInt8) -> Bool { (byte < 32 && byte != 9) || byte == 127 }

    @inline(__always)
    static func lowered(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 32 : byte }

    /// Whether `bytes` spell `word`, which is in lower case, without regard to case.
    @inline(__always)
    static func same(_ bytes: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
        guard bytes.count == word.utf8CodeUnitCount else { return false }
        let start = word.utf8Start
        for index in 0..<bytes.count where lowered(bytes[index]) != start[index] { return false }
        return true
    }

    /// Value of a hexadecimal digit, or nil.
    static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }

    /// A field value as a string: UTF-8, or Latin-1 as older clients send it, so that nothing is lost.
    static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        // ASCII, which nearly all are, needs no second look: validating costs several times as much.
        if bytes.allSatisfy({ $0 < 128 }) { return String(decoding: bytes, as: UTF8.self) }
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        return String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    /// `bytes` as an identifier that may be logged and echoed: 1-128 letters, digits and `-_.:/+=@`; else nil.
    static func saneIdentifier(_ bytes: UnsafeRawBufferPointer) -> String? {
        guard (1...128).contains(bytes.count), bytes.allSatisfy(isIdentifier) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isIdentifier(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122: true
        default: "-_.:/+=@".utf8.contains(byte)
        }
    }

    // Bit n of the first is character n, of the second character 64 + n. The tests spell them out.
    private static let tokenLow: UInt64 = 0x03ff_6cfa_0000_0000
    private static let tokenHigh: UInt64 = 0x57ff_ffff_c7ff_fffe
}
