internal import ApusConfig
internal import ApusDatabase
internal import ApusRuntime
internal import ApusTypes
internal import CLinux
internal import Glibc

/// Processor, memory, limits and clock of this machine.
struct MachineExamination {
    let configuration: Configuration

    func findings() -> [Finding] { [processor(), memory(), openFiles(), hugePages(), clock()] + duckDB() }

    /// Only where a source of the configuration needs it: who does not use DuckDB need not have it.
    private func duckDB() -> [Finding] {
        let sources = configuration.query.sources.filter { ["duckdb", "ducklake"].contains($0.type) }
        guard configuration.query.duckDBLibrary != nil || !sources.isEmpty else { return [] }
        let lakes = sources.filter { $0.type == "ducklake" }
        var extensions = lakes.isEmpty ? [] : ["ducklake"]
        if lakes.contains(where: { $0.path.hasPrefix("postgres") }) { extensions.append("postgres_scanner") }
        do {
            let version = try DuckDBDatabase.examine(extensions: extensions, library: configuration.query.duckDBLibrary)
            return [.good((["DuckDB \(version)"] + extensions).joined(separator: ", "))]
        } catch {
            return [Finding(error, doing: "data sources of type \(lakes.isEmpty ? "duckdb" : "ducklake")")]
        }
    }

    private func processor() -> Finding {
        let cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        let flags = Set(
            (Self.field("flags", in: "/proc/cpuinfo") ?? Self.field("Features", in: "/proc/cpuinfo") ?? "").split(separator: " "))
        let vectors: String? =
            flags.contains("avx512f")
            ? "AVX-512" : flags.contains("avx2") && flags.contains("fma") ? "AVX2" : flags.contains("asimd") ? "NEON" : nil
        guard let vectors else {
            return .advice(
                "\(cores) cores without AVX2 or NEON: searches use portable kernels",
                try: "a processor with AVX2 searches several times faster")
        }
        return .good("\(cores) cores with \(vectors)")
    }

    private func memory() -> Finding {
        guard let memory = MachineMemory.current() else { return .good("memory: not known here") }
        let limit = memory.limit.map { $0 < memory.total ? ", limited to \($0) by its control group" : "" } ?? ""
        let text = "\(memory.total) of memory, \(memory.available) free" + limit
        guard memory.available >= .mebibytes(512), memory.usable >= .mebibytes(512) else {
            return .advice(text, try: "vectors are served from memory: 'apus collection forecast' says how much")
        }
        return .good(text)
    }

    private func openFiles() -> Finding {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 else {
            return .good("limit of open files: not known here")
        }
        let wanted =
            configuration.http.maxConnections * configuration.listeners.count
            + (configuration.rpc.isEnabled ? configuration.rpc.maxConnections : 0)
            + 256
        let text = "\(grouped(Int(clamping: limits.rlim_cur))) open files are allowed"
        guard limits.rlim_cur >= rlim_t(wanted) else {
            return .advice(
                "\(text); \(grouped(configuration.http.maxConnections)) connections on each listener need \(grouped(wanted))",
                try: "ulimit -n \(wanted), LimitNOFILE=\(wanted) in the systemd unit, or a lower http.max_connections")
        }
        return .good(text)
    }

    private func hugePages() -> Finding {
        guard let modes = Self.line("/sys/kernel/mm/transparent_hugepage/enabled") else {
            return .good("transparent huge pages: not known here")
        }
        let mode = modes.split(separator: "[").last?.prefix { $0 != "]" } ?? ""
        guard mode == "never" else { return .good("transparent huge pages: \(mode)") }
        return .advice("transparent huge pages are off", try: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
    }

    private func clock() -> Finding {
        switch apus_clock_is_synchronised() {
        case 1: .good("the clock is synchronised")
        // Nothing is decided by wall-clock time; it only makes logs of several machines comparable.
        case 0:
            .advice(
                "the clock is not synchronised", try: "run chrony or systemd-timesyncd, so that logs of several machines can be compared")
        default: .good("clock: its synchronisation is not known here")
        }
    }

    /// The value of `name: value` or `name : value` in a file of /proc.
    private static func field(_ name: String, in path: String) -> String? {
        guard let bytes = try? FileContents.read(path, limit: .mebibytes(16)) else { return nil }  // absent outside Linux
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].filter({ $0 != "\t" && $0 != " " }) == name {
                return String(parts[1].drop { $0 == " " || $0 == "\t" })
            }
        }
        return nil
    }

    private static func line(_ path: String) -> String? {
        guard let bytes = try? FileContents.read(path, limit: .kibibytes(64)) else { return nil }  // absent on other kernels
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").first.map(String.init)
    }
}
