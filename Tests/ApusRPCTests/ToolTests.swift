import ApusRPC
import ApusRuntime
import ApusTypes
import Glibc
import TestKit
import Testing

/// A node, seen by the unmodified `grpcio`, `grpcio-reflection` and `grpcio-health-checking`.
@Suite("tools over gRPC")
struct ToolTests {
    static let folder = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/client"
    static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    @Test("reflection lists and describes the services, health is told and followed, and nodes' calls are closed to them")
    func tools() async throws {
        let pair = try RPCPair.start()
        let (status, output) = try await Self.run("tools.py", pair.address)
        #expect(status == 0 && output.contains("all is as tools expect"), "\(output)")
        await pair.stop()
    }

    private static func run(_ script: String, _ argument: String) async throws -> (status: Int32, output: String) {
        let directory = try TemporaryDirectory()
        // What pip is told by the environment it runs in: mirrors, certificates.
        var environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
        for name in [
            "HOME", "PIP_CERT", "PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE",
        ] {
            environment[name] = getenv(name).map { String(cString: $0) }
        }
        environment["no_proxy"] = "127.0.0.1"
        let text = """
            set -eu
            folder='\(root)/.deps/grpc-tools'
            wanted=$(sha256sum '\(folder)/requirements.txt' | cut -d ' ' -f 1)
            if [ "$(cat "$folder/ready" 2>/dev/null)" != "$wanted" ]; then
                rm -rf "$folder"
                python3 -m venv "$folder"
                "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
                    --requirement '\(Self.folder)/requirements.txt'
                echo "$wanted" > "$folder/ready"
            fi
            exec "$folder/bin/python" -B '\(Self.folder)/\(script)' '\(argument)'
            """
        let path = directory.path + "/output"
        let process = try await ChildProcess.start(
            .init("/bin/bash", ["-c", text], environment: environment, output: .file(path)), on: TestLoops.shared.any)
        guard case .status(let status) = await process.wait() else { throw TestKitError("the script was killed") }
        return (status, try TestAuthority.read(path))
    }
}
