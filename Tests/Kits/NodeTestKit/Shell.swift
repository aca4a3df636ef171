internal import ApusRuntime
internal import ApusTypes
internal import Glibc
public import TestKit

/// Runs `script` with bash, as another user when told to, and gives its exit status and what it printed.
public func shell(
    _ script: String, in directory: TemporaryDirectory, environment: [String: String] = [:], user: UInt32? = nil
) async throws -> (status: Int32, output: String) {
    let path = "\(directory.path)/output-\(UInt64.random(in: .min ... .max))"
    var environment = environment
    environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    let process = try await ChildProcess.start(
        .init("/bin/bash", ["-c", script], environment: environment, user: user, group: user, output: .file(path)), on: TestLoops.shared.any
    )
    let exit = await process.wait()
    let output = try read(path)
    guard case .status(let status) = exit else { throw TestKitError("the script was killed: \(exit)\n\(output)") }
    return (status, output)
}

private func read(_ path: String) throws -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw TestKitError("cannot read \(path)") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = Glibc.read(descriptor, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}
