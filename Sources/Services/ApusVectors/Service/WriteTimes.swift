internal import ApusRuntime
internal import ApusTypes

/// What the acknowledgement of a write waited for.
struct WriteTimes: Sendable {
    private let commit: Histogram
    private let show: Histogram

    init(_ metrics: MetricsRegistry) {
        // From a tenth of a millisecond to ten seconds, each a half more than the one before.
        let buckets = (0..<29).map { power in (0..<power).reduce(0.0001) { bound, _ in bound * 1.5 } }
        commit = metrics.histogram(
            "apus_vector_commit_duration_seconds", help: "Time that committing a write to the logs took.", buckets: buckets
        ).with()
        show = metrics.histogram(
            "apus_vector_show_duration_seconds", help: "Time from a write's commit until every node that answers shows it.",
            buckets: buckets
        ).with()
    }

    func observe(commit: Duration, show: Duration) {
        self.commit.observe(commit.seconds)
        self.show.observe(show.seconds)
    }
}
