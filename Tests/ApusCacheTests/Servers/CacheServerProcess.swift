import ApusCache
import ApusRuntime
import ApusTypes
import Glibc
import TestKit

/// A real server of a shared cache, on a free port of loopback; it ends with the object.
final class CacheServerProcess: Sendable {
    let port: UInt16
    private let directory: TemporaryDirectory
    private let process: ChildProcess

    var server: CacheServer { CacheServer(host: "127.0.0.1", port: Int(port)) }

    private init(_ port: UInt16, _ directory: TemporaryDirectory, _ process: ChildProcess) {
        (self.port, self.directory, self.process) = (port, directory, process)
    }

    deinit {
        process.send(signal: SIGCONT)
        process.send(signal: SIGKILL)
    }

    /// `redis-server` with these settings; with `sentinel` lines it is a Sentinel.
    static func redis(port: UInt16? = nil, _ settings: [String] = [], isSentinel: Bool = false) async throws -> CacheServerProcess {
        let directory = try TemporaryDirectory()
        let port = try port ?? freePort()
        let lines =
            ["port \(port)", "bind 127.0.0.1", "dir \(directory.path)", "daemonize no"] + (isSentinel ? [] : ["save \"\""]) + settings
        try write(lines.joined(separator: "\n") + "\n", to: directory.path + "/conf")
        let program = try path(of: "redis-server")
        let process = try await ChildProcess.start(
            .init(
                program, [directory.path + "/conf"] + (isSentinel ? ["--sentinel"] : []), environment: [:], directory: directory.path,
                output: .file(directory.path + "/log")), on: TestLoops.shared.first)
        let server = CacheServerProcess(port, directory, process)
        try await eventually("redis-server answers: \(server.log)") {
            let answer = try await server.cli(["PING"])
            return answer.contains("PONG") || answer.contains("NOAUTH")
        }
        return server
    }

    static func memcached(port: UInt16? = nil) async throws -> CacheServerProcess {
        let directory = try TemporaryDirectory()
        let port = try port ?? freePort()
        let process = try await ChildProcess.start(
            .init(
                try path(of: "memcached"), ["-l", "127.0.0.1", "-p", "\(port)", "-U", "0", "-u", "root", "-m", "16"], environment: [:],
                directory: directory.path, output: .file(directory.path + "/log")), on: TestLoops.shared.first)
        return CacheServerProcess(port, directory, process)
    }

    private static func path(of program: String) throws -> String {
        for folder in ["/usr/bin/", "/usr/local/bin/", "/usr/sbin/"] where access(folder + program, X_OK) == 0 { return folder + program }
        throw TestKitError("\(program) is not installed: scripts/setup --test")
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "we") else { throw TestKitError("\(path) cannot be written") }
        defer { fclose(file) }
        fputs(text, file)
    }

    var log: String { textFile(directory.path + "/log") ?? "" }

    /// What `redis-cli` prints.
    @discardableResult
    func cli(_ arguments: [String]) async throws -> String {
        let output = try TemporaryDirectory()
        let process = try await ChildProcess.start(
            .init(
                try Self.path(of: "redis-cli"), ["-h", "127.0.0.1", "-p", "\(port)"] + arguments, environment: [:], directory: output.path,
                output: .file(output.path + "/out")), on: TestLoops.shared.first)
        _ = await process.wait(atMost: .seconds(20))
        return textFile(output.path + "/out") ?? ""
    }

    func freeze() { process.send(signal: SIGSTOP) }
    func thaw() { process.send(signal: SIGCONT) }
    func kill() async {
        process.send(signal: SIGKILL)
        _ = await process.wait()
    }
}
