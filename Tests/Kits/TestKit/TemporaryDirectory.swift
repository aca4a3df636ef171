import Glibc
import Synchronization

/// A directory for one test, removed when the value goes, or else when the test process ends; what a killed process left is removed
/// by the next one that makes a directory.
public final class TemporaryDirectory: Sendable {
    public let path: String

    /// Everybody may enter and list it, so that a server under another user can live inside.
    public init() throws {
        path =
            Self.base + "/"
            + String(
                Self.count.withLock {
                    $0 += 1; return $0
                })
        guard mkdir(path, 0o755) == 0 else { throw TestKitError("cannot make \(path): \(String(cString: strerror(errno)))") }
    }

    deinit { Self.remove(path) }

    private static let count = Mutex(0)

    /// `/tmp/apus-tests-PID`
    private static let base: String = {
        let prefix = "apus-tests-"
        for name in entries("/tmp") where name.hasPrefix(prefix) {
            guard let process = Int32(name.dropFirst(prefix.count)), Glibc.kill(process, 0) != 0, errno == ESRCH else { continue }
            remove("/tmp/" + name)
        }
        let base = "/tmp/\(prefix)\(getpid())"
        guard mkdir(base, 0o755) == 0 else { preconditionFailure("cannot make \(base)") }
        atexit { TemporaryDirectory.remove("/tmp/apus-tests-\(getpid())") }
        return base
    }()

    /// The names in a directory, sorted.
    public static func entries(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func remove(_ path: String) {
        if Glibc.remove(path) == 0 { return }  // a file, a link, or an empty directory
        for name in entries(path) { remove(path + "/" + name) }
        Glibc.remove(path)
    }
}

public struct TestKitError: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
