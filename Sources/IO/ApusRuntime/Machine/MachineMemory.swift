public import ApusTypes
internal import Glibc

/// The memory of this machine, and what of it this process may have.
public struct MachineMemory: Sendable, Hashable {
    public var total: ByteCount
    /// Free, or to be had at once from the page cache.
    public var available: ByteCount
    /// The least limit of the control groups that this process is in; nil where there is none. In a container it is what counts.
    public var limit: ByteCount?

    public init(total: ByteCount, available: ByteCount, limit: ByteCount?) {
        self.total = total
        self.available = available
        self.limit = limit
    }

    /// The most that this process can ever have.
    public var usable: ByteCount { min(total, limit ?? total) }

    /// Nil where the system does not tell.
    public static func current() -> MachineMemory? {
        guard let text = read("/proc/meminfo") else { return nil }
        func bytes(_ name: String) -> ByteCount? {
            text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
                .flatMap { Int($0.drop { !$0.isNumber }.prefix { $0.isNumber }) }.map { .kibibytes($0) }
        }
        guard let total = bytes("MemTotal"), let available = bytes("MemAvailable") else { return nil }
        return MachineMemory(total: total, available: available, limit: limits(of: read("/proc/self/cgroup") ?? "", read).min())
    }

    /// The limits of a process's control groups and of those around them, by the lines of its `cgroup` file: version 2 has one hierarchy
    /// (`0::/a/b`), version 1 one for memory (`4:memory:/a/b`). A container sees its own group as the root.
    static func limits(of groups: String, _ read: (String) -> String?) -> [ByteCount] {
        var found: [ByteCount] = []
        for line in groups.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let (root, name): (String, String)
            switch parts[1] {
            case "": (root, name) = ("/sys/fs/cgroup", "memory.max")
            case let kinds where kinds.split(separator: ",").contains("memory"):
                (root, name) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            default: continue
            }
            var path = parts[2].split(separator: "/")
            while true {
                let folder = path.isEmpty ? root : root + "/" + path.joined(separator: "/")
                // `max`, and version 1's largest number, are none.
                if let limit = read(folder + "/" + name).flatMap({ Int($0.prefix { $0.isNumber }) }), limit > 0, limit < 1 << 60 {
                    found.append(ByteCount(limit))
                }
                if path.isEmpty { break }
                path.removeLast()
            }
        }
        return found
    }

    /// A file that the kernel makes up: reading it does not wait for any disk.
    /// A small file of the kernel's; nil where it is not there.
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}
