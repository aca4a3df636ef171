internal import ApusTypes
internal import Glibc

/// The right to write a catalog file: a lock on a file beside it, which the kernel drops when the process ends, however it ends.
///
/// SQLite's own locks would let two processes write in turn, and starve each other (measured: two that committed 1.5 MB at a time
/// kept a third out for 17 s). So the second is refused, and told who the first is.
final class SQLiteOwner: Sendable {
    private let descriptor: Int32

    static func lockPath(_ database: String) -> String { database + "-owner" }

    /// Takes the right, or throws `catalog.owned`.
    init(database: String) throws {
        let path = Self.lockPath(database)
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw ApusError(
                .catalogUnavailable, "the lock file of the catalog cannot be opened: \(String(cString: strerror(errno)))",
                hint: "check that the directory exists and may be written", context: ["path": path])
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw Self.owned(by: Self.read(descriptor), database: database)  // and deinit closes
        }
        var host = [CChar](repeating: 0, count: 256)
        gethostname(&host, host.count - 1)
        let name = String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let text = Array("process \(getpid()) on \(name)\n".utf8)
        // Only for the message that another process prints: the lock itself is what counts, so a full disk is no obstacle.
        _ = ftruncate(descriptor, 0)
        _ = pwrite(descriptor, text, text.count, 0)
    }

    deinit {
        flock(descriptor, LOCK_UN)  // not by close alone: a child that was just forked has a copy until it runs its program
        close(descriptor)
    }

    /// Throws `catalog.owned` if somebody may be writing the file. Writes nothing.
    static func checkUnowned(database: String) throws {
        let descriptor = open(lockPath(database), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        if flock(descriptor, LOCK_SH | LOCK_NB) != 0 { throw owned(by: read(descriptor), database: database) }
    }

    private static func read(_ descriptor: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 300)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        let text = String(decoding: buffer.prefix(max(0, count)).prefix { $0 >= 32 }, as: UTF8.self)
        return text.isEmpty ? "another process" : text
    }

    private static func owned(by holder: String, database: String) -> ApusError {
        ApusError(
            .catalogOwned, "the catalog is in use by \(holder)",
            hint: "a cluster of several nodes needs PostgreSQL; else stop the other process", context: ["path": database])
    }
}
