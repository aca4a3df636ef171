import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc

/// A self-signed certificate for 127.0.0.1 in a folder of its own, made and replaced by the `openssl` command, and used by `curl`.
struct Certificate: Sendable {
    let folder: String
    var tls: TLSFiles {
        TLSFiles(certificateChain: folder + "/cert.pem", privateKey: folder + "/key.pem", checkInterval: .milliseconds(50))
    }
    /// Five million bytes to send.
    var big: String { folder + "/big" }

    static func make() async throws -> Certificate {
        var template = Array("/tmp/apus-tls.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw ApusError(.inputUnreadable, "/tmp cannot be written") }
        let certificate = Certificate(folder: String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        try await certificate.renew()
        guard let file = fopen(certificate.big, "w") else { throw ApusError(.inputUnreadable, "/tmp cannot be written") }
        defer { fclose(file) }
        let bytes = [UInt8](repeating: 97, count: 5_000_000)
        fwrite(bytes, 1, bytes.count, file)
        return certificate
    }

    /// Replaces certificate and key by new ones.
    func renew() async throws {
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        let made = try await run(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
                "/CN=127.0.0.1",
                "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem",
            ], on: loops)
        guard made != nil else { throw ApusError(.processFailed, "openssl made no certificate") }
    }

    /// What curl prints, trusting this certificate only; nil when it fails.
    func curl(_ arguments: [String], on loops: EventLoops) async throws -> String? {
        try await run("/usr/bin/curl", ["-sS", "--max-time", "20", "--cacert", folder + "/cert.pem"] + arguments, on: loops)
    }

    private func run(_ executable: String, _ arguments: [String], on loops: EventLoops) async throws -> String? {
        let log = folder + "/output"
        unlink(log)
        let process = try await ChildProcess.start(
            .init(executable, arguments, environment: ["HOME": folder], output: .file(log)), on: loops.first)
        guard case .status(0) = await process.wait() else { return nil }
        guard let file = fopen(log, "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    func remove() {
        for name in ["cert.pem", "key.pem", "big", "output"] { unlink(folder + "/" + name) }
        rmdir(folder)
    }
}
