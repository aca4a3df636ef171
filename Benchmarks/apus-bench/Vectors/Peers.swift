import ApusTypes
import Foundation

/// Other people's programs in a Python process of their own, which measures itself: a JSON object on a line is a job, and so is its answer.
final class Peers {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    /// hnswlib, faiss and usearch.
    static func libraries() throws -> Peers { try Peers("vectors.py", packages: "requirements.txt", in: ".deps/peers") }

    /// chromadb and lancedb.
    static func databases() throws -> Peers {
        try Peers("databases.py", packages: "requirements-databases.txt", in: ".deps/databases")
    }

    private init(_ script: String, packages: String, in place: String) throws {
        let python = try PythonPackages.install(packages, in: place)
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = ["Benchmarks/peers/" + script]
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

    /// Gives them the points and queries.
    func load(_ data: BenchData, in directory: String) throws {
        try data.points.write(to: directory + "/points.f32")
        try data.queries.write(to: directory + "/queries.f32")
        _ = try ask([
            "do": "load", "points": .string(directory + "/points.f32"), "queries": .string(directory + "/queries.f32"),
            "dimension": .integer(Int64(data.points.dimension)),
        ])
    }
}
