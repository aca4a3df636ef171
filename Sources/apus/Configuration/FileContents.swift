internal import ApusTypes
internal import Glibc

/// Small files, whole. For the command line, which may wait for a disk; nodes use `ApusStore`.
enum FileContents {
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// From the root, so that it means the same in another working directory.
    static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let here = getcwd(nil, 0) else { return path }
        defer { free(here) }
        return String(cString: here) + "/" + (path.hasPrefix("./") ? path.dropFirst(2) : path[...])
    }

    /// Throws `input.unreadable` with the system's reason.
    static func read(_ path: String, limit: ByteCount) throws(ApusError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count >= 0 else {
                if errno == EINTR { continue }
                throw unreadable(path, errno)
            }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= limit.bytes else { throw ApusError(.inputInvalid, "\(path) is larger than \(limit)") }
        }
    }

    /// The same for a secret. Throws `secret.not_private` where others may read it too.
    static func readPrivate(_ path: String, limit: ByteCount) throws(ApusError) -> [UInt8] {
        try requirePrivate(path)
        return try read(path, limit: limit)
    }

    /// Throws `secret.not_private` for what others than its owner can read.
    static func requirePrivate(_ path: String) throws(ApusError) {
        var facts = stat()
        guard stat(path, &facts) == 0 else { throw unreadable(path, errno) }
        guard facts.st_mode & 0o077 == 0 else {
            throw ApusError(.notPrivate, "\(path) can be read by other users", hint: "chmod 600 \(path)")
        }
    }

    /// Writes all or nothing: to a temporary name beside `path`, then renamed.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644, isSynced: Bool = true) throws(ApusError) {
        let temporary = "\(path).tmp\(getpid())"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw uncreatable(path, errno) }
        var rest = bytes[...]
        var failure: Int32 = 0
        while !rest.isEmpty, failure == 0 {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { rest = rest.dropFirst(count) } else if errno != EINTR { failure = errno }
        }
        if failure == 0, isSynced, fsync(descriptor) != 0 { failure = errno }
        close(descriptor)
        if failure == 0, rename(temporary, path) != 0 { failure = errno }
        if failure != 0 {
            unlink(temporary)
            throw uncreatable(path, failure)
        }
    }

    /// Removes a file that is no longer needed; one that is gone already, or cannot be removed, is left.
    static func remove(_ path: String) { unlink(path) }

    static func unreadable(_ path: String, _ code: Int32) -> ApusError {
        ApusError(.inputUnreadable, "cannot read \(path): \(String(cString: strerror(code)))")
    }

    private static func uncreatable(_ path: String, _ code: Int32) -> ApusError {
        ApusError(.outputUncreatable, "cannot write \(path): \(String(cString: strerror(code)))")
    }
}
