internal import ApusTypes
internal import Glibc

/// A small file that only the node's own user can read. Written once at start, on the local disk.
final class PrivateFile {
    private let path: String
    private let descriptor: Int32

    /// Makes an empty file of mode 0600, replacing what is there. Throws `output.uncreatable`.
    init(creating path: String) throws(ApusError) {
        self.path = path
        // Not truncating in place: an older file may have wider permissions, or be a link to elsewhere.
        if unlink(path) != 0, errno != ENOENT { throw Self.failure("replace", path) }
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if descriptor < 0 { throw Self.failure("create", path) }
    }

    deinit { close(descriptor) }

    /// Returns when the text is on the disk.
    func write(_ text: String) throws(ApusError) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw Self.failure("write", path) }
            rest = rest.dropFirst(written)
        }
        guard fsync(descriptor) == 0 else { throw Self.failure("write", path) }
    }

    /// The text of a file; nil when there is none.
    static func read(_ path: String) throws(ApusError) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw failure("read", path, .inputUnreadable)
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)  // what is kept here is a line
        let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw failure("read", path, .inputUnreadable) }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private static func failure(_ verb: String, _ path: String, _ code: ErrorCode = .outputUncreatable) -> ApusError {
        ApusError(code, "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}
