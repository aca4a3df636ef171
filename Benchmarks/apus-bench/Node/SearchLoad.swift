import ApusRuntime
import ApusTypes
import Foundation
import NodeProcessKit
import TestKit

/// Searches, or other requests in JSON, sent by wrk over connections that are kept, each one's next when its last is answered.
struct SearchLoad {
    struct Result {
        var perSecond: Double
        /// Milliseconds.
        var median: Double
        var p99: Double
    }

    private let url: String
    private let directory: String
    private let loop: EventLoop

    /// `bodies` are asked in turn.
    init(_ bodies: [String], to path: String, of node: NodeProcess, in directory: String, on loop: EventLoop) throws {
        try self.init(bodies, to: node.url + path, key: node.key, in: directory, on: loop)
    }

    init(_ bodies: [String], to url: String, key: String, in directory: String, on loop: EventLoop) throws {
        self.url = url
        self.directory = directory
        self.loop = loop
        try bodies.joined(separator: "\n").write(toFile: directory + "/bodies", atomically: true, encoding: .utf8)
        // In a file, because everybody sees the arguments of a process.
        try "X-API-Key: \(key)\n".write(toFile: directory + "/headers", atomically: true, encoding: .utf8)
    }

    /// Throws where any request was not answered with a success.
    func run(connections: Int, seconds: Int) async throws -> Result {
        let log = directory + "/wrk.log"
        unlink(log)
        let command = ChildProcess.Command(
            "/usr/bin/wrk",
            [
                "-t1", "-c\(connections)", "-d\(seconds)s", "--timeout", "30s", "-s", "Benchmarks/load/searches.lua", url, "--",
                directory + "/bodies", directory + "/headers",
            ], environment: [:], output: .file(log))
        _ = await (try ChildProcess.start(command, on: loop)).wait()
        let output = readText(log)
        guard let line = output.split(separator: "\n").first(where: { $0.hasPrefix("RESULT ") }) else {
            throw ApusError(.processFailed, "wrk has no result: \(output)")
        }
        let numbers = line.split(separator: " ").dropFirst().compactMap { Double($0) }
        guard numbers.count == 6, numbers[0] > 0, numbers[5] == 0 else {
            throw ApusError(.processFailed, "wrk has no clean result: \(output)")
        }
        return Result(perSecond: numbers[0] / numbers[1] * 1e6, median: numbers[2] / 1000, p99: numbers[3] / 1000)
    }
}
