/// Values of Arrow's columns from a database's text. Nil for what is none.
enum ColumnText {
    @inline(__always)
    static func integer(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        var at = 0
        let isNegative = bytes.count > 0 && bytes[0] == Ascii.minus
        if isNegative { at = 1 }
        let first = at
        var value: Int64 = 0
        while at < bytes.count {
            let digit = bytes[at] &- Ascii.zero
            guard digit <= 9 else { break }
            let (tens, isOver) = value.multipliedReportingOverflow(by: 10)
            let (next, isOverToo) =
                isNegative ? tens.subtractingReportingOverflow(Int64(digit)) : tens.addingReportingOverflow(Int64(digit))
            guard !isOver, !isOverToo else { return nil }
            value = next
            at &+= 1
        }
        guard at > first else { return nil }
        if at == bytes.count { return value }
        // A sum of whole numbers may be told with a fraction of zeros.
        guard bytes[at] == Ascii.point, bytes.count > at + 1 else { return nil }
        return bytes[(at + 1)...].allSatisfy { $0 == Ascii.zero } ? value : nil
    }

    static let powers: [Double] = [
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ]

    /// Correctly rounded: digits that fit 53 bits over a power of ten that a double holds exactly need one division (Clinger, 1990); all
    /// else is the standard library's.
    @inline(__always)
    static func number(_ bytes: UnsafeRawBufferPointer) -> Double? {
        var at = 0
        let isNegative = bytes.count > 0 && bytes[0] == Ascii.minus
        if isNegative { at = 1 }
        var digits: UInt64 = 0
        var count = 0
        var point = -1
        while at < bytes.count, count <= 15 {
            let byte = bytes[at]
            if byte == Ascii.point, point < 0 {
                point = count
            } else {
                let digit = byte &- Ascii.zero
                guard digit <= 9 else { break }
                digits = digits &* 10 &+ UInt64(digit)
                count &+= 1
            }
            at &+= 1
        }
        guard at == bytes.count, count > 0, count <= 15 else { return slowNumber(bytes) }
        let value = Double(digits) / powers[point < 0 ? 0 : count &- point]
        return isNegative ? -value : value
    }

    @inline(never)
    private static func slowNumber(_ bytes: UnsafeRawBufferPointer) -> Double? {
        bytes.count < 512 ? Double(String(decoding: bytes, as: UTF8.self)) : nil
    }

    static func boolean(_ bytes: UnsafeRawBufferPointer) -> Bool? {
        switch (bytes.count, bytes.first) {
        case (1, UInt8(ascii: "t")), (1, UInt8(ascii: "1")): true
        case (1, UInt8(ascii: "f")), (1, Ascii.zero): false
        case (4, _) where bytes.elementsEqual("true".utf8): true
        case (5, _) where bytes.elementsEqual("false".utf8): false
        default: nil
        }
    }

    // MARK: Times

    private static func digits(_ bytes: UnsafeRawBufferPointer, _ at: inout Int, _ count: ClosedRange<Int>) -> Int64? {
        var value: Int64 = 0
        let start = at
        while at < bytes.count, at &- start < count.upperBound, bytes[at] &- Ascii.zero <= 9 {
            value = value &* 10 &+ Int64(bytes[at] &- Ascii.zero)
            at &+= 1
        }
        return at &- start >= count.lowerBound ? value : nil
    }

    private static func take(_ byte: UInt8, _ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at &+= 1
        return true
    }

    /// `2026-01-31`, perhaps with more digits of a year.
    private static func day(_ bytes: UnsafeRawBufferPointer, _ at: inout Int, isBeforeChrist: Bool) -> Int64? {
        guard let year = digits(bytes, &at, 4...6), take(Ascii.minus, bytes, &at), let month = digits(bytes, &at, 2...2), 1...12 ~= month,
            take(Ascii.minus, bytes, &at), let day = digits(bytes, &at, 2...2), 1...31 ~= day
        else { return nil }
        return days(isBeforeChrist ? 1 - year : year, month, day)
    }

    /// Since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2021).
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let ofEra = year - era * 400
        let ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
    }

    /// Microseconds of `12:30:00.5`.
    private static func timeOfDay(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Int64? {
        let colon = UInt8(ascii: ":")
        guard let hours = digits(bytes, &at, 2...2), take(colon, bytes, &at), let minutes = digits(bytes, &at, 2...2),
            take(colon, bytes, &at), let seconds = digits(bytes, &at, 2...2), hours <= 24, minutes < 60, seconds <= 60
        else { return nil }
        var micros: Int64 = 0
        if take(Ascii.point, bytes, &at) {
            let start = at
            guard let fraction = digits(bytes, &at, 1...6) else { return nil }
            micros = fraction
            for _ in 0..<(6 - (at - start)) { micros *= 10 }
            // Databases tell no more than these, and what is finer has no place.
            while at < bytes.count, bytes[at] &- Ascii.zero <= 9 { at += 1 }
        }
        return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros
    }

    /// Seconds of `+01`, `-05:30`, `+01:23:45`, `Z` or nothing.
    private static func offset(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Int64? {
        guard at < bytes.count else { return 0 }
        if take(UInt8(ascii: "Z"), bytes, &at) { return 0 }
        let isNegative = bytes[at] == Ascii.minus
        guard isNegative || bytes[at] == UInt8(ascii: "+") else { return 0 }
        at += 1
        guard var seconds = digits(bytes, &at, 2...2) else { return nil }
        for _ in 0..<2 {
            seconds *= 60
            if take(UInt8(ascii: ":"), bytes, &at) {
                guard let part = digits(bytes, &at, 2...2) else { return nil }
                seconds += part
            }
        }
        return isNegative ? -seconds : seconds
    }

    private static func isBeforeChrist(_ bytes: inout UnsafeRawBufferPointer) -> Bool {
        guard bytes.suffix(3).elementsEqual(" BC".utf8) else { return false }
        bytes = UnsafeRawBufferPointer(rebasing: bytes.dropLast(3))
        return true
    }

    /// Days since 1970-01-01.
    static func date(_ text: UnsafeRawBufferPointer) -> Int64? {
        var bytes = text
        let isBeforeChrist = isBeforeChrist(&bytes)
        var at = 0
        guard let day = day(bytes, &at, isBeforeChrist: isBeforeChrist), at == bytes.count else { return nil }
        return day
    }

    /// Microseconds of a day; a zone is left out, as it is in JSON.
    static func time(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        var at = 0
        guard let time = timeOfDay(bytes, &at), offset(bytes, &at) != nil, at == bytes.count else { return nil }
        return time
    }

    /// Microseconds since 1970-01-01 in UTC; without a zone as if it were UTC's.
    static func instant(_ text: UnsafeRawBufferPointer) -> Int64? {
        var bytes = text
        let isBeforeChrist = isBeforeChrist(&bytes)
        var at = 0
        guard let day = day(bytes, &at, isBeforeChrist: isBeforeChrist) else { return nil }
        if at == bytes.count { return day * 86_400_000_000 }
        guard take(0x20, bytes, &at) || take(UInt8(ascii: "T"), bytes, &at), let time = timeOfDay(bytes, &at),
            let offset = offset(bytes, &at), at == bytes.count
        else { return nil }
        let (whole, isOver) = day.multipliedReportingOverflow(by: 86_400_000_000)
        return isOver ? nil : whole &+ time &- offset * 1_000_000
    }

    /// ISO 8601: `P1Y2M3DT4H5M6.7S`, each part with a sign of its own.
    static func interval(_ bytes: UnsafeRawBufferPointer) -> (months: Int32, days: Int32, nanoseconds: Int64)? {
        var at = 0
        guard take(UInt8(ascii: "P"), bytes, &at) else { return nil }
        var (months, days, nanoseconds): (Int64, Int64, Int64) = (0, 0, 0)
        var isTime = false
        while at < bytes.count {
            if take(UInt8(ascii: "T"), bytes, &at) { isTime = true }
            let isNegative = take(Ascii.minus, bytes, &at)
            guard var number = digits(bytes, &at, 1...12) else { return nil }
            var fraction: Int64 = 0
            if take(Ascii.point, bytes, &at) {
                let start = at
                guard let part = digits(bytes, &at, 1...9) else { return nil }
                fraction = part
                for _ in 0..<(9 - (at - start)) { fraction *= 10 }
            }
            if isNegative { (number, fraction) = (-number, -fraction) }
            guard at < bytes.count else { return nil }
            let unit = bytes[at]
            at += 1
            switch (unit, isTime) {
            case (UInt8(ascii: "Y"), false): months += number * 12
            case (UInt8(ascii: "M"), false): months += number
            case (UInt8(ascii: "W"), false): days += number * 7
            case (UInt8(ascii: "D"), false): days += number
            case (UInt8(ascii: "H"), true): nanoseconds &+= number &* 3_600_000_000_000
            case (UInt8(ascii: "M"), true): nanoseconds &+= number &* 60_000_000_000
            case (UInt8(ascii: "S"), true): nanoseconds &+= number &* 1_000_000_000 &+ fraction
            default: return nil
            }
            guard fraction == 0 || unit == UInt8(ascii: "S") else { return nil }
        }
        guard let months = Int32(exactly: months), let days = Int32(exactly: days) else { return nil }
        return (months, days, nanoseconds)
    }
}
