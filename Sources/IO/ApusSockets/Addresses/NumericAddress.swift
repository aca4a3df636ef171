internal import CLinux
internal import CUV
internal import Glibc

/// A numeric IPv4 or IPv6 address with a port.
package struct NumericAddress: Sendable, CustomStringConvertible {
    private var storage = sockaddr_storage()

    /// Reads a numeric address; `localhost` is 127.0.0.1, and an IPv6 address may stand in brackets. Nil for anything else.
    package init?(host: String, port: Int) {
        var name = host == "localhost" ? "127.0.0.1" : host
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        guard let number = UInt16(exactly: port) else { return nil }
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        if inet_pton(AF_INET, name, &v4.sin_addr) == 1 {
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = number.bigEndian
            withUnsafeMutableBytes(of: &storage) { storage in withUnsafeBytes(of: v4) { storage.copyMemory(from: $0) } }
        } else if inet_pton(AF_INET6, name, &v6.sin6_addr) == 1 {
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = number.bigEndian
            withUnsafeMutableBytes(of: &storage) { storage in withUnsafeBytes(of: v6) { storage.copyMemory(from: $0) } }
        } else {
            return nil
        }
    }

    /// The address that a socket is bound to.
    package init?(local descriptor: Int32) { self.init { getsockname(descriptor, $0, $1) } }

    /// The address of a socket's other end.
    package init?(peer descriptor: Int32) { self.init { getpeername(descriptor, $0, $1) } }

    /// Takes the next connection that waits at `listener`: its descriptor and the other end's address, or the error's number.
    package static func accept(from listener: Int32) throws(AcceptFailure) -> (descriptor: Int32, peer: NumericAddress) {
        var descriptor: Int32 = -1
        let peer = NumericAddress { address, length in
            descriptor = apus_accept(listener, address, length)
            return descriptor < 0 ? -1 : 0
        }
        guard let peer else { throw AcceptFailure(number: errno) }
        return (descriptor, peer)
    }

    package struct AcceptFailure: Error { package var number: Int32 }

    private init?(_ ask: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) {
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // not empty
        let status = withUnsafeMutableBytes(of: &storage) { ask($0.assumingMemoryBound(to: sockaddr.self).baseAddress!, &length) }
        guard status == 0 else { return nil }
    }

    package var family: Int32 { Int32(storage.ss_family) }

    package var port: Int {
        get { withV6 { Int(UInt16(bigEndian: $0.sin6_port)) } }  // the port lies at the same place in both families
        set {
            withUnsafeMutableBytes(of: &storage) {
                $0.storeBytes(of: UInt16(truncatingIfNeeded: newValue).bigEndian, toByteOffset: 2, as: UInt16.self)
            }
        }
    }

    /// The address without port or brackets; an IPv4 address that came through an IPv6 socket is shown as IPv4.
    package var host: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        if family == AF_INET {
            var address = withV4 { $0.sin_addr }
            inet_ntop(AF_INET, &address, &text, socklen_t(text.count))
        } else {
            var address = withV6 { $0.sin6_addr }
            inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
        }
        let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return host.hasPrefix("::ffff:") && host.contains(".") ? String(host.dropFirst(7)) : host
    }

    package var isLoopback: Bool {
        let host = host
        return host == "::1" || host.hasPrefix("127.")
    }

    package var description: String { family == AF_INET6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        let length = family == AF_INET6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
        return withUnsafeBytes(of: storage) {
            body($0.assumingMemoryBound(to: sockaddr.self).baseAddress!, socklen_t(length))  // not empty
        }
    }

    private func withV4<Result>(_ body: (sockaddr_in) -> Result) -> Result {
        withUnsafeBytes(of: storage) { body($0.load(as: sockaddr_in.self)) }
    }

    private func withV6<Result>(_ body: (sockaddr_in6) -> Result) -> Result {
        withUnsafeBytes(of: storage) { body($0.load(as: sockaddr_in6.self)) }
    }
}
