import ApusRuntime
import ApusTypes
import Glibc
import TestKit

/// Runs `store-lab`, which lies beside the test's own program, to its end.
enum Lab {
    struct Output: Sendable {
        var status: Int32
        var lines: [String]
    }

    /// With a mount namespace of its own if it is to mount anything, or with its file calls recorded.
    static func run(_ arguments: [String], mounts: Bool = false, isRecorded: Bool = false) throws -> Output {
        let words =
            (mounts ? ["/usr/bin/unshare", "--mount", "--propagation", "private"] : []) + [try BuiltProgram.path("store-lab")] + arguments
        var pipe: [Int32] = [0, 0]
        guard Glibc.pipe(&pipe) == 0 else { throw TestKitError("no pipe") }
        // Marked at once, but another test's child may be made in between: it then holds the pipe open until it ends, and this waits for it.
        for end in pipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)
        var process: pid_t = 0
        let words_ = words.map { strdup($0) } + [nil]
        defer { words_.forEach { free($0) } }
        let environment = ["PATH=/usr/bin:/bin"] + (isRecorded ? ["LD_PRELOAD=\(try BuiltProgram.path("libPowerLossRecorder.so"))"] : [])
        let environment_ = environment.map { strdup($0) } + [nil]
        defer { environment_.forEach { free($0) } }
        let status = posix_spawn(&process, words[0], &actions, nil, words_, environment_)
        close(pipe[1])
        defer { close(pipe[0]) }
        guard status == 0 else { throw TestKitError("cannot run \(words[0]): \(String(cString: strerror(status)))") }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(pipe[0], &buffer, buffer.count)
            if count <= 0 { break }
            text += buffer[..<count]
        }
        var result: Int32 = 0
        waitpid(process, &result, 0)
        return Output(status: result, lines: String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init))
    }
}
