/// How long to wait before a process that has ended is started again: longer each time that it did not last.
struct RestartBackOff: Sendable, Hashable {
    private var ends = 0
    private static let first = Duration.milliseconds(500)
    private static let longest = Duration.seconds(30)
    /// Who ran for so long is not failing at its start.
    private static let settled = Duration.seconds(60)

    /// The pause after an end that came `uptime` after the start.
    mutating func pause(after uptime: Duration) -> Duration {
        if uptime >= Self.settled { ends = 0 }
        defer { ends += 1 }
        return min(Self.first * (1 << min(ends, 10)), Self.longest)
    }
}
