import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import NodeTestKit
import TestKit
import Testing

/// graphql-core's own tests, driven from outside: its functions are answered by `apus graphql serve`.
///
/// `outcomes.txt` records how many pass in each file, which of them, and why others do not apply. A difference fails: what passed must go on
/// to pass, and what passes newly is recorded (`APUS_GRAPHQL_WRITE=1` writes the file anew).
@Suite("graphql-core's tests")
struct ConformanceTests {
    private static let folder = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/")
    private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    @Test("have the outcomes that are recorded")
    func outcomes() async throws {
        var environment: [String: String] = ["APUS_GRAPHQL": "'\(try NodeProcess.program())' graphql serve"]
        // What pip is told by the environment it runs in: mirrors, certificates.
        for name in [
            "HOME", "PIP_CERT", "PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE",
        ] {
            environment[name] = getenv(name).map { String(cString: $0) }
        }
        let write = getenv("APUS_GRAPHQL_WRITE") == nil ? "" : "--write"
        let script = """
            set -eu
            folder='\(Self.root)/.deps/graphql-core'
            wanted=$(sha256sum '\(Self.folder)/judge/requirements.txt' | cut -d ' ' -f 1)
            if [ "$(cat "$folder/ready" 2>/dev/null)" != "$wanted" ]; then
                rm -rf "$folder"
                python3 -m venv "$folder"
                "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
                    --requirement '\(Self.folder)/judge/requirements.txt'
                mkdir "$folder/sources"
                tar -xzf '\(Self.root)/.deps/archives/graphql_core-3.2.6.tar.gz' -C "$folder/sources" --strip-components=1
                echo "$wanted" > "$folder/ready"
            fi
            exec "$folder/bin/python" -B '\(Self.folder)/judge/run.py' "$folder/sources" '\(Self.folder)/outcomes.txt' \(write) 2>&1
            """
        let (status, output) = try await shell(script, in: TemporaryDirectory(), environment: environment)
        print(output)
        #expect(status == 0, "\(output.suffix(20_000))")
    }
}
