internal import ApusRender
internal import ApusTypes
internal import Glibc

/// The file that a balancer reads. A new text is checked by the balancer's own program before it takes the old one's place.
struct BalancerFile: Sendable {
    let kind: BalancerKind
    let path: String
    let reloadCommand: String
    let tool: Tool

    func holds(_ text: String) -> Bool { (try? FileContents.read(path, limit: .mebibytes(16))) == Array(text.utf8) }

    /// Throws `balancer.refused` with what the program says against the text.
    func check(_ text: String) async throws(ApusError) {
        let candidate = try await accepted(text)
        FileContents.remove(candidate)
    }

    /// Checks, replaces the file at once and whole, and has the balancer read it. Throws `balancer.refused`, and then the file is what it was:
    /// a balancer that cannot start with it is worse than one that knows yesterday's nodes. Where there was no file the new one stays, so that
    /// the balancer can be started.
    func install(_ text: String) async throws(ApusError) {
        let candidate = try await accepted(text)
        let before = FileContents.exists(path) ? try FileContents.read(path, limit: .mebibytes(16)) : nil
        guard rename(candidate, path) == 0 else {
            let reason = String(cString: strerror(errno))
            FileContents.remove(candidate)
            throw ApusError(.outputUncreatable, "cannot write \(path): \(reason)")
        }
        let reload = try await tool.run("/bin/sh", ["-c", reloadCommand])
        guard !reload.isSuccess else { return }
        if let before { try FileContents.write(before, to: path) }
        throw ApusError(
            .balancerRefused, "'\(reloadCommand)' failed: \(reload.complaint)", hint: "--reload-command says how it is reloaded")
    }

    /// The name of a file beside `path` that holds the text, and that the balancer's program accepts. No include of `*.conf` sees it.
    private func accepted(_ text: String) async throws(ApusError) -> String {
        guard let program = tool.path(of: kind.rawValue) else {
            throw ApusError(.processFailed, "\(kind.rawValue) is not installed here", hint: "apt-get install \(kind.package)")
        }
        let candidate = path + ".candidate"
        try FileContents.write(Array(text.utf8), to: candidate)
        do throws(ApusError) {
            let result = try await trial(program, candidate)
            guard result.isSuccess else { throw ApusError(.balancerRefused, "\(kind.rawValue) refuses the file: \(result.complaint)") }
            return candidate
        } catch {
            FileContents.remove(candidate)
            throw error
        }
    }

    private func trial(_ program: String, _ candidate: String) async throws(ApusError) -> Tool.Result {
        guard kind == .nginx else { return try await tool.run(program, ["-c", "-q", "-f", candidate]) }
        var directory = Array("/tmp/apus-nginx-XXXXXX".utf8CString)
        guard mkdtemp(&directory) != nil else {
            throw ApusError(.outputUncreatable, "no temporary directory can be made: \(String(cString: strerror(errno)))")
        }
        let place = String(decoding: directory.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { FileTree.remove(place) }
        try FileContents.write(
            Array(try LoadBalancer.nginxTrial(of: candidate, in: place).utf8), to: place + "/nginx.conf", isSynced: false)
        return try await tool.run(program, ["-t", "-q", "-c", place + "/nginx.conf", "-e", "stderr"])
    }
}
