import ApusTypes
import Foundation

/// Other people's programs in Python, of pinned versions.
enum PythonPackages {
    /// Installs those that a file of `Benchmarks/peers` names into `place` where they are missing or others are wanted now; the interpreter that
    /// has them.
    static func install(_ packages: String, in place: String) throws -> String {
        let file = "Benchmarks/peers/" + packages
        let wanted = try String(contentsOfFile: file, encoding: .utf8)
        let mark = place + "/installed.txt", python = place + "/bin/python"
        if (try? String(contentsOfFile: mark, encoding: .utf8)) != wanted {  // absent at first
            progress("installing the peers of \(file) into \(place)")
            try run("/usr/bin/env", ["python3", "-m", "venv", place])
            try run(python, ["-m", "pip", "install", "--quiet", "--requirement", file])
            try wanted.write(toFile: mark, atomically: true, encoding: .utf8)
        }
        return python
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
