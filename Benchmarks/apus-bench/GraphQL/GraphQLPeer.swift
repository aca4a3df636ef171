import ApusTypes
import Foundation

/// graphql-core 3.2.6, as the conformance tests install it below `.deps`: a process that measures itself.
enum GraphQLPeer {
    static let folder = ".deps/graphql-core"

    /// Microseconds.
    struct Answer {
        var parse: Double
        var validate: Double
    }

    static func measure(schema: String, operation: String) throws -> Answer {
        let reply = try ask(["schema": .string(schema), "operation": .string(operation)])
        guard let parse = reply["parse_us"]?.asDouble, let validate = reply["validate_us"]?.asDouble else { throw failure }
        return Answer(parse: parse, validate: validate)
    }

    static func build(schema: String) throws -> Double {
        guard let time = try ask(["schema": .string(schema)])["build_us"]?.asDouble else { throw failure }
        return time
    }

    private static let failure = ApusError(
        .inputUnreadable, "graphql-core did not answer", hint: "scripts/test --filter GraphQLConformanceTests installs it")

    private static func ask(_ question: JSONObject) throws -> JSONValue {
        guard FileManager.default.fileExists(atPath: folder + "/ready") else { throw failure }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: folder + "/bin/python")
        process.arguments = ["-B", "Benchmarks/peers/graphql_core.py", folder + "/sources/src"]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(JSONValue.object(question).serialized()))
        try input.fileHandleForWriting.close()
        let reply = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw failure }
        return try JSONValue(parsing: Array(reply))
    }
}
