import ApusTypes
import Foundation
import NodeTestKit
import TestKit
import Testing

/// The unmodified client in a Python environment of its own, under `.deps/`, made by the first test that needs it.
enum ClientEnvironment {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Client").path

    /// Runs `suite.py` and gives what it printed.
    static func run(_ arguments: String..., in directory: TemporaryDirectory) async throws -> JSONValue {
        try await prepare(in: directory)
        let quoted = arguments.map { "'\($0)'" }.joined(separator: " ")
        let (status, output) = try await shell(
            "'\(root)/.deps/vectorizer-client/bin/python' '\(folder)/suite.py' \(quoted) 2>&1", in: directory)
        try #require(status == 0, "\(output)")
        return try JSONValue(parsing: Array((output.split(separator: "\n").last ?? "").utf8))
    }

    /// Installs what `requirements.txt` pins, checked by hash, once for a version of that file. Several test processes may do so at a time.
    private static func prepare(in directory: TemporaryDirectory) async throws {
        let script = """
            set -e
            cd '\(root)' && mkdir -p .deps
            exec 9>.deps/vectorizer-client.lock && flock 9
            wanted=$(sha256sum < '\(folder)/requirements.txt')
            [ "$(cat .deps/vectorizer-client/ready 2>/dev/null)" = "$wanted" ] && exit 0
            rm -rf .deps/vectorizer-client
            python3 -m venv .deps/vectorizer-client
            .deps/vectorizer-client/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
                --require-hashes --requirement '\(folder)/requirements.txt'
            printf %s "$wanted" > .deps/vectorizer-client/ready
            """
        // pip is configured in the environment of whoever runs the tests.
        let (status, output) = try await shell(script, in: directory, environment: ProcessInfo.processInfo.environment)
        try #require(status == 0, "the client could not be installed: \(output)")
    }
}
