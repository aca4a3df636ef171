internal import ApusRuntime
internal import ApusTypes
internal import CLinux
internal import Glibc

/// A system call that failed. The store turns it into an `ApusError` where it knows what the call meant.
struct SystemFailure: Error {
    var call: String
    var number: Int32

    init(_ call: String, _ number: Int32 = errno) {
        self.call = call
        self.number = number
    }

    var reason: String { String(cString: strerror(number)) }
}

/// An open file or directory. Every call may block for as long as the file system pleases, so all of them belong on a `BlockingPool`.
///
/// Paths are relative to an open directory: what was verified about the directory stays true of every file reached through it, whatever
/// is mounted or unmounted at its path meanwhile.
final class FileDescriptor: Sendable {
    let raw: Int32

    private init(raw: Int32) { self.raw = raw }

    static func open(_ path: String, _ flags: Int32, mode: mode_t = 0) throws -> FileDescriptor {
        try FileDescriptor(raw: check(apus_openat(AT_FDCWD, path, flags | O_CLOEXEC, mode), "open"))
    }

    func open(_ name: String, _ flags: Int32, mode: mode_t = 0) throws -> FileDescriptor {
        try FileDescriptor(raw: check(apus_openat(raw, name, flags | O_CLOEXEC, mode), "open"))
    }

    deinit { close(raw) }

    // MARK: Bytes

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = try retry("write") { Glibc.write(raw, rest.baseAddress, rest.count) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes(write) }

    /// The bytes of `range`, or fewer where the file ends.
    func read(_ range: Range<Int>) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, filled in
            while filled < range.count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled..<range.count])
                let count = try retry("read") { pread(raw, rest.baseAddress, rest.count, off_t(range.lowerBound + filled)) }
                if count == 0 { break }
                filled += count
            }
        }
    }

    func sync() throws { _ = try retry("fsync") { Int(fsync(raw)) } }

    // MARK: Facts

    func status() throws -> stat {
        var about = stat()
        try check(fstat(raw, &about), "fstat")
        return about
    }

    /// Nil if there is no such entry.
    func status(of name: String) throws -> stat? {
        var about = stat()
        if fstatat(raw, name, &about, AT_SYMLINK_NOFOLLOW) == 0 { return about }
        if errno == ENOENT { return nil }
        throw SystemFailure("stat")
    }

    /// Bytes that an unprivileged process may still write, and the size of the file system.
    func space() throws -> (free: Int, total: Int) {
        var about = statvfs()
        try check(fstatvfs(raw, &about), "statvfs")
        return (Int(about.f_bavail) * Int(about.f_frsize), Int(about.f_blocks) * Int(about.f_frsize))
    }

    /// Whether the file is on this machine.
    func isLocal() throws -> Bool {
        guard let isLocal = LocalFileSystem.holds(raw) else { throw SystemFailure("statfs") }
        return isLocal
    }

    // MARK: Entries

    /// Names in this directory, without `.` and `..`.
    func entries() throws -> [String] {
        // fdopendir takes its descriptor over, and a directory's position belongs to the open file, so it gets one of its own.
        let descriptor = try check(apus_openat(raw, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), "open")
        guard let stream = fdopendir(descriptor) else {
            let failure = SystemFailure("opendir")
            close(descriptor)
            throw failure
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw SystemFailure("readdir") }
                return names
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// False if it exists already.
    @discardableResult
    func makeDirectory(_ name: String) throws -> Bool {
        if mkdirat(raw, name, 0o750) == 0 { return true }
        if errno == EEXIST { return false }
        throw SystemFailure("mkdir")
    }

    /// False if there is none.
    @discardableResult
    func remove(_ name: String) throws -> Bool {
        if unlinkat(raw, name, 0) == 0 { return true }
        if errno == ENOENT { return false }
        throw SystemFailure("unlink")
    }

    /// Fails with EEXIST rather than replace what is there.
    func rename(_ name: String, toNew newName: String) throws { try check(apus_rename_new(raw, name, newName), "rename") }
}

@discardableResult
private func check(_ result: Int32, _ call: String) throws -> Int32 {
    if result < 0 { throw SystemFailure(call) }
    return result
}

private func retry(_ call: String, _ body: () -> Int) throws -> Int {
    while true {
        let result = body()
        if result >= 0 { return result }
        if errno != EINTR { throw SystemFailure(call) }
    }
}
