public import ApusTypes

/// The tables of `docs/benchmarks.md` about queries, from results of `make bench-query`: the benchmark prints them, and a test compares.
public struct QueryTables {
    private var figures: [String: JSONValue] = [:]

    private static let operations = ["by-pk", "list 100 x 6", "nested 20 x 5 x 1", "filtered", "aggregation", "write"]
    private static let connections = [1, 16, 64]

    /// Each of `results` may have other operations; of one that several have the last counts.
    public init(_ results: [JSONValue]) {
        for result in results {
            for part in ["figures", "ratios"] {
                for (key, value) in result[part]?.asObject ?? [:] { figures[key] = value }
            }
        }
    }

    public var markdown: String {
        var text = table(
            "pgbench/s | Apus/s | to pgbench: min | median | max | p50, ms | p99, ms | CPU µs | peak, MB",
            [
                "*_pgbench_per_second", "*_per_second", "*_to_pgbench.min", "*_to_pgbench", "*_to_pgbench.max", "*_p50_ms", "*_p99_ms",
                "*_cpu_us", "*_peak_mb",
            ])
        text += "\n"
        text += table(
            "Python/s | p50, ms | p99, ms | CPU µs | peak, MB | Apus to it: min | median | max",
            [
                "*_python_per_second", "*_python_p50_ms", "*_python_p99_ms", "*_python_cpu_us", "*_python_peak_mb", "*_to_python.min",
                "*_to_python", "*_to_python.max",
            ])
        text += "\n"
        text += table(
            "kept by the node/s | p50, ms | p99, ms | CPU µs | kept in Redis/s | p50, ms | p99, ms | CPU µs",
            ["l1", "redis"].flatMap { cache in ["per_second", "p50_ms", "p99_ms", "cpu_us"].map { "*_\(cache)_\($0)" } })
        return text
    }

    /// `columns`: figures, with an asterisk for the operation and the connections, and behind a point which of its rounds; else the middle one.
    private func table(_ head: String, _ columns: [String]) -> String {
        var text = "| operation, connections | \(head) |\n|---|" + columns.map { _ in "---|" }.joined() + "\n"
        for operation in Self.operations {
            for connections in Self.connections {
                let name = operation.split(separator: " ").joined(separator: "_") + "_\(connections)"
                let cells = columns.map { column in
                    let parts = column.split(separator: ".")
                    let key = parts[0].split(separator: "*", omittingEmptySubsequences: false).joined(separator: name)
                    return figures[key]?[parts.count > 1 ? String(parts[1]) : "median"]?.asDouble.map(Self.short) ?? ""
                }
                guard cells.contains(where: { !$0.isEmpty }) else { continue }
                text += "| \(operation), \(connections) | \(cells.joined(separator: " | ")) |\n"
            }
        }
        return text
    }

    /// With as many digits as a reader wants.
    private static func short(_ value: Double) -> String {
        guard value < 100 else {
            var digits = Array(String(Int(value.rounded())))
            for place in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: place) }
            return String(digits)
        }
        let places = value < 10 ? 2 : 1
        let scaled = Int((value * (places == 2 ? 100 : 10)).rounded())
        let (whole, rest) = scaled.quotientAndRemainder(dividingBy: places == 2 ? 100 : 10)
        return "\(whole)." + String(repeating: "0", count: places - String(rest).count) + "\(rest)"
    }
}
