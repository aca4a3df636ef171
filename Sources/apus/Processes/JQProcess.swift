internal import CJQ
internal import Glibc

/// The program as a process that runs jq programs for a node (`JQWorkers`).
enum JQProcess {
    /// No command: nobody types it.
    static let argument = "--serve-jq"
    private static let memory = 256 << 20
    private static let output = 64 << 20

    /// Returns at once where it was not told to be one. Before anything of the program runs: a worker has one thread.
    static func serveIfTold() {
        guard CommandLine.arguments.dropFirst().elementsEqual([argument]) else { return }
        _exit(apus_jq_serve(STDOUT_FILENO, memory, output))
    }
}
