import ApusRuntime
import Glibc
import TestKit

/// A real Redis on loopback that a test kills, freezes, empties and starts again.
final class RedisProcess: Sendable {
    let port: Int
    private let command: ChildProcess.Command
    private let running: ChildProcess

    private init(_ port: Int, _ command: ChildProcess.Command) async throws {
        self.port = port
        self.command = command
        running = try await ChildProcess.start(command, on: TestLoops.shared.first)
    }

    static func start(in directory: String, password: String? = nil) async throws -> RedisProcess {
        let port = Int(try freePort())
        var arguments = ["--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--dir", directory]
        if let password { arguments += ["--requirepass", password] }
        return try await RedisProcess(
            port,
            ChildProcess.Command(
                "/usr/bin/redis-server", arguments, environment: [:], directory: directory, output: .file(directory + "/redis.log")))
    }

    deinit { running.send(signal: SIGKILL) }

    func freeze() { running.send(signal: SIGSTOP) }
    func thaw() { running.send(signal: SIGCONT) }

    func kill() async {
        running.send(signal: SIGKILL)
        _ = await running.wait()
    }

    /// The same server again, with nothing in it.
    func again() async throws -> RedisProcess { try await RedisProcess(port, command) }
}
