import ApusTypes
import Foundation
import TestKit

/// The least, the middle and the greatest of some rounds' measurements.
struct Spread {
    var min: Double
    var median: Double
    var max: Double

    /// Of at least one value.
    init(_ values: [Double]) {
        let sorted = values.sorted()
        precondition(!sorted.isEmpty, "a benchmark measures at least one round")
        min = sorted[0]
        median = sorted.count % 2 == 1 ? sorted[sorted.count / 2] : (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
        max = sorted[sorted.count - 1]
    }

    var json: JSONValue { .object(["min": Self.json(min), "median": Self.json(median), "max": Self.json(max)]) }

    /// Four significant digits: no measurement here is better than that.
    static func json(_ value: Double) -> JSONValue {
        guard value.isFinite, value != 0 else { return .double(value.isFinite ? 0 : -1) }
        let scale = pow(10, 3 - floor(log10(abs(value))))
        return .double((value * scale).rounded() / scale)
    }
}

/// What a benchmark found: a table for people, one JSON object for machines, and a file under `Benchmarks/results/`.
struct BenchReport {
    let name: String
    /// Comparisons within one run; what goals are set for.
    private var ratios: [(String, Spread)] = []
    private var figures: [(String, JSONValue)] = []
    private var table: [[String]] = []

    init(_ name: String) { self.name = name }

    mutating func ratio(_ key: String, _ rounds: [Double]) { ratios.append((key, Spread(rounds))) }
    mutating func figure(_ key: String, _ value: Double) { figures.append((key, Spread.json(value))) }
    mutating func figure(_ key: String, _ rounds: [Double]) { figures.append((key, Spread(rounds).json)) }

    /// What was searched.
    mutating func describe(_ data: BenchData) {
        figure("points", Double(data.points.count))
        figure("dimension", Double(data.points.dimension))
        figure("queries", Double(data.queries.count))
    }

    /// What else the machine did in the minute before.
    mutating func describeMachine() {
        var load = 0.0
        getloadavg(&load, 1)
        figure("load_average_before", load)
    }

    /// A line of the table; the first line is its head.
    mutating func row(_ cells: String...) { row(cells) }
    mutating func row(_ cells: [String]) { table.append(cells) }

    /// Prints the table and, as the last line, the JSON object; keeps that with date, processor and commit.
    func finish() throws {
        printTable()
        for (key, spread) in ratios {
            print("\(key): \(Self.short(spread.median)) (\(Self.short(spread.min)) to \(Self.short(spread.max)))")
        }
        let result: [(String, JSONValue)] = [
            ("bench", .string(name)), ("ratios", .object(JSONObject(ratios.map { ($0.0, $0.1.json) }))),
            ("figures", .object(JSONObject(figures))),
        ]
        let date = Date().formatted(.iso8601)
        let context: [(String, JSONValue)] = [
            ("date", .string(date)), ("processor", .string(Self.processor)),
            ("cores", .integer(Int64(ProcessInfo.processInfo.processorCount))),
            ("commit", .string(WorkingCopy.commit)),
        ]
        let directory = URL(fileURLWithPath: "Benchmarks/results")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let file = directory.appending(path: "\(name)-\(date.replacing(":", with: "")).json")
        try Data(JSONValue.object(JSONObject(context + result)).serialized() + [10]).write(to: file)
        print("kept as \(file.relativePath)")
        print(JSONValue.object(JSONObject(result)).description)
    }

    /// A number with as many digits as a reader wants.
    static func short(_ value: Double) -> String {
        abs(value) >= 100 ? String(Int(value.rounded())) : String(format: abs(value) >= 10 ? "%.1f" : "%.2f", value)
    }

    private func printTable() {
        let width = table.map(\.count).max() ?? 0
        let widths = (0..<width).map { column in table.compactMap { $0.count > column ? $0[column].count : nil }.max() ?? 0 }
        for row in table {
            let cells = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + padding : padding + cell
            }
            print(cells.joined(separator: "   "))
        }
        print("")
    }

    static var processor: String {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""  // absent elsewhere than on Linux
        let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
    }
}
