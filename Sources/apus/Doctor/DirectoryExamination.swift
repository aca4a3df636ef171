internal import ApusTypes
internal import CLinux
internal import Glibc

/// A directory that must hold data: can it be written, how much room is there, how long does a write take to be safe.
struct DirectoryExamination: Sendable {
    let path: String
    /// Below this much free space a node refuses writes.
    let reserve: ByteCount
    /// SQLite's locks and shared memory need a local file system.
    let mustBeLocal: Bool

    /// Blocks as long as the file system does: a dead network mount for ever. Callers bound it.
    func findings() -> [Finding] {
        guard let existing = nearestExisting() else {
            return [.bad("\(path) is below something that is no directory", try: "name another directory")]
        }
        if access(existing, W_OK | X_OK) != 0 {
            let user = getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) } ?? "this user"
            return [
                .bad(
                    "\(existing) cannot be written by \(user)", try: "mkdir -p \(path) && chown \(user) \(path), or name another directory")
            ]
        }
        var found: [Finding] = []
        found.append(existing == path ? .good("\(path) can be written") : .good("\(path) is not there yet and will be made"))
        found += fileSystem(existing)
        found += space(existing)
        found.append(syncing(existing))
        return found
    }

    private func nearestExisting() -> String? {
        var candidate = path
        while true {
            var facts = stat()
            if stat(candidate, &facts) == 0 { return facts.st_mode & S_IFMT == S_IFDIR ? candidate : nil }
            guard let slash = candidate.lastIndex(of: "/") else { return "." }
            candidate = slash == candidate.startIndex ? "/" : String(candidate[..<slash])
            if candidate == "/" { return candidate }
        }
    }

    private func fileSystem(_ directory: String) -> [Finding] {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(descriptor) }
        var kind: UInt32 = 0
        guard descriptor >= 0, apus_file_system_kind(descriptor, &kind) == 0 else { return [] }
        switch kind {
        case 0x0102_1994, 0x8584_58F6:  // tmpfs, ramfs
            return [.advice("\(path) is in memory: it is empty after a restart of the machine", try: "a directory on a disk")]
        case 0x6969, 0xFF53_4D42, 0xFE53_4D42, 0x00C3_6400, 0x6573_5546:  // NFS, CIFS, SMB2, Ceph, FUSE
            guard mustBeLocal else { return [.good("\(path) is on a network or user-space file system")] }
            return [
                .bad(
                    "\(path) is on a network or user-space file system, which SQLite's locks do not survive",
                    try: "a directory on a local disk")
            ]
        default: return []
        }
    }

    private func space(_ directory: String) -> [Finding] {
        var facts = statvfs()
        guard statvfs(directory, &facts) == 0 else { return [] }
        let free = ByteCount(Int(facts.f_bavail) * Int(facts.f_frsize)), total = ByteCount(Int(facts.f_blocks) * Int(facts.f_frsize))
        if free <= reserve {
            return [
                .bad(
                    "\(free) of \(total) are free, not more than the reserve of \(reserve)",
                    try: "free some space, or lower store.reserve_bytes")
            ]
        }
        let text = "\(free) of \(total) are free"
        return [facts.f_favail == 0 && facts.f_files > 0 ? .bad("\(text), but no inodes", try: "delete small files") : .good(text)]
    }

    /// Twenty small writes, each synced: what every acknowledged write waits for.
    private func syncing(_ directory: String) -> Finding {
        let file = "\(directory)/.apus-doctor-\(getpid())"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return .bad("cannot create a file in \(directory): \(String(cString: strerror(errno)))", try: nil) }
        defer {
            close(descriptor)
            unlink(file)
        }
        let page = [UInt8](repeating: 0x5A, count: 4096)
        var times: [Duration] = []
        for _ in 0..<20 {
            let began = ContinuousClock.now
            guard write(descriptor, page, page.count) == page.count, fdatasync(descriptor) == 0 else {
                return .bad("a write to \(directory) failed: \(String(cString: strerror(errno)))", try: "look at the disk with dmesg")
            }
            times.append(ContinuousClock.now - began)
        }
        times.sort()
        let text = "a synced write takes \(Self.milliseconds(times[10])) (median of 20, longest \(Self.milliseconds(times[19])))"
        guard times[10] <= .milliseconds(20) else {
            return .advice(text, try: "a faster disk: every acknowledged write waits for one")
        }
        return .good(text)
    }

    static func milliseconds(_ duration: Duration) -> String { "\(Double(duration.nanoseconds / 10_000) / 100) ms" }
}
