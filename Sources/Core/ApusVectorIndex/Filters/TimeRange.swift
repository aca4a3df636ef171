/// A moment in microseconds since 1970, UTC.
public struct PayloadTime: Sendable, Hashable, Comparable {
    public let microseconds: Int64

    init(microseconds: Int64) { self.microseconds = microseconds }

    public static func < (left: PayloadTime, right: PayloadTime) -> Bool { left.microseconds < right.microseconds }

    /// Reads RFC 3339 and its everyday relatives: the date alone, `T` or a space before the time, seconds and a fraction or not (what is
    /// finer than a microsecond is cut off), a zone `Z`, `UTC`, `+02:00`, `+0200` or `+02`, UTC where there is none. Nil for all else.
    public init?(_ text: some Sequence<UInt8>) {
        var reader = TimeReader(text)
        guard let microseconds = reader.read() else { return nil }
        self.microseconds = microseconds
    }
}

/// Bounds of a moment; those that are nil do not bound.
public struct TimeRange: Sendable, Hashable {
    public var after: PayloadTime?
    public var atLeast: PayloadTime?
    public var before: PayloadTime?
    public var atMost: PayloadTime?

    public init(after: PayloadTime? = nil, atLeast: PayloadTime? = nil, before: PayloadTime? = nil, atMost: PayloadTime? = nil) {
        self.after = after
        self.atLeast = atLeast
        self.before = before
        self.atMost = atMost
    }

    func contains(_ time: PayloadTime) -> Bool {
        if let after, time <= after { return false }
        if let atLeast, time < atLeast { return false }
        if let before, time >= before { return false }
        if let atMost, time > atMost { return false }
        return true
    }
}

private struct TimeReader {
    private var rest: ArraySlice<UInt8>

    init(_ text: some Sequence<UInt8>) { rest = Array(text).drop { $0 == UInt8(ascii: " ") } }

    mutating func read() -> Int64? {
        guard rest.count <= 64, let year = number(4...4), take("-"), let month = number(1...2), take("-"), let day = number(1...2),
            (1...12).contains(month), (1...Self.days(month, year)).contains(day), year > 0
        else { return nil }
        let midnight = Self.days(since: year, month, day) * 86_400_000_000
        if rest.isEmpty { return midnight }
        guard take("T") || take(" "), let hour = number(1...2), take(":"), let minute = number(1...2), hour < 24, minute < 60 else {
            return nil
        }
        var time = midnight + (hour * 60 + minute) * 60_000_000
        if rest.isEmpty { return time }
        guard take(":"), let second = number(1...2), second < 60 else { return nil }
        time += second * 1_000_000
        if take(".") {
            guard let fraction = fraction() else { return nil }
            time += fraction
        }
        guard let zone = zone() else { return nil }
        return time - zone * 1_000_000
    }

    /// Seconds east of UTC; the text ends after it.
    private mutating func zone() -> Int64? {
        if rest.isEmpty { return 0 }
        _ = take(" ")
        if rest.elementsEqual("Z".utf8) || rest.elementsEqual("z".utf8) || rest.elementsEqual("UTC".utf8) { return 0 }
        let isWest = rest.first == UInt8(ascii: "-")
        guard take("+") || take("-"), let hours = number(2...2), hours < 24 else { return nil }
        var seconds = hours * 3600
        if !rest.isEmpty {
            _ = take(":")
            guard let minutes = number(2...2), minutes < 60, rest.isEmpty else { return nil }
            seconds += minutes * 60
        }
        return isWest ? -seconds : seconds
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func number(_ digits: ClosedRange<Int>) -> Int64? {
        var value: Int64 = 0
        var count = 0
        while count < digits.upperBound, let byte = rest.first, (48...57).contains(byte) {
            value = value * 10 + Int64(byte - 48)
            count += 1
            rest.removeFirst()
        }
        return digits.contains(count) ? value : nil
    }

    /// Microseconds.
    private mutating func fraction() -> Int64? {
        var value: Int64 = 0
        var count = 0
        while let byte = rest.first, (48...57).contains(byte) {
            if count < 6 { value = value * 10 + Int64(byte - 48) }
            count += 1
            rest.removeFirst()
        }
        for _ in min(count, 6)..<6 { value *= 10 }
        return count == 0 ? nil : value
    }

    private static func days(_ month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01 (H. Hinnant, chrono-compatible low-level date algorithms, 2013).
    private static func days(since year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = year / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
