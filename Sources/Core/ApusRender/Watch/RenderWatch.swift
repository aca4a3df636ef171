public import ApusTypes

/// Decides when a rendered configuration is written and its balancer reloaded: not more often than the timings allow, and the last one
/// always in the end.
///
/// Whoever drives it renders again and again, and tells it: `rendered`, then `action`; after a `.write`, `installed` or `refused`. A text is
/// checked by the balancer's own program before it takes the old one's place, so a refused one changes nothing.
public struct RenderWatch: Sendable {
    public enum Action: Sendable, Hashable {
        /// Check this text, put it in the place of the file, and reload.
        case write(String)
        /// There is something to write, but not yet.
        case wait(until: Instant)
        /// The file is as it should be.
        case rest
    }

    /// Why the file is not as it should be.
    public struct Refusal: Sendable, Hashable {
        public var reason: String
        /// When the first text was refused that was not followed by an accepted one.
        public var since: Instant
        var text: String
        var again: Instant
    }

    private let interval: Duration
    private let repetition: Duration
    private var wanted: String?
    private var written: String?
    private var next = Instant(nanosecondsSinceBoot: .min)
    public private(set) var refusal: Refusal?

    /// `written` is what is in the file already. A text that was refused is tried again after `repetition`: a name that could not be looked
    /// up then may be known by then.
    public init(written: String? = nil, timings: LoadBalancerTimings = LoadBalancerTimings(), repetition: Duration = .seconds(30)) {
        self.written = written
        self.repetition = repetition
        interval = timings.reloadInterval
    }

    public mutating func rendered(_ text: String) {
        wanted = text
        if text == written { refusal = nil }
    }

    public func action(at now: Instant) -> Action {
        guard let wanted, wanted != written else { return .rest }
        let earliest = refusal?.text == wanted ? refusal?.again ?? next : next
        return now < earliest ? .wait(until: earliest) : .write(wanted)
    }

    /// The text is in the file, and the balancer was reloaded.
    public mutating func installed(_ text: String, at now: Instant) {
        written = text
        refusal = nil
        next = now.advanced(by: interval)
    }

    /// The balancer's program refused the text, or could not be told; the file is what it was.
    public mutating func refused(_ text: String, reason: String, at now: Instant) {
        refusal = Refusal(reason: reason, since: refusal?.since ?? now, text: text, again: now.advanced(by: repetition))
        next = now.advanced(by: interval)
    }
}
