import Foundation
import NodeTestKit
import TestKit

/// The unmodified `hugr-client`, installed from pinned and checked packages by whoever needs it first.
actor HugrClient {
    static let shared = HugrClient()
    private var installation: Task<String, any Error>?

    private static let scripts = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/client"
    private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    /// Runs a script with the client; its exit status and what it printed.
    func run(
        _ script: String, _ arguments: [String], environment: [String: String] = [:]
    ) async throws -> (status: Int32, output: String) {
        let python = try await installed()
        let quoted = arguments.map { "'\($0)'" }.joined(separator: " ")
        return try await shell(
            "exec '\(python)' -B '\(Self.scripts)/\(script).py' \(quoted) 2>&1", in: TemporaryDirectory(), environment: environment)
    }

    private func installed() async throws -> String {
        if let installation { return try await installation.value }
        let task = Task { try await Self.install() }
        installation = task
        return try await task.value
    }

    /// Under `.deps`, made anew when the list of packages is another one. Several test processes may do so at a time.
    private static func install() async throws -> String {
        let script = """
            set -eu
            folder='\(root)/.deps/hugr-client'
            exec 9>"$folder.lock" && flock 9
            wanted=$(cat '\(scripts)'/*.txt | sha256sum)
            [ "$(cat "$folder/ready" 2>/dev/null)" = "$wanted" ] && exit 0
            rm -rf "$folder"
            python3 -m venv "$folder"
            "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
                --requirement '\(scripts)/requirements.txt'
            "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
                --target "$folder/websockets-10.4" --requirement '\(scripts)/websockets-10.4.txt'
            printf %s "$wanted" > "$folder/ready"
            """
        // pip is configured in the environment of whoever runs the tests.
        let (status, output) = try await shell(script, in: TemporaryDirectory(), environment: ProcessInfo.processInfo.environment)
        guard status == 0 else { throw TestKitError("hugr-client was not installed: \(output)") }
        return "\(root)/.deps/hugr-client/bin/python"
    }
}
