internal import ApusRuntime
internal import ApusTypes
internal import CUV
internal import Glibc

/// A socket address with its port.
struct NetworkAddress: Sendable, Hashable {
    private let bytes: [UInt8]

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>) -> Result) -> Result {
        bytes.withUnsafeBytes { body($0.assumingMemoryBound(to: sockaddr.self).baseAddress!) }  // never empty
    }

    private init<Address>(_ address: Address) { bytes = withUnsafeBytes(of: address) { Array($0) } }

    /// Whether it is an address of the link, or one at which clouds tell their machines' credentials; also where it is written as IPv6.
    var isLinkLocal: Bool {
        let family = bytes.withUnsafeBytes { $0.load(as: sa_family_t.self) }
        if family == sa_family_t(AF_INET) { return Self.isLinkLocal(four: bytes[4..<8]) }
        guard family == sa_family_t(AF_INET6) else { return false }
        let six = Array(bytes[8..<24])  // behind family, port and flow
        if six[0] == 0xfe, six[1] & 0xc0 == 0x80 { return true }
        if six == Self.amazon { return true }
        let isMapped = six[..<10].allSatisfy { $0 == 0 } && (six[10] == 0 && six[11] == 0 || six[10] == 0xff && six[11] == 0xff)
        if isMapped || six.starts(with: [0, 0x64, 0xff, 0x9b]) { return Self.isLinkLocal(four: six[12...]) }
        return six.starts(with: [0x20, 0x02]) && Self.isLinkLocal(four: six[2..<6])
    }

    /// fd00:ec2::254
    private static let amazon: [UInt8] = [0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54]

    private static func isLinkLocal(four: ArraySlice<UInt8>) -> Bool {
        let four = Array(four)
        // Of Alibaba, Azure and Oracle.
        return four.starts(with: [169, 254]) || [[100, 100, 100, 200], [168, 63, 129, 16], [192, 0, 0, 192]].contains(four)
    }

    /// The addresses of `host`, IPv6 and IPv4 in the system's order; asked for on libuv's threads when it is a name.
    static func resolve(_ host: String, port: Int, on loop: EventLoop) async throws -> [NetworkAddress] {
        var four = sockaddr_in()
        if uv_ip4_addr(host, Int32(port), &four) == 0 { return [NetworkAddress(four)] }
        var six = sockaddr_in6()
        if uv_ip6_addr(host, Int32(port), &six) == 0 { return [NetworkAddress(six)] }
        let answer = OneShot<[NetworkAddress]>()
        try await loop.run { ask(host, port, loop, answer) }
        return try await answer.value()
    }

    private static func ask(_ host: String, _ port: Int, _ loop: EventLoop, _ answer: OneShot<[NetworkAddress]>) {
        let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
        request.initialize(to: uv_getaddrinfo_t())
        request.pointee.data = Unmanaged.passRetained(answer).toOpaque()  // given back in the callback
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        let status = uv_getaddrinfo(
            loop.uv, request,
            { request, status, list in
                let answer = Unmanaged<OneShot<[NetworkAddress]>>.fromOpaque(request!.pointee.data).takeRetainedValue()  // retained above
                request!.deallocate()
                defer { uv_freeaddrinfo(list) }
                answer.resolve(status == 0 ? .success(NetworkAddress.all(list)) : .failure(NetworkAddress.unknown(status)))
            }, host, String(port), &hints)
        if status != 0 {
            Unmanaged<OneShot<[NetworkAddress]>>.fromOpaque(request.pointee.data).release()
            request.deallocate()
            answer.resolve(.failure(NetworkAddress.unknown(status)))
        }
    }

    private static func all(_ list: UnsafeMutablePointer<addrinfo>?) -> [NetworkAddress] {
        var addresses: [NetworkAddress] = []
        var next = list
        while let entry = next {
            if let address = entry.pointee.ai_addr {
                let raw = UnsafeRawPointer(address)
                switch entry.pointee.ai_family {
                case AF_INET: addresses.append(NetworkAddress(raw.loadUnaligned(as: sockaddr_in.self)))
                case AF_INET6: addresses.append(NetworkAddress(raw.loadUnaligned(as: sockaddr_in6.self)))
                default: break
                }
            }
            next = entry.pointee.ai_next
        }
        return addresses
    }

    private static func unknown(_ status: Int32) -> ApusError {
        ApusError(.peerUnavailable, "the host's name has no address: \(String(cString: uv_strerror(status)))")
    }
}
