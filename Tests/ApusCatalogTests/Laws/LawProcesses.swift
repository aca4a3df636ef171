import ApusRuntime
import ApusTypes
import CatalogTestKit
import Foundation
import TestKit

/// Runs a workload in processes of their own: `LawProcess`, which is built beside the test bundle.
enum LawProcesses {
    /// Starts `count` processes named `p0`, `p1`, …; waits for all; gives the lines they printed. Throws what one complained of.
    static func run(
        _ count: Int, _ command: String, url: Redacted<String>, writers: Int, requests: Int, seed: Int, extra: [String] = []
    ) async throws -> [String] {
        try await withThrowingTaskGroup(of: [String].self) { group in
            for process in 0..<count {
                group.addTask {
                    let directory = try TemporaryDirectory()
                    let output = directory.path + "/output"
                    let arguments = [
                        command, "process=p\(process)", "writers=\(writers)", "requests=\(requests)", "seed=\(seed + process)",
                        "seconds=900",
                    ]
                    let child = try await ChildProcess.start(
                        .init(
                            try BuiltProgram.path("LawProcess"), arguments + extra, environment: ["APUS_LAW_DATABASE": url.reveal()],
                            output: .file(output)),
                        on: TestLoops.shared.first)
                    let exit = await child.wait()
                    let text = try String(contentsOfFile: output, encoding: .utf8)
                    guard exit == .status(0) else { throw TestKitError("LawProcess \(command) ended with \(exit): \(text.suffix(2000))") }
                    return text.split(separator: "\n").map(String.init)
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }
}
