internal import ApusTypes

/// What the catalog keeps of managed API keys: a digest.
enum ManagedKeys {
    /// In the place of every key.
    static let shown = "********"

    static func digest(of key: Redacted<String>) -> String { Digest(of: "apus managed key\n" + key.reveal()).description }

    /// Milliseconds since 1970 of a time in RFC 3339, or as SQLite writes it; nil for anything else.
    static func instant(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int? {
            guard range.upperBound <= bytes.count, bytes[range].allSatisfy({ (48...57).contains($0) }) else { return nil }
            return bytes[range].reduce(0) { $0 * 10 + Int($1) - 48 }
        }
        guard bytes.count >= 10, bytes[4] == 45, bytes[7] == 45, let year = number(0..<4), let month = number(5..<7),
            let day = number(8..<10), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var seconds = 0
        var rest = bytes[10...]
        if !rest.isEmpty {
            guard bytes.count >= 19, [84, 116, 32].contains(bytes[10]), bytes[13] == 58, bytes[16] == 58, let hour = number(11..<13),
                let minute = number(14..<16), let second = number(17..<19), hour < 24, minute < 60, second <= 60
            else { return nil }
            seconds = hour * 3600 + minute * 60 + second
            rest = bytes[19...]
        }
        var milliseconds = 0
        if rest.first == 46 {
            let digits = rest.dropFirst().prefix { (48...57).contains($0) }
            guard !digits.isEmpty else { return nil }
            milliseconds = (digits.map { Int($0) - 48 } + [0, 0]).prefix(3).reduce(0) { $0 * 10 + $1 }
            if digits.count == 1 { milliseconds = (Int(digits.first ?? 48) - 48) * 100 }
            rest = rest.dropFirst(digits.count + 1)
        }
        var offset = 0
        switch rest.first {
        case nil: break
        case 90?, 122?: guard rest.count == 1 else { return nil }
        case 43?, 45?:
            let start = rest.startIndex + 1
            let digits = Array(rest.dropFirst()).filter { $0 != 58 }
            guard digits.count == 4 || digits.count == 2, let hours = number(start..<start + 2) else { return nil }
            let minutes = digits.count == 4 ? Int(digits[2] - 48) * 10 + Int(digits[3]) - 48 : 0
            offset = (rest.first == 45 ? -1 : 1) * (hours * 3600 + minutes * 60)
        default: return nil
        }
        return Int64(daysSinceEpoch(year, month, day) * 86_400 + seconds - offset) * 1000 + Int64(milliseconds)
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms", 2013).
    private static func daysSinceEpoch(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
