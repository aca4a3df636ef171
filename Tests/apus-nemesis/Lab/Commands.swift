internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import TestKit

/// Programs of the system that the lab runs.
enum Commands {
    static let path = "/usr/sbin:/usr/bin:/sbin:/bin"

    /// Runs one to its end. Throws what it printed unless it succeeded.
    static func run(_ words: String..., within time: Duration = .seconds(20)) async throws { try await run(words, within: time) }

    static func run(_ words: [String], within time: Duration = .seconds(20), environment: [String: String] = [:]) async throws {
        let (exit, output) = try await outcome(of: words, within: time, environment: environment)
        guard exit == .status(0) else { throw ApusError(.processFailed, "\(words.joined(separator: " ")): \(exit): \(output)") }
    }

    /// How one ended, and what it printed.
    static func outcome(
        of words: [String], within time: Duration = .seconds(20), environment: [String: String] = [:]
    ) async throws -> (exit: ChildProcess.Exit, output: String) {
        let output = try TemporaryDirectory()
        let command = ChildProcess.Command(
            words[0], Array(words.dropFirst()), environment: ["PATH": path].merging(environment) { $1 }, output: .file(output.path + "/out")
        )
        let process = try await ChildProcess.start(command, on: TestLoops.shared.first)
        let timer = Deadlines.shared.schedule(at: BootClock.now.advanced(by: time)) { process.send(signal: SIGKILL) }
        let exit = await process.wait()
        timer?()
        return (exit, textFile(output.path + "/out") ?? "")
    }

    static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        let bytes = Array(text.utf8)
        defer { if descriptor >= 0 { close(descriptor) } }
        guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw ApusError(.outputUncreatable, "\(path) cannot be written")
        }
    }
}
