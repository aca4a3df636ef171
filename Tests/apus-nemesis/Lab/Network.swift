internal import ApusTypes

/// Where the lab's processes run: each host in a network namespace of its own with a path to a router, which is this process's own
/// namespace; or, where namespaces cannot be made, on addresses of loopback that nothing can cut.
struct Network: Sendable {
    let hosts: [String]
    let isNamespaced: Bool

    /// `hosts` by name: what comes from one to another passes the router. This process must be in a namespace of its own, which ends with it.
    static func make(_ hosts: [String], isNamespaced: Bool) async throws -> Network {
        let network = Network(hosts: hosts, isNamespaced: isNamespaced)
        guard isNamespaced else { return network }
        try await ip("link", "set", "lo", "up")
        // The names too are seen by nobody else.
        try await Commands.run("/bin/mkdir", "-p", "/run/netns")
        try await Commands.run("/usr/bin/mount", "-t", "tmpfs", "lab", "/run/netns")
        for (index, host) in hosts.enumerated() {
            let (near, far) = ("10.77.\(index + 1).1", "10.77.\(index + 1).2/24")
            try await ip("netns", "add", host)
            try await ip("link", "add", "to-\(host)", "type", "veth", "peer", "name", "eth0", "netns", host)
            try await ip("addr", "add", near + "/24", "dev", "to-\(host)")
            try await ip("link", "set", "to-\(host)", "up")
            try await ip("-n", host, "addr", "add", far, "dev", "eth0")
            try await ip("-n", host, "link", "set", "eth0", "up")
            try await ip("-n", host, "link", "set", "lo", "up")
            try await ip("-n", host, "route", "add", "default", "via", near)
        }
        try Commands.write("1", to: "/proc/sys/net/ipv4/ip_forward")
        return network
    }

    func address(of host: String) -> String {
        let number = (hosts.firstIndex(of: host) ?? 0) + 1
        return isNamespaced ? "10.77.\(number).2" : "127.0.0.\(number + 1)"
    }

    /// What starts a program on a host.
    func enter(_ host: String) -> [String] { isNamespaced ? ["/usr/sbin/ip", "netns", "exec", host] : [] }

    /// The router drops what one host sends to another, without a word.
    func cut(_ from: String, to: String) async throws { try await rule("add", from, to) }

    func mend(_ from: String, to: String) async throws { try await rule("del", from, to) }

    private func rule(_ verb: String, _ from: String, _ to: String) async throws {
        let place = { (hosts.firstIndex(of: $0) ?? 0) + 1 }
        let order = "\(100 + place(from) * 16 + place(to))"
        try await Self.ip(
            "rule", verb, "pref", order, "from", address(of: from), "to", address(of: to), "blackhole")
    }

    private static func ip(_ words: String...) async throws { try await Commands.run(["/usr/sbin/ip"] + words) }
}
