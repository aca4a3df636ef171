public import ApusTypes
internal import Glibc

/// The addresses of host names.
public enum HostNames {
    /// As the system knows them, in its order of preference: numbers, for one socket each. Blocks: call it in a `BlockingPool`.
    ///
    /// Throws `peer.unreachable` for a name that is not known.
    public static func addresses(of name: String) throws(ApusError) -> [String] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, nil, &hints, &list)
        guard status == 0 else {
            throw ApusError(.peerUnreachable, "the host \(name) cannot be found: \(String(cString: gai_strerror(status)))")
        }
        defer { freeaddrinfo(list) }
        var addresses: [String] = []
        var entry = list
        while let info = entry?.pointee {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(info.ai_addr, info.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 {
                addresses.append(String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
            }
            entry = info.ai_next
        }
        return addresses
    }
}
