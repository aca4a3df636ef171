internal import ApusRuntime
internal import ApusTypes
internal import Foundation
internal import NemesisKit
internal import TestKit

/// A run's result as a file under `Benchmarks/results`, from which `docs/failures.md` is made.
struct RunReport {
    private let result: RunResult
    private let options: RunOptions

    init(_ result: RunResult, options: RunOptions) {
        self.result = result
        self.options = options
    }

    func finish() throws {
        let liveness = Liveness(result.history)
        let episodes = result.history.episodes.map { episode in Scoreboard.json(episode, liveness.outage(of: episode)) }
        let date = Date().formatted(.iso8601)
        let json: JSONValue = [
            "bench": "nemesis", "date": .string(date), "commit": .string(WorkingCopy.commit), "seed": .string(String(options.seed)),
            "minutes": .double(options.minutes), "faults": .integer(Int64(result.faults)),
            "operations": .integer(Int64(result.operations)), "violations": .array(result.violations.map { .string("\($0)") }),
            "build": .string(Self.build), "processors": .integer(Int64(EventLoops.coreCount)),
            "load_most": .double(result.load), "stalled_seconds": .double(Double(result.stalled.nanoseconds / 1_000_000) / 1000),
            "episodes": .array(episodes),
        ]
        try FileManager.default.createDirectory(atPath: RecordedRun.folder, withIntermediateDirectories: true)
        let file = "\(RecordedRun.folder)/nemesis-\(date.replacing(":", with: "")).json"
        try Data(json.serialized() + [10]).write(to: URL(fileURLWithPath: file))
        print("kept as \(file)")
    }

    #if DEBUG
        private static let build = "debug"
    #else
        private static let build = "release"
    #endif
}
