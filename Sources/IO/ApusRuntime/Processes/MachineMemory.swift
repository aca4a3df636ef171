public import ApusTypes
internal import Glibc

/// How much memory this process may use.
public enum MachineMemory {
    /// What the machine has.
    public static let total = ByteCount(sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)))

    /// The least of what the machine has and what its control groups allow: in a container, theirs is what counts.
    public static let limit = controlGroups().reduce(total) { min($0, $1) }

    /// The limits of this process's control group and of those above it.
    private static func controlGroups() -> [ByteCount] {
        for line in text("/proc/self/cgroup").split(separator: "\n") {
            // "0::/system.slice/apus.service", or "4:memory:/…" where groups have a tree for each resource.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            if parts[1] == "memory" { return limits(in: "/sys/fs/cgroup/memory", "memory.limit_in_bytes", below: parts[2]) }
            let limits = parts[1].isEmpty ? limits(in: "/sys/fs/cgroup", "memory.max", below: parts[2]) : []
            if !limits.isEmpty { return limits }
        }
        return []
    }

    private static func limits(in root: String, _ file: String, below path: Substring) -> [ByteCount] {
        var names = path.split(separator: "/")
        var limits: [ByteCount] = []
        while true {
            if let bytes = Int(text(([root[...]] + names + [file[...]]).joined(separator: "/")).prefix { $0.isNumber }) {
                limits.append(ByteCount(bytes))
            }
            if names.popLast() == nil { return limits }
        }
    }

    /// Empty where there is no such file.
    private static func text(_ path: String) -> String {
        guard let file = fopen(path, "re") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
