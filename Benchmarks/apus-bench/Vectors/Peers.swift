import ApusTypes
import Foundation

/// hnswlib and faiss in a Python process of their own, which measures its CPU time itself.
final class Peers {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    /// Installs the pinned packages into `.deps/peers` where they are missing.
    init() throws {
        let python = ".deps/peers/bin/python"
        if !FileManager.default.fileExists(atPath: ".deps/peers/ready") {
            print("installing the peers of Benchmarks/peers/requirements.txt into .deps/peers")
            try Self.run("/usr/bin/env", ["python3", "-m", "venv", ".deps/peers"])
            try Self.run(python, ["-m", "pip", "install", "--quiet", "--requirement", "Benchmarks/peers/requirements.txt"])
            try Data().write(to: URL(fileURLWithPath: ".deps/peers/ready"))
        }
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = ["Benchmarks/peers/vectors.py"]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    deinit { process.terminate() }

    /// One job and its answer.
    func ask(_ job: [String: JSONValue]) throws -> JSONValue {
        let line = JSONValue.object(JSONObject(job.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })).serialized() + [10]
        try input.fileHandleForWriting.write(contentsOf: line)
        var answer: [UInt8] = []
        while answer.last != 10 {
            let part = output.fileHandleForReading.availableData
            guard !part.isEmpty else { throw ApusError(.processFailed, "the peers' process ended; what it said is above") }
            answer += part
        }
        return try JSONValue(parsing: answer)
    }

    private static func run(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw ApusError(.processFailed, "\(program) \(arguments.joined(separator: " ")) failed")
        }
    }
}
