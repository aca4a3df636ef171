internal import ApusCluster
internal import ApusConfig
internal import ApusRuntime
internal import ApusTypes
internal import Glibc

extension Node {
    /// Who is expected by name.
    var listedNodes: [ExpectedNode] { configuration.cluster.servers.map { ExpectedNode(name: NodeName($0.id), address: $0.address) } }

    /// Tells the cluster whom DNS names, besides those that are listed, again and again.
    func watch(domain name: String) async throws {
        let pool = BlockingPool(name: "dns", threads: 1, queueLimit: 8)
        while true {
            do {
                let found = try await pool.run(deadline: clock.now.advanced(by: .seconds(10))) { try Self.addresses(of: name) }
                cluster.expect(listedNodes + found.map { ExpectedNode(address: $0) })
            } catch let error as ApusError {
                Self.log.info("the nodes that DNS is to name are not known", ["name": name, "error": error.summary])
            }
            try await clock.sleep(for: configuration.cluster.dnsInterval)
        }
    }

    /// Blocks.
    private static func addresses(of name: String) throws -> [String] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, nil, &hints, &list)
        guard status == 0 else { throw ApusError(.nodeUnreachable, "\(name) is not found: \(String(cString: gai_strerror(status)))") }
        defer { freeaddrinfo(list) }
        var found: [String] = []
        var entry = list
        while let info = entry?.pointee {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(info.ai_addr, info.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 {
                found.append(String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
            }
            entry = info.ai_next
        }
        return found
    }
}
