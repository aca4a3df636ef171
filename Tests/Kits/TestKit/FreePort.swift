import Glibc
import Synchronization

private let next = Mutex(UInt16.random(in: 0..<10_000))

/// A TCP port on 127.0.0.1 that nobody used a moment ago, for a server that cannot choose its own.
///
/// From below the range that the system gives to outgoing connections and to whoever asks for any port: other tests open thousands, and
/// one of them would take it before the server does.
public func freePort() throws -> UInt16 {
    for _ in 0..<1000 {
        let port = next.withLock { next in
            next = (next + 1) % 10_000
            return 20_000 + next
        }
        if try isFree(port) { return port }
    }
    throw TestKitError("no free port")
}

private func isFree(_ port: UInt16) throws -> Bool {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard socket >= 0 else { throw TestKitError("no socket: \(String(cString: strerror(errno)))") }
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    address.sin_port = port.bigEndian
    return withUnsafeBytes(of: address) {
        bind(socket, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count)) == 0
    }
}
