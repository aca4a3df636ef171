/// A point on the machine's boot-time clock, which goes on while the machine is suspended and never jumps.
///
/// Instants of two machines, or of two boots, cannot be compared; what crosses a machine is a `Duration`.
public struct Instant: InstantProtocol, Hashable, Sendable {
    public typealias Duration = Swift.Duration

    public let nanosecondsSinceBoot: Int64

    public init(nanosecondsSinceBoot: Int64) { self.nanosecondsSinceBoot = nanosecondsSinceBoot }

    public func advanced(by duration: Duration) -> Instant {
        Instant(nanosecondsSinceBoot: nanosecondsSinceBoot.saturatingAdd(duration.nanoseconds))
    }

    public func duration(to other: Instant) -> Duration { .nanoseconds(other.nanosecondsSinceBoot - nanosecondsSinceBoot) }

    public static func < (left: Instant, right: Instant) -> Bool { left.nanosecondsSinceBoot < right.nanosecondsSinceBoot }

    public static let distantFuture = Instant(nanosecondsSinceBoot: .max)
}

/// A clock that machines are driven by. Production uses the boot-time clock of the event loops; tests own theirs.
public protocol MonotonicClock: Clock, Sendable where Instant == ApusTypes.Instant {
    /// Wall-clock time, for people and files only: never compared between machines, never used for a decision.
    var wallTime: WallTime { get }
}

/// Milliseconds since 1970-01-01T00:00:00Z.
public struct WallTime: Hashable, Comparable, Sendable {
    public let millisecondsSinceEpoch: Int64

    public init(millisecondsSinceEpoch: Int64) { self.millisecondsSinceEpoch = millisecondsSinceEpoch }

    public static func < (left: WallTime, right: WallTime) -> Bool { left.millisecondsSinceEpoch < right.millisecondsSinceEpoch }
}

extension WallTime: CustomStringConvertible {
    /// RFC 3339 in UTC with milliseconds: `2026-11-21T10:05:30.123Z`.
    public var description: String {
        let days = Int((Double(millisecondsSinceEpoch) / 86_400_000).rounded(.down))
        let inDay = Int(millisecondsSinceEpoch) - days * 86_400_000
        // Days to civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013).
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func pad(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let time = "\(pad(inDay / 3_600_000, 2)):\(pad(inDay / 60_000 % 60, 2)):\(pad(inDay / 1000 % 60, 2)).\(pad(inDay % 1000, 3))"
        return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(time)Z"
    }
}

extension Duration {
    /// Whole nanoseconds, saturating at about 292 years.
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        return product.saturatingAdd(attoseconds / 1_000_000_000)
    }

    public var seconds: Double { Double(nanoseconds) / 1e9 }
    public var milliseconds: Int64 { nanoseconds / 1_000_000 }
}

extension Int64 {
    /// Sum that stops at the ends of the range instead of trapping.
    func saturatingAdd(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}
