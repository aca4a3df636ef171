internal import ApusTypes
internal import Foundation
internal import NemesisKit

/// What runs have left: their histories, and their results.
enum RecordedRun {
    static let folder = "Benchmarks/results"

    static func read(_ path: String) throws -> History {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        // Half a line at the end is what a killed recorder leaves.
        let whole = text.prefix(upTo: text.lastIndex(of: "\n") ?? text.startIndex)
        return try History(lines: whole.split(separator: "\n").map { try HistoryLine(JSONValue(parsing: Array($0.utf8))) })
    }

    /// Of all runs that are kept, by their date.
    static func results() throws -> [JSONValue] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("nemesis-") && $0.hasSuffix(".json") }.sorted()
            .map { try JSONValue(parsing: Array(try Data(contentsOf: URL(fileURLWithPath: folder + "/" + $0)))) }
    }
}
