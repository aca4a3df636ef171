import ApusRuntime
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// What a program left behind.
struct Finished {
    var status: Int32
    var output: String
    var errors: String
}

/// Runs programs with streams of their own, and a clean environment.
enum Program {
    static func run(
        _ executable: String, _ arguments: [String] = [], _ environment: [String: String] = [:], input: String = "",
        directory: String? = nil
    ) async throws -> Finished {
        let folder = try TemporaryDirectory()
        try write(input, to: "\(folder.path)/input")
        let streams = "<\(folder.path)/input >\(folder.path)/output 2>\(folder.path)/errors"
        let clean = ["PATH": "/usr/bin:/bin", "HOME": folder.path, "LC_ALL": "C.UTF-8"].merging(environment) { $1 }
        let process = try await ChildProcess.start(
            .init(
                "/bin/sh", ["-c", "exec \"$0\" \"$@\" \(streams)", executable] + arguments, environment: clean, directory: directory,
                output: .discarded),
            on: TestLoops.shared.any)
        let status: Int32 =
            switch await process.wait() {
            case .status(let status): status
            case .signal(let signal): 128 + signal
            }
        return Finished(status: status, output: try read("\(folder.path)/output"), errors: try read("\(folder.path)/errors"))
    }

    static func apus(
        _ arguments: [String], _ environment: [String: String] = [:], input: String = "", directory: String? = nil
    ) async throws -> Finished {
        try await run(try NodeProcess.program(), arguments, environment, input: input, directory: directory)
    }

    static func write(_ bytes: [UInt8], to path: String) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }

    static func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

    static func read(_ path: String) throws -> String {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }
}
