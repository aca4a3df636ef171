import ApusRuntime
import Glibc
import NodeTestKit
import TestKit

/// The unmodified `qdrant-client`, installed from pinned and checked packages by whoever needs it first.
actor PythonClient {
    static let shared = PythonClient()
    private var installation: Task<String, any Error>?

    static let scripts = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/client"
    private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    /// Runs a script with the client; its exit status and what it printed.
    func run(_ script: String, _ arguments: [String]) async throws -> (status: Int32, output: String) {
        let python = try await installed()
        let quoted = arguments.map { "'\($0)'" }.joined(separator: " ")
        return try await shell("exec '\(python)' -B '\(Self.scripts)/\(script).py' \(quoted) 2>&1", in: TemporaryDirectory())
    }

    private func installed() async throws -> String {
        if let installation { return try await installation.value }
        let task = Task { try await Self.install() }
        installation = task
        return try await task.value
    }

    /// Under `.deps`, made anew when the list of packages is another one.
    private static func install() async throws -> String {
        // What pip is told by the environment it runs in: mirrors, certificates.
        var environment: [String: String] = [:]
        for name in [
            "HOME", "PIP_CERT", "PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE",
        ] {
            environment[name] = getenv(name).map { String(cString: $0) }
        }
        let script = """
            set -eu
            folder='\(root)/.deps/qdrant-client'
            wanted=$(sha256sum '\(scripts)/requirements.txt' | cut -d ' ' -f 1)
            if [ "$(cat "$folder/ready" 2>/dev/null)" != "$wanted" ]; then
                rm -rf "$folder"
                python3 -m venv "$folder"
                "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
                    --requirement '\(scripts)/requirements.txt'
                echo "$wanted" > "$folder/ready"
            fi
            """
        let (status, output) = try await shell(script, in: TemporaryDirectory(), environment: environment)
        guard status == 0 else { throw TestKitError("qdrant-client was not installed: \(output)") }
        return "\(root)/.deps/qdrant-client/bin/python"
    }
}
