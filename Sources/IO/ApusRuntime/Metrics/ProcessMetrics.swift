internal import ApusTypes
internal import Glibc

extension MetricsRegistry {
    /// What this process takes, under the names that Prometheus' own libraries give (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics).
    public func watchProcess() {
        let processor = countedElsewhere("process_cpu_seconds_total", help: "Processor time of this process, user and system.")
        let resident = gauge("process_resident_memory_bytes", help: "Memory of this process that is in RAM.").with()
        let virtual = gauge("process_virtual_memory_bytes", help: "Address space of this process.").with()
        let files = gauge("process_open_fds", help: "Open files and sockets of this process.").with()
        let mostFiles = gauge("process_max_fds", help: "How many it may have.").with()
        let start = gauge("process_start_time_seconds", help: "When this process started, in seconds since 1970.").with()
        start.set(Double(BootClock().wallTime.millisecondsSinceEpoch) / 1000)
        onScrape {
            var usage = rusage()
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            processor.set([usage.ru_utime, usage.ru_stime].reduce(0) { $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6 })
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            mostFiles.set(Double(limit.rlim_cur))
            // Pages: the address space, then what is resident (proc(5)).
            let pages = (MachineMemory.read("/proc/self/statm") ?? "").split(separator: " ").compactMap { Double($0) }
            let size = Double(sysconf(Int32(_SC_PAGESIZE)))
            if pages.count > 1 {
                virtual.set(pages[0] * size)
                resident.set(pages[1] * size)
            }
            files.set(Double(Self.entries("/proc/self/fd")))
        }
    }

    /// Without those of the directory itself and its parent, and what is open to look.
    private static func entries(_ path: String) -> Int {
        guard let directory = opendir(path) else { return 0 }
        defer { closedir(directory) }
        var count = -3
        while readdir(directory) != nil { count += 1 }
        return max(0, count)
    }
}
