internal import ApusRuntime
internal import ApusTypes
internal import Glibc

/// A process that an earlier run of ours may have left behind, by the number that it wrote into a file.
struct OrphanedProcess: Sendable, Hashable {
    let identifier: Int32
    /// One of its arguments, by which it is told from another process that has the number now.
    let argument: String

    var isRunning: Bool {
        guard identifier > 1, let bytes = try? FileContents.read("/proc/\(identifier)/cmdline", limit: .mebibytes(1)) else { return false }
        return bytes.split(separator: 0).contains(Array(argument.utf8)[...])
    }

    /// Sends `signal`, and SIGKILL after `grace`; returns when it is gone.
    func end(_ signal: Int32, grace: Duration) async throws {
        guard isRunning else { return }
        kill(identifier, signal)
        let limit = BootClock.now.advanced(by: grace)
        while isRunning {
            if BootClock.now >= limit { kill(identifier, SIGKILL) }
            try await BootClock().sleep(for: .milliseconds(50))
        }
    }

    /// The same command, which gets a signal when this process is gone, however that went.
    static func endingWithParent(_ command: ChildProcess.Command, signal: String) -> ChildProcess.Command {
        let program = "/usr/bin/setpriv"
        guard access(program, X_OK) == 0 else { return command }  // then the next run ends it
        var command = command
        command.arguments = ["--pdeathsig=\(signal)", command.executable] + command.arguments
        command.executable = program
        return command
    }
}
