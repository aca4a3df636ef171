/// How what a field tells is kept, as `@cache` says.
public struct CachingRule: Sendable, Hashable {
    /// Nil: as long as the configuration says.
    public var lifetime: Duration?
    /// Names that it can be invalidated by.
    public var tags: [String]

    public static let longestLifetime: Duration = .seconds(7 * 86_400)
    private static let mostTags = 16
    private static let longestTag = 128

    /// `lifetime` as `@cache(ttl:)` gives it: seconds, or `90s`, `1h30m`, `5 minutes`, `PT1M30S`. A key is one more tag.
    public init(lifetime: String?, key: String?, tags: [String]) throws(CachingProblem) {
        if let lifetime {
            guard let duration = Self.duration(lifetime), .zero < duration, duration <= Self.longestLifetime else {
                throw CachingProblem(
                    message: "@cache(ttl: …) must be up to 7 days, such as 60, \"90s\", \"5 minutes\" or \"PT1H\", not \"\(lifetime)\"")
            }
            self.lifetime = duration
        }
        self.tags = tags + (key.map { [$0] } ?? [])
        guard self.tags.count <= Self.mostTags, self.tags.allSatisfy({ (1...Self.longestTag).contains($0.utf8.count) }) else {
            throw CachingProblem(message: "@cache takes up to \(Self.mostTags) tags, each of 1 to \(Self.longestTag) bytes")
        }
    }

    /// Numbers with units, one behind the other.
    static func duration(_ text: String) -> Duration? {
        if let seconds = Double(text) { return seconds.isFinite && abs(seconds) < 1e9 ? .seconds(seconds) : nil }
        var rest = text.lowercased().filter { $0 != " " }[...]
        // Of ISO 8601: before the T come days only, because months are not all of one length.
        let isISO = rest.hasPrefix("p")
        if isISO { rest = rest.dropFirst() }
        var isTime = !isISO
        var sum = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            if isISO, rest.first == "t" {
                isTime = true
                rest = rest.dropFirst()
            }
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            let unit = rest.dropFirst(number.count).prefix { $0.isLetter && !(isISO && $0 == "t") }
            guard let value = Double(number), value < 1e9, let seconds = units[String(unit)], isTime || unit == "d" else { return nil }
            sum += value * seconds
            rest = rest.dropFirst(number.count + unit.count)
        }
        return .seconds(sum)
    }

    private static let units: [String: Double] = [
        "ms": 0.001, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60, "h": 3600, "hour": 3600,
        "hours": 3600, "d": 86_400, "day": 86_400, "days": 86_400,
    ]
}

/// What is wrong with a `@cache`.
public struct CachingProblem: Error, Sendable, Hashable {
    public var message: String
}
