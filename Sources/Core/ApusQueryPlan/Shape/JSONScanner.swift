internal import ApusTypes

/// Walks over JSON text (RFC 8259) without making values of it: to check what another wrote, and to find the elements of an array.
struct JSONScanner {
    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    static let mostDepth = 128

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    static func isValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var scanner = JSONScanner(bytes)
        return scanner.takeValue() != nil && scanner.isAtEnd()
    }

    @inline(__always)
    static func isNumber(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var scanner = JSONScanner(bytes)
        return scanner.skipNumber() && scanner.at == bytes.count
    }

    private mutating func skipSpace() {
        while at < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[at]) { at += 1 }
    }

    /// The next byte that is no space.
    mutating func peek() -> UInt8? {
        skipSpace()
        return at < bytes.count ? bytes[at] : nil
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        at += 1
        return true
    }

    mutating func isAtEnd() -> Bool { peek() == nil }

    /// The text of the next value, or nil where none is.
    mutating func takeValue() -> UnsafeRawBufferPointer? {
        skipSpace()
        let start = at
        return skipValue(depth: 0) ? UnsafeRawBufferPointer(rebasing: bytes[start..<at]) : nil
    }

    private mutating func skipValue(depth: Int) -> Bool {
        guard depth < Self.mostDepth, let first = peek() else { return false }
        switch first {
        case UInt8(ascii: "{"): return skipMembers(close: UInt8(ascii: "}"), hasKeys: true, depth)
        case UInt8(ascii: "["): return skipMembers(close: UInt8(ascii: "]"), hasKeys: false, depth)
        case Ascii.quote: return skipString()
        case UInt8(ascii: "t"): return skip("true")
        case UInt8(ascii: "f"): return skip("false")
        case UInt8(ascii: "n"): return skip("null")
        default: return skipNumber()
        }
    }

    private mutating func skipMembers(close: UInt8, hasKeys: Bool, _ depth: Int) -> Bool {
        at += 1
        if take(close) { return true }
        repeat {
            if hasKeys { guard peek() == Ascii.quote, skipString(), take(UInt8(ascii: ":")) else { return false } }
            guard skipValue(depth: depth + 1) else { return false }
        } while take(UInt8(ascii: ","))
        return take(close)
    }

    private mutating func skipString() -> Bool {
        at += 1
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == Ascii.quote { return true }
            if byte < 0x20 { return false }
            guard byte == Ascii.backslash else { continue }
            guard at < bytes.count else { return false }
            let escaped = bytes[at]
            at += 1
            if escaped == UInt8(ascii: "u") {
                guard at + 4 <= bytes.count, bytes[at..<at + 4].allSatisfy(Self.isHexadecimal) else { return false }
                at += 4
            } else if !"\"\\/bfnrt".utf8.contains(escaped) {
                return false
            }
        }
        return false
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        byte &- Ascii.zero <= 9 || (byte | 0x20) &- UInt8(ascii: "a") <= 5
    }

    @inline(__always)
    private mutating func skipDigits() -> Bool {
        let start = at
        while at < bytes.count, bytes[at] &- Ascii.zero <= 9 { at &+= 1 }
        return at > start
    }

    @inline(__always)
    private mutating func skipNumber() -> Bool {
        if at < bytes.count, bytes[at] == Ascii.minus { at &+= 1 }
        let first = at
        guard skipDigits(), bytes[first] != Ascii.zero || at == first &+ 1 else { return false }
        if at < bytes.count, bytes[at] == Ascii.point {
            at &+= 1
            guard skipDigits() else { return false }
        }
        if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at &+= 1
            if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == Ascii.minus { at &+= 1 }
            return skipDigits()
        }
        return true
    }

    private mutating func skip(_ word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard at + length <= bytes.count, bytes[at..<at + length].elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: length))
        else { return false }
        at += length
        return true
    }
}

extension JSONScanner {
    /// What a JSON string says.
    static func text(of string: UnsafeRawBufferPointer) -> String? {
        guard let value = try? JSONValue(parsing: Array(string)) else { return nil }  // no string says nothing
        return value.asString
    }
}
