internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// The server's metrics, as all loops share them.
final class ServerMetrics: Sendable {
    let requests: CounterFamily
    let durations: HistogramFamily
    let turnedAway: CounterFamily
    let broken: Counter
    let received: Counter
    let sent: Counter
    private let connections: GaugeFamily
    private let registry: MetricsRegistry

    init(_ registry: MetricsRegistry) {
        self.registry = registry
        requests = registry.counter(
            "apus_http_requests_total", help: "Requests answered, by the reply's status.", labels: ["listener", "method", "status"])
        durations = registry.histogram(
            "apus_http_request_duration_seconds", help: "Time from a request's head to the end of its reply.", labels: ["listener"],
            buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30])
        turnedAway = registry.counter(
            "apus_http_connections_refused_total", help: "Connections answered 503 because a connection limit was reached.",
            labels: ["listener"])
        connections = registry.gauge("apus_http_connections", help: "Open connections.", labels: ["listener"])
        broken = registry.counter(
            "apus_http_replies_broken_total", help: "Replies that ended early: the client left or stalled, or the handler failed midway."
        ).with()
        received = registry.counter("apus_http_received_bytes_total", help: "Bytes read from clients, as they came over the wire.").with()
        sent = registry.counter("apus_http_sent_bytes_total", help: "Bytes written to clients, as they went over the wire.").with()
    }

    /// Lets each scrape see how many connections `listener` has.
    func watch(_ listener: Listener) {
        let gauge = connections.with(listener.name)
        registry.onScrape { [weak listener] in gauge.set(Double(listener?.connections.load(ordering: .relaxed) ?? 0)) }
    }
}

/// One loop's way to the series of `apus_http_requests_total` that it counts often, without their lock.
struct RequestCounters {
    private let family: CounterFamily
    private var known: [Key: Counter] = [:]
    private var last: (key: Key, counter: Counter)?

    private struct Key: Hashable {
        var listener: ObjectIdentifier
        var method: Method
        var status: Int
    }

    init(_ family: CounterFamily) { self.family = family }

    mutating func count(_ listener: Listener, _ method: Method, _ status: Int) {
        let key = Key(listener: ObjectIdentifier(listener), method: method, status: status)
        if let last, last.key == key { return last.counter.increment() }
        let counter = known[key] ?? family.with(listener.name, method.rawValue, String(status))
        known[key] = counter
        last = (key, counter)
        counter.increment()
    }
}
