internal import Glibc

/// How many descriptors (files, sockets) this process may have open.
public enum DescriptorLimit {
    /// Raises the soft limit to the hard one, and gives what holds then.
    ///
    /// The soft limit is 1024 by tradition, for programs that use select(2); nothing here does.
    public static func raise() -> Int {
        var limit = rlimit()
        let resource = __rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue))
        guard getrlimit(resource, &limit) == 0 else { return 1024 }
        let soft = limit.rlim_cur
        limit.rlim_cur = limit.rlim_max
        if setrlimit(resource, &limit) != 0 { limit.rlim_cur = soft }
        return Int(clamping: limit.rlim_cur)
    }
}
