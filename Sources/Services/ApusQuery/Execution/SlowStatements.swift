internal import ApusQueryPlan
public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// Statements of data sources that took long since the node started, or since they were cleared: what an operator mends first. They are told
/// as they were sent, with places for values: nothing that a client gave is in them.
public final class SlowStatements: Sendable {
    private struct Key: Hashable {
        var source: String
        /// Empty for a function that speaks no SQL.
        var text: String
        /// Of the reply: keys from the root.
        var field: [String]
    }

    private struct Entry {
        var count = 0
        var total = Duration.zero
        var longest = Duration.zero
        var last = WallTime(millisecondsSinceEpoch: 0)
    }

    /// A list that is too long to be read helps nobody; the one that was slow last the longest ago makes room.
    private static let most = 200

    private let threshold: Duration
    private let entries = Mutex<[Key: Entry]>([:])
    private let counted: CounterFamily

    /// `threshold`: what takes as long is slow; with the wait for a connection, which is how clients see it.
    public init(threshold: Duration, metrics: MetricsRegistry) {
        self.threshold = threshold
        counted = metrics.counter(
            "apus_query_slow_statements_total", help: "Statements that took query.slow_seconds or longer.", labels: ["source"])
    }

    func note(_ statement: StatementPlan, since start: Instant) {
        let time = start.duration(to: BootClock.now)
        guard time >= threshold else { return }
        counted.with(statement.source).increment()
        let key = Key(source: statement.source, text: statement.action == nil ? statement.sql.text : "", field: statement.path)
        entries.withLock { entries in
            if entries[key] == nil, entries.count >= Self.most, let oldest = entries.min(by: { $0.value.last < $1.value.last }) {
                entries[oldest.key] = nil
            }
            var entry = entries[key] ?? Entry()
            entry.count += 1
            entry.total += time
            entry.longest = max(entry.longest, time)
            entry.last = BootClock().wallTime
            entries[key] = entry
        }
    }

    /// Those that took most time of all first: `source`, `field` (dots between), `sql`, `count`, `seconds`, `longest_seconds`, `last`.
    public var document: JSONValue {
        let sorted = entries.withLock { $0.sorted { $0.value.total > $1.value.total } }
        return .array(
            sorted.map { key, entry in
                [
                    "source": .string(key.source), "field": .string(key.field.joined(separator: ".")), "sql": .string(key.text),
                    "count": .integer(Int64(entry.count)), "seconds": .double(entry.total.seconds),
                    "longest_seconds": .double(entry.longest.seconds), "last": .string("\(entry.last)"),
                ]
            })
    }

    public func clear() { entries.withLock { $0.removeAll() } }
}
