/// Text of a database as JSON, from bytes to bytes: nothing here makes a `String` of a value.
extension ReplyBuffer {
    /// Whether the text is a value of the format; if not, what was written is of no use. `isChecked`: the database may hold in a column what
    /// it wants (SQLite), so that JSON and UTF-8 are looked at, too.
    @inline(__always)
    mutating func write(_ bytes: UnsafeRawBufferPointer, as format: ValueFormat, isChecked: Bool) -> Bool {
        if format.isList { return writeList(bytes, of: format.scalar, isChecked) }
        return write(bytes, as: format.scalar, isChecked)
    }

    @inline(__always)
    mutating func write(_ bytes: UnsafeRawBufferPointer, as format: ValueFormat.Scalar, _ isChecked: Bool) -> Bool {
        switch format {
        case .integer, .int32, .count: return writeInteger(bytes)
        case .number: return writeNumber(bytes)
        case .text, .interval, .h3Cell:
            if isChecked, !Self.isUTF8(bytes) { return false }
            quote(bytes)
            return true
        case .boolean: return writeBoolean(bytes)
        case .timestamp: return writeInstant(bytes, hasZone: true)
        case .dateTime: return writeInstant(bytes, hasZone: false)
        case .date: return writeDate(bytes)
        case .time: return writeTime(bytes)
        case .json, .geometry:
            if isChecked { return writeChecked(bytes) }
            append(bytes)
            return true
        }
    }

    // MARK: Texts

    /// Copied eight bytes at a time while none needs an escape.
    @inline(__always)
    mutating func quote(_ bytes: UnsafeRawBufferPointer) {
        reserve(bytes.count &+ 10)
        put(Ascii.quote)
        guard let start = bytes.baseAddress else { return put(Ascii.quote) }
        var at = 0
        while at &+ 8 <= bytes.count {
            let word = (start + at).loadUnaligned(as: UInt64.self)
            if Self.needsEscape(word) { return escape(bytes, from: at) }
            put(word)
            at &+= 8
        }
        while at < bytes.count {
            let byte = (start + at).load(as: UInt8.self)
            if Self.needsEscape(byte) { return escape(bytes, from: at) }
            put(byte)
            at &+= 1
        }
        put(Ascii.quote)
    }

    /// Whether one of eight bytes is a quotation mark, a backslash or below a space (Mycroft's test for zero and lesser bytes).
    @inline(__always)
    private static func needsEscape(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let high: UInt64 = 0x8080_8080_8080_8080
        let quotes = word ^ (ones &* 0x22)
        let slashes = word ^ (ones &* 0x5c)
        let below = (word &- ones &* 0x20) & ~word
        return (below | ((quotes &- ones) & ~quotes) | ((slashes &- ones) & ~slashes)) & high != 0
    }

    @inline(__always)
    private static func needsEscape(_ byte: UInt8) -> Bool { byte < 0x20 || byte == Ascii.quote || byte == Ascii.backslash }

    /// The rest of a text in which something needs an escape, and the quotation mark behind it.
    @inline(never)
    private mutating func escape(_ bytes: UnsafeRawBufferPointer, from start: Int) {
        var copied = start
        for at in start..<bytes.count where Self.needsEscape(bytes[at]) {
            append(UnsafeRawBufferPointer(rebasing: bytes[copied..<at]))
            copied = at &+ 1
            reserve(6)
            put(Ascii.backslash)
            switch bytes[at] {
            case 0x08: put(UInt8(ascii: "b"))
            case 0x09: put(UInt8(ascii: "t"))
            case 0x0a: put(UInt8(ascii: "n"))
            case 0x0c: put(UInt8(ascii: "f"))
            case 0x0d: put(UInt8(ascii: "r"))
            case let byte where byte < 0x20:
                append("u00")
                append(Self.hexadecimal(byte >> 4))
                append(Self.hexadecimal(byte & 15))
            case let byte: put(byte)
            }
        }
        append(UnsafeRawBufferPointer(rebasing: bytes[copied...]))
        append(Ascii.quote)
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 { digit < 10 ? Ascii.zero + digit : UInt8(ascii: "a") + digit - 10 }

    static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
        String(validating: bytes.bindMemory(to: UInt8.self), as: UTF8.self) != nil
    }

    // MARK: Numbers

    /// Digits, behind a sign if there is one; a fraction of zeros is dropped.
    @inline(__always)
    private mutating func writeInteger(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count > 0, bytes.count <= 4096 else { return false }
        reserve(bytes.count)
        var at = 0
        if bytes[0] == Ascii.minus {
            put(Ascii.minus)
            at = 1
        }
        let first = at
        while at < bytes.count, bytes[at] &- Ascii.zero <= 9 {
            put(bytes[at])
            at &+= 1
        }
        guard at > first, bytes[first] != Ascii.zero || at == first &+ 1 else { return false }
        return at == bytes.count || Self.isFractionOfZeros(bytes, at)
    }

    private static func isFractionOfZeros(_ bytes: UnsafeRawBufferPointer, _ point: Int) -> Bool {
        bytes[point] == Ascii.point && bytes.count > point + 1 && bytes[(point + 1)...].allSatisfy { $0 == Ascii.zero }
    }

    @inline(__always)
    private mutating func writeNumber(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if JSONScanner.isNumber(bytes) {
            append(bytes)
            return true
        }
        guard Self.isNoFiniteNumber(bytes) else { return false }
        append("null")
        return true
    }

    /// `NaN`, `Infinity`, `-Infinity`, `inf`, `-Inf`: JSON has no word for them.
    private static func isNoFiniteNumber(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let word = bytes.drop { $0 == Ascii.minus }.map { $0 | 0x20 }
        return [Array("nan".utf8), Array("infinity".utf8), Array("inf".utf8)].contains(word)
    }

    private mutating func writeBoolean(_ bytes: UnsafeRawBufferPointer) -> Bool {
        switch (bytes.count, bytes.first) {
        case (1, UInt8(ascii: "t")), (1, UInt8(ascii: "1")): append("true")
        case (1, UInt8(ascii: "f")), (1, Ascii.zero): append("false")
        case (4, _) where bytes.elementsEqual("true".utf8): append("true")
        case (5, _) where bytes.elementsEqual("false".utf8): append("false")
        default: return false
        }
        return true
    }

    // MARK: Times

    private static func isDate(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
        bytes.count == 10 && bytes.enumerated().allSatisfy { $0 == 4 || $0 == 7 ? $1 == Ascii.minus : $1 &- Ascii.zero <= 9 }
    }

    private static func isTime(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
        bytes.count == 8 && bytes.enumerated().allSatisfy { $0 == 2 || $0 == 5 ? $1 == UInt8(ascii: ":") : $1 &- Ascii.zero <= 9 }
    }

    /// What databases write for dates that have no place in a calendar of four digits: `infinity`, years before Christ and after 9999.
    private static func isFarDate(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.elementsEqual("infinity".utf8) || bytes.elementsEqual("-infinity".utf8) || bytes.suffix(3).elementsEqual(" BC".utf8)
            || (bytes.count > 10 && bytes[4] &- Ascii.zero <= 9 && bytes.prefix(while: { $0 &- Ascii.zero <= 9 }).count > 4)
    }

    private mutating func writeDate(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard Self.isDate(bytes[...]) || Self.isFarDate(bytes) else { return false }
        quote(bytes)
        return true
    }

    /// `2026-01-01 00:00:00.5+00` becomes `"2026-01-01T00:00:00.5Z"`.
    private mutating func writeInstant(_ bytes: UnsafeRawBufferPointer, hasZone: Bool) -> Bool {
        guard bytes.count >= 19, Self.isDate(bytes[..<10]), Self.isTime(bytes[11..<19]), bytes[10] == 0x20 || bytes[10] == UInt8(ascii: "T")
        else {
            guard Self.isFarDate(bytes) else { return false }
            quote(bytes)
            return true
        }
        var offset = 19
        if offset < bytes.count, bytes[offset] == Ascii.point {
            repeat { offset &+= 1 } while offset < bytes.count && bytes[offset] &- Ascii.zero <= 9
        }
        guard Self.isOffset(bytes[offset...]) else {
            guard Self.isFarDate(bytes) else { return false }
            quote(bytes)
            return true
        }
        reserve(bytes.count &+ 8)
        put(Ascii.quote)
        append(UnsafeRawBufferPointer(rebasing: bytes[..<offset]))
        base.storeBytes(of: UInt8(ascii: "T"), toByteOffset: count &- offset &+ 10, as: UInt8.self)
        if !hasZone || !bytes[offset...].contains(where: { $0 &- 0x31 <= 8 }) {
            put(UInt8(ascii: "Z"))
        } else {
            append(UnsafeRawBufferPointer(rebasing: bytes[offset...]))
            if bytes.count &- offset == 3 { append(":00") }
        }
        append(Ascii.quote)
        return true
    }

    /// Nothing, `Z`, `+01`, `-05:30`.
    private static func isOffset(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
        guard let sign = bytes.first else { return true }
        if sign == UInt8(ascii: "Z") { return bytes.count == 1 }
        return (sign == UInt8(ascii: "+") || sign == Ascii.minus) && bytes.count >= 3
            && bytes.dropFirst().allSatisfy { $0 &- Ascii.zero <= 10 }
    }

    private mutating func writeTime(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 8, Self.isTime(bytes[..<8]) else { return false }
        let fraction = bytes.dropFirst(8).prefix { $0 == Ascii.point || $0 &- Ascii.zero <= 9 }
        guard fraction.isEmpty || fraction.first == Ascii.point, Self.isOffset(bytes[fraction.endIndex...]) else { return false }
        append(Ascii.quote)
        append(UnsafeRawBufferPointer(rebasing: bytes[..<fraction.endIndex]))
        if fraction.isEmpty { append(Ascii.point) }
        for _ in 0..<max(0, 10 - max(1, fraction.count)) { append(Ascii.zero) }
        append(Ascii.quote)
        return true
    }

    // MARK: JSON

    /// JSON that somebody else wrote, if it is JSON.
    private mutating func writeChecked(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard JSONScanner.isValue(bytes), Self.isUTF8(bytes) else { return false }
        append(bytes)
        return true
    }

    /// A JSON array whose elements, at any depth, are written as values of the format.
    private mutating func writeList(_ bytes: UnsafeRawBufferPointer, of format: ValueFormat.Scalar, _ isChecked: Bool) -> Bool {
        if !isChecked, format == .text || format == .json || format == .boolean {
            append(bytes)
            return true
        }
        if isChecked, !Self.isUTF8(bytes) { return false }
        var scanner = JSONScanner(bytes)
        guard scanner.peek() == UInt8(ascii: "[") else { return false }
        return writeElements(&scanner, format, isChecked, depth: 0) && scanner.isAtEnd()
    }

    private mutating func writeElements(
        _ scanner: inout JSONScanner, _ format: ValueFormat.Scalar, _ isChecked: Bool, depth: Int
    ) -> Bool {
        guard depth < JSONScanner.mostDepth, scanner.take(UInt8(ascii: "[")) else { return false }
        append(UInt8(ascii: "["))
        var isFirst = true
        while !scanner.take(UInt8(ascii: "]")) {
            if !isFirst {
                guard scanner.take(UInt8(ascii: ",")) else { return false }
                append(UInt8(ascii: ","))
            }
            isFirst = false
            if format != .json, scanner.peek() == UInt8(ascii: "[") {
                guard writeElements(&scanner, format, isChecked, depth: depth + 1) else { return false }
                continue
            }
            guard let element = scanner.takeValue() else { return false }
            if format == .json || element.elementsEqual("null".utf8) {
                append(element)
            } else if element.first == Ascii.quote {
                let inside = UnsafeRawBufferPointer(rebasing: element[1..<(element.count - 1)])
                if format == .text { append(element) } else if !write(inside, as: format, false) { return false }
            } else if !write(element, as: format, false) {
                return false
            }
        }
        append(UInt8(ascii: "]"))
        return true
    }
}

/// Characters that JSON is made of.
enum Ascii {
    static let quote = UInt8(ascii: "\"")
    static let backslash = UInt8(ascii: "\\")
    static let minus = UInt8(ascii: "-")
    static let point = UInt8(ascii: ".")
    static let zero = UInt8(ascii: "0")
}
