internal import Foundation

/// The git working copy that a program runs in: results are kept under its commit.
public enum WorkingCopy {
    /// The commit, with `+` after it where files were changed; "unknown" without git.
    public static var commit: String {
        func git(_ arguments: String...) -> String? {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["git"] + arguments
            let output = Pipe()
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            do { try process.run() } catch { return nil }
            let data = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines) : nil
        }
        guard let commit = git("rev-parse", "--short=12", "HEAD") else { return "unknown" }
        return git("status", "--porcelain", "--untracked-files=no") == "" ? commit : commit + "+"
    }
}
