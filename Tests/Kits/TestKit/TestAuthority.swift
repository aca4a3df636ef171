internal import ApusRuntime
public import ApusTypes
internal import Glibc

/// A certificate authority of a test, made with the `openssl` command.
public struct TestAuthority: Sendable {
    private let directory: TemporaryDirectory
    public let certificate: String

    public static func make() async throws -> TestAuthority {
        let directory = try TemporaryDirectory()
        try await run(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=authority -keyout ca.key -out ca.pem",
            directory)
        return TestAuthority(directory: directory, certificate: try read(directory.path + "/ca.pem"))
    }

    /// One for a node at 127.0.0.1.
    public func certificate() async throws -> (certificate: String, key: Redacted<String>) {
        try await Self.run(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=node -keyout node.key -out node.csr", directory)
        try await Self.run(
            """
            x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -out node.pem \
            -extfile <(echo subjectAltName=IP:127.0.0.1)
            """, directory)
        return (try Self.read(directory.path + "/node.pem"), Redacted(try Self.read(directory.path + "/node.key")))
    }

    /// The environment of a node at 127.0.0.1 with a certificate of its own, in files of `prefix`.
    public func environment(prefix: String) async throws -> [String: String] {
        let own = try await certificate()
        let files = ["CA": certificate, "CERTIFICATE": own.certificate, "KEY": own.key.reveal()]
        var environment: [String: String] = [:]
        for (name, text) in files {
            let path = "\(prefix).\(name.lowercased()).pem"
            try Self.write(text, to: path)
            environment["APUS_CLUSTER_TLS_\(name)"] = path
        }
        return environment
    }

    private static func write(_ text: String, to path: String) throws {
        let bytes = Array(text.utf8)
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(file) }
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw TestKitError("cannot write \(path)") }
    }

    private static func run(_ arguments: String, _ directory: TemporaryDirectory) async throws {
        let process = try await ChildProcess.start(
            .init(
                "/bin/bash", ["-c", "cd '\(directory.path)' && openssl \(arguments) 2>&1"],
                environment: ["PATH": "/usr/bin:/bin", "HOME": directory.path], output: .file(directory.path + "/output")),
            on: TestLoops.shared.any)
        guard await process.wait() == .status(0) else { throw TestKitError("openssl: \(try read(directory.path + "/output"))") }
    }

    public static func read(_ path: String) throws -> String {
        guard let file = fopen(path, "r") else { throw TestKitError("cannot read \(path)") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
    }
}
