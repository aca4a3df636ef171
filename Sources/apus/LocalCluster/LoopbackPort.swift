internal import ApusConfig
internal import Glibc

/// Whether this machine lets us listen on an address of its loopback network.
enum LoopbackPort {
    /// Linux answers on all of 127.0.0.0/8, other systems on 127.0.0.1 alone.
    static var hasManyAddresses: Bool { attempt(host: "127.0.0.2", port: 0) == 0 }

    /// Nil where it is free.
    static func problem(host: String, port: Int) -> String? {
        switch attempt(host: host, port: port) {
        case 0: nil
        case EADDRINUSE:
            PortExamination.holder(of: SocketAddress(host: host, port: port)).map { "\($0.name) (process \($0.pid)) is there" }
                ?? "another program is there"
        case let code: String(cString: strerror(code))
        }
    }

    /// The error of binding, or 0.
    private static func attempt(host: String, port: Int) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        let status = withUnsafeBytes(of: address) {
            bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count))
        }
        return status == 0 ? 0 : errno
    }
}
