package import ApusTypes
internal import CUV
internal import Glibc

/// Sockets of one address, one for each loop: Linux spreads new connections over sockets that share a port (`SO_REUSEPORT`).
package struct ListenSocket: Sendable {
    package let descriptor: Int32
    /// How many connections may wait to be accepted.
    package static let backlog = 1024

    /// Opens `count` sockets on `address`, or none. The port that 0 stands for is the same for all of them.
    ///
    /// `setting` is what its operator changes to listen elsewhere, for errors.
    package static func open(
        _ address: NumericAddress, count: Int, setting: String
    ) throws(ApusError) -> (sockets: [ListenSocket], port: Int) {
        // SO_REUSEPORT would let a second process of the same user share the port without a word. A plain socket does not share, so
        // it finds out first.
        if address.port != 0 { try bind(address, isShared: false, setting: setting).close() }
        var sockets: [ListenSocket] = []
        var address = address
        do throws(ApusError) {
            for _ in 0..<count {
                let socket = try bind(address, isShared: true, setting: setting)
                sockets.append(socket)
                address.port = NumericAddress(local: socket.descriptor)?.port ?? address.port
            }
        } catch {
            sockets.forEach { $0.close() }
            throw error
        }
        return (sockets, address.port)
    }

    package func close() { Glibc.close(descriptor) }

    private static func bind(_ address: NumericAddress, isShared: Bool, setting: String) throws(ApusError) -> ListenSocket {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { throw refused(address, setting, errno) }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        if isShared { setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, 4) }
        if address.family == AF_INET6 { setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, 4) }
        // Sockets that only share their port need to listen before another process's plain bind fails.
        guard address.withPointer({ Glibc.bind(descriptor, $0, $1) }) == 0, listen(descriptor, Int32(backlog)) == 0 else {
            let problem = errno
            Glibc.close(descriptor)
            throw refused(address, setting, problem)
        }
        return ListenSocket(descriptor: descriptor)
    }

    private static func refused(_ address: NumericAddress, _ setting: String, _ problem: Int32) -> ApusError {
        let hint =
            switch problem {
            case EADDRINUSE:
                "another process listens there: find it with `ss -ltnp 'sport = :\(address.port)'`, stop it, or give \(setting) another port"
            case EACCES: "ports below 1024 need privileges: choose a higher port, or grant CAP_NET_BIND_SERVICE"
            case EADDRNOTAVAIL: "no interface of this machine has the address \(address.host): see `ip address`"
            case EMFILE, ENFILE: "the limit of open files is reached: raise it with `ulimit -n`"
            default: "check the address of \(setting)"
            }
        return ApusError(
            .listenerUnavailable, "cannot listen on \(address): \(String(cString: strerror(problem)))", hint: hint,
            context: ["listener": setting, "errno": "\(problem)"])
    }
}
