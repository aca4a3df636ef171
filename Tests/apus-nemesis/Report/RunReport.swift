internal import ApusRuntime
internal import ApusTypes
internal import Foundation
internal import NemesisKit

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
            "bench": "nemesis", "date": .string(date), "commit": .string(Self.commit), "seed": .string(String(options.seed)),
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

    /// Of the working copy; `+` after it says that files were changed.
    private static var commit: String {
        func git(_ arguments: String...) -> String? {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["git"] + arguments
            let output = Pipe()
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            do { try process.run() } catch { return nil }  // no git: the result says "unknown"
            let data = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines) : nil
        }
        guard let commit = git("rev-parse", "--short=12", "HEAD") else { return "unknown" }
        return git("status", "--porcelain", "--untracked-files=no") == "" ? commit : commit + "+"
    }
}
