internal import ApusConfig
internal import ApusRuntime
internal import ApusTypes
internal import Glibc

/// Whether something accepts connections at addresses, as seen from this machine.
enum Reachability {
    /// Those where nothing does, each with the reason, all tried at once.
    static func unreached(_ addresses: [SocketAddress], within time: Duration) async -> [SocketAddress: String] {
        let pool = BlockingPool(name: "reach", threads: 16, queueLimit: 4096)
        let deadline = BootClock.now.advanced(by: time + .seconds(2))
        return await withTaskGroup(of: (SocketAddress, String?).self) { group in
            for address in Set(addresses) {
                group.addTask {
                    do {
                        return (address, try await pool.run(deadline: deadline) { connect(to: address, within: time) })
                    } catch { return (address, "its name is not found in time") }
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    /// `http://host:port/…` → host and port.
    static func address(ofURL url: String) -> SocketAddress? {
        let parts = url.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: true)
        guard parts.count >= 2, let authority = parts.dropFirst().first else { return nil }
        return SocketAddress(String(authority)) ?? SocketAddress("\(authority):\(parts[0] == "https:" ? 443 : 80)")
    }

    /// Nil when a connection was accepted. Blocks.
    private static func connect(to address: SocketAddress, within time: Duration) -> String? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(address.host, String(address.port), &hints, &list)
        guard status == 0 else { return String(cString: gai_strerror(status)) }
        defer { freeaddrinfo(list) }
        var reason = "it has no address"
        var entry = list
        while let info = entry?.pointee {
            let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            let descriptor = socket(info.ai_family, kind, 0)
            defer { close(descriptor) }
            if Glibc.connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 { return nil }
            guard errno == EINPROGRESS else {
                reason = String(cString: strerror(errno))
                entry = info.ai_next
                continue
            }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            if poll(&waiting, 1, Int32(time.seconds * 1000)) == 1 {
                var (problem, size) = (Int32(0), socklen_t(4))
                getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &problem, &size)
                if problem == 0 { return nil }
                reason = String(cString: strerror(problem))
            } else {
                reason = "no answer within \(time.seconds) s"
            }
            entry = info.ai_next
        }
        return reason
    }
}
