internal import ApusTypes

/// A cluster's status, again and again: what has changed since the last look becomes rates.
struct StatusWatch {
    private var before: [String: (requests: Int64, failures: Int64, at: Instant)] = [:]

    struct Rate: Hashable {
        var requests: Double
        var failures: Double
    }

    /// Requests and failures each second, of each node that answered now and at the last look. A node that has started anew begins anew.
    mutating func rates(_ vitals: JSONValue, at now: Instant) -> [String: Rate] {
        var rates: [String: Rate] = [:]
        var seen: [String: (requests: Int64, failures: Int64, at: Instant)] = [:]
        for node in vitals["nodes"]?.asArray ?? [] {
            guard let name = node["node"]?.asString, let requests = node["requests_total"]?.asInteger,
                let failures = node["failures_total"]?.asInteger
            else { continue }
            seen[name] = (requests, failures, now)
            guard let last = before[name], last.requests <= requests, last.at < now else { continue }
            let seconds = last.at.duration(to: now).seconds
            rates[name] = Rate(
                requests: Double(requests - last.requests) / seconds, failures: Double(max(0, failures - last.failures)) / seconds)
        }
        before = seen
        return rates
    }

    /// One line for a log: `3 of 3 nodes active, 12 of 12 shards served, 0 moves, 120 requests/s, 0 failures/s, tolerance 0`.
    static func line(_ status: JSONValue, _ rates: [String: Rate]) -> String {
        let nodes = status["nodes"]?.asArray ?? []
        let active = nodes.count { $0["status"] == "active" }
        let shards = status["shards"]
        func number(_ value: JSONValue?) -> String { Outline.plain(value ?? .null) }
        func sum(_ part: KeyPath<Rate, Double>) -> String {
            rates.isEmpty ? "?" : String(Int(rates.values.reduce(0) { $0 + $1[keyPath: part] }.rounded()))
        }
        return [
            "\(active) of \(nodes.count) nodes active", "\(number(shards?["served"])) of \(number(shards?["total"])) shards served",
            "\(status["moves"]?.asArray?.count ?? 0) moves", "\(sum(\.requests)) requests/s", "\(sum(\.failures)) failures/s",
            "failure tolerance \(number(status["failure_tolerance"]?["nodes"]))",
        ].joined(separator: ", ")
    }
}
