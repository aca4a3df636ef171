internal import ApusQueryPlan
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// How long statements take, by the response fields that they are for. Those of one field may run at the same time; all of it counts.
final class Stopwatch: Sendable {
    private let times = Mutex<[[String]: Duration]>([:])

    func note(_ path: [String], since start: Instant) {
        times.withLock { $0[path, default: .zero] += start.duration(to: BootClock.now) }
    }

    /// Of the field, and of those in it.
    func time(of path: [String]) -> Duration {
        times.withLock { $0.reduce(.zero) { $1.key.starts(with: path) ? $0 + $1.value : $0 } }
    }
}

/// The times of an operation and its fields that were asked for with `@stats`.
public struct QueryStats: Sendable {
    struct Field: Sendable {
        var path: [String]
        var name: String
        /// Of its statements. What was kept took none.
        var execution: Duration
    }

    /// Of an operation that was asked for as a whole.
    var operation: String?
    /// Until it was known what to ask the sources.
    var planning: Duration
    var total: Duration
    var fields: [Field]

    /// Nil where nothing was asked for.
    init?(_ plan: OperationPlan, _ stopwatch: Stopwatch?, planning: Duration, total: Duration) {
        guard let stopwatch else { return nil }
        operation = plan.measuredName
        self.planning = planning
        self.total = total
        fields = plan.measuredFields.map { Field(path: $0.path, name: $0.name, execution: stopwatch.time(of: $0.path)) }
    }

    func told(_ field: Field) -> JSONObject {
        [
            "name": .string(field.name), "planning_time": .string(planning.words), "exec_time": .string(field.execution.words),
            "node_time": .string((planning + field.execution).words),
        ]
    }

    func told(operation: String) -> JSONObject {
        ["name": .string(operation), "parse_time": .string(planning.words), "total_time": .string(total.words)]
    }
}

extension Duration {
    /// As programs in Go write it, which Hugr's clients read: `21.6s`, `1.96875ms`, `212.791µs`.
    var words: String {
        let nanoseconds = components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
        func written(_ unit: Int64, _ name: String, digits: Int) -> String {
            let rest = String(String(nanoseconds % unit + unit).suffix(digits)).reversed().drop { $0 == "0" }.reversed()
            return "\(nanoseconds / unit)" + (rest.isEmpty ? "" : "." + String(rest)) + name
        }
        return switch nanoseconds {
        case ..<1000: "\(nanoseconds)ns"
        case ..<1_000_000: written(1000, "µs", digits: 3)
        case ..<1_000_000_000: written(1_000_000, "ms", digits: 6)
        default: written(1_000_000_000, "s", digits: 9)
        }
    }
}
