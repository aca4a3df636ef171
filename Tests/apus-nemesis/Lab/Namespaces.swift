internal import Glibc

/// The lab's network and mounts lie in namespaces that end with this process: nothing of it is left on the machine, however it ends.
enum Namespaces {
    private static let mark = "APUS_NEMESIS_INSIDE"

    static var isInside: Bool { getenv(mark) != nil }

    /// Starts this program again in namespaces of its own. Returns where that cannot be: not as root, or in a container that forbids it.
    static func enter() {
        guard !isInside, getuid() == 0, works else { return }
        setenv(mark, "1", 1)
        // By its name: `/proc/self/exe` is unshare's by then.
        var target = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &target, target.count - 1)
        let program = String(decoding: target.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var arguments = (unshare + [program] + CommandLine.arguments.dropFirst()).map { strdup($0) } + [nil]
        execv("/usr/bin/unshare", &arguments)
        unsetenv(mark)
    }

    private static let unshare = ["/usr/bin/unshare", "--net", "--mount", "--propagation", "private", "--"]

    private static var works: Bool {
        var child = pid_t()
        var arguments = (unshare + ["/bin/true"]).map { strdup($0) } + [nil]
        guard posix_spawn(&child, "/usr/bin/unshare", nil, nil, &arguments, environ) == 0 else { return false }
        var status: Int32 = 0
        return waitpid(child, &status, 0) == child && status == 0
    }
}
