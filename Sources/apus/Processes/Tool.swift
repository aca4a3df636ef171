internal import ApusRuntime
internal import ApusTypes
internal import Glibc

/// Programs of this machine that do something and end.
struct Tool: Sendable {
    private let environment: [String: String]
    private let loop: EventLoop

    /// Servers' programs are found too, which ordinary users do not have on their PATH.
    init(environment: [String: String], loop: EventLoop) {
        let path = [environment["PATH"] ?? "/usr/bin:/bin", "/usr/sbin:/usr/local/sbin:/sbin"].joined(separator: ":")
        self.environment = environment.merging(["PATH": path]) { $1 }
        self.loop = loop
    }

    struct Result: Sendable {
        var isSuccess: Bool
        /// What it said, on both streams.
        var output: String
        /// One line of it for an error's summary: the first, but nginx first says what it does.
        var complaint: String {
            let lines = output.split(whereSeparator: \.isNewline)
            return (lines.first { !$0.contains(" [notice] ") } ?? lines.first).map(String.init) ?? "it says nothing"
        }
    }

    /// Runs to the end; what takes longer than `limit` is killed. Throws `process.failed` when it cannot be started.
    func run(
        _ executable: String, _ arguments: [String], limit: Duration = .seconds(10)
    ) async throws(ApusError) -> Result {
        let (descriptor, path) = try Self.temporaryFile()
        defer {
            close(descriptor)
            unlink(path)
        }
        let command = ChildProcess.Command(
            executable, arguments, environment: environment, directory: "/", output: .descriptor(descriptor))
        let process: ChildProcess
        do { process = try await ChildProcess.start(command, on: loop) } catch {
            throw error as? ApusError ?? ApusError(.processFailed, "\(executable) cannot be started")
        }
        let exit = await process.wait(atMost: limit)
        let output = String(decoding: try FileContents.read(path, limit: .mebibytes(16)), as: UTF8.self)
        return Result(isSuccess: exit == .status(0), output: exit == .signal(SIGKILL) ? "it took longer than \(limit)\n" + output : output)
    }

    private static func temporaryFile() throws(ApusError) -> (Int32, String) {
        var name = Array("/tmp/apus-XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        guard descriptor >= 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            throw ApusError(.outputUncreatable, "no temporary file can be made: \(String(cString: strerror(errno)))")
        }
        return (descriptor, String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self))
    }

    /// Where a program is; nil where it is not installed.
    func path(of name: String) -> String? {
        (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
}
