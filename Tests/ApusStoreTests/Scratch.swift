import ApusRuntime
import ApusTypes
import Glibc

/// A directory of its own for one test, removed with everything in it when the test ends.
final class Scratch: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/apus-store-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "no directory can be made in /tmp")
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { removeTree(path) }
}

/// Removes what is at `path`, and everything under it.
func removeTree(_ path: String) {
    for entry in entries(of: path) {
        if entry.isDirectory { removeTree(entry.path) } else { unlink(entry.path) }
    }
    rmdir(path)
}

/// Paths of all files under a directory.
func files(under path: String) -> [String] {
    entries(of: path).flatMap { $0.isDirectory ? files(under: $0.path) : [$0.path] }.sorted()
}

private func entries(of path: String) -> [(path: String, isDirectory: Bool)] {
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    var found: [(String, Bool)] = []
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != ".", name != ".." { found.append((path + "/" + name, entry.pointee.d_type == UInt8(DT_DIR))) }
    }
    return found
}

/// Far enough for a call that works, near enough for a test that hangs to end.
var soon: Instant { BootClock.now.advanced(by: .seconds(60)) }

/// The code of the `ApusError` that `body` throws; nil if it throws none.
func code(_ body: () async throws -> Void) async -> ErrorCode? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ApusError)?.code ?? ErrorCode(rawValue: "\(error)")
    }
}

func mkdirs(_ path: String) { mkdir(path, 0o755) }
