internal import ApusTypes
internal import CLinux
internal import Glibc

/// A regular file, open for reading. Opening and reading block: call them on a pool.
final class OpenFile: Sendable {
    let size: Int
    let secondsModified: Int
    /// Changes whenever size, time of change or the file behind the name does. Strong, as far as the file system's clock resolves.
    let tag: String
    private let descriptor: Int32

    /// Nil when there is no regular file, or none that this process may read. A FIFO does not make it wait.
    convenience init?(path: String) {
        guard !path.utf8.contains(0) else { return nil }
        self.init(descriptor: apus_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0))
    }

    /// Takes over `descriptor`, which may be -1.
    init?(descriptor: Int32) {
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
        size = status.st_size
        secondsModified = status.st_mtim.tv_sec
        let facts = [Int(bitPattern: status.st_ino), size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
        tag = "\"" + facts.map { String(UInt(bitPattern: $0), radix: 16) }.joined(separator: "-") + "\""
    }

    deinit { close(descriptor) }

    /// Exactly `count` bytes from `offset`; an error when the file has become shorter.
    func read(at offset: Int, count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let read = pread(descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, offset + filled)
                if read < 0, errno == EINTR { continue }
                guard read > 0 else {
                    let reason = read == 0 ? "it has become shorter" : String(cString: strerror(errno))
                    throw ApusError(.internalError, "a file cannot be read to its end", context: ["reason": reason])
                }
                filled += read
            }
        }
    }
}
