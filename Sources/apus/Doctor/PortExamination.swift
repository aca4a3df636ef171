internal import ApusConfig
internal import ApusTypes
internal import Glibc

/// Whether an address can be listened on, and who has it if not.
struct PortExamination: Sendable {
    let address: SocketAddress
    /// What says so in the configuration.
    let setting: String
    /// The process of the node that is examined; nil where it does not run.
    var node: Int32?

    func finding() -> Finding {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var results: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(address.host, String(address.port), &hints, &results)
        guard status == 0, let first = results else {
            return .bad(
                "'\(address.host)' is no address of this machine: \(String(cString: gai_strerror(status)))",
                try: "correct \(setting) in the configuration")
        }
        defer { freeaddrinfo(results) }
        let descriptor = socket(first.pointee.ai_family, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return .bad("cannot open a socket for \(address): \(String(cString: strerror(errno)))", try: nil) }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        if bind(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 {
            guard address.isLoopback else {
                return .good("\(address) is free; other machines can reach it, and need a key")
            }
            return .good("\(address) is free")
        }
        switch errno {
        case EADDRINUSE:
            guard let holder = Self.holder(of: address) else {
                return .bad("\(address) is in use", try: "ss -ltnp 'sport = :\(address.port)' as root says by whom")
            }
            if let node, holder.pid == Int(node) { return .good("\(address) is served by this node (process \(holder.pid))") }
            let name = holder.name == "apus" ? "another node" : holder.name
            return .bad("\(address) is held by \(name) (process \(holder.pid))", try: "stop it, or listen elsewhere: \(setting)")
        case EACCES:
            return .bad("\(address) may not be used by this user", try: "a port from 1024 on, or the capability CAP_NET_BIND_SERVICE")
        case EADDRNOTAVAIL: return .bad("\(address.host) is no address of this machine", try: "ip address lists them")
        default: return .bad("cannot listen on \(address): \(String(cString: strerror(errno)))", try: nil)
        }
    }

    /// An IP address as /proc/net writes it: its words, each in the machine's own order.
    private static func words(of host: String) -> String? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var results: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &results) == 0, let first = results?.pointee else { return nil }
        defer { freeaddrinfo(results) }
        let bytes = UnsafeRawBufferPointer(start: first.ai_addr, count: Int(first.ai_addrlen))
        return (first.ai_family == AF_INET ? [4] : [8, 12, 16, 20]).map { start in
            let digits = String(bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self), radix: 16, uppercase: true)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    /// The process that has the address, or its port of all addresses: the socket's inode from /proc/net, then the process that has it open.
    /// Only root sees the processes of others.
    static func holder(of address: SocketAddress) -> (pid: Int, name: String)? {
        let host = words(of: address.host)
        let inodes = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { table -> [String] in
            guard let bytes = try? FileContents.read(table, limit: .mebibytes(64)) else { return [] }  // no IPv6, or not Linux
            return String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst().compactMap { line in
                let fields = line.split(separator: " ")
                guard fields.count > 9, fields[3] == "0A" else { return nil }
                let local = fields[1].split(separator: ":")
                guard local.count == 2, Int(local[1], radix: 16) == address.port else { return nil }
                // All addresses are zeros.
                let isInTheWay = address.isAny || host == String(local[0]) || local[0].allSatisfy { $0 == "0" }
                return isInTheWay ? String(fields[9]) : nil
            }
        }
        let wanted = Set(inodes.map { "socket:[\($0)]" })
        guard !wanted.isEmpty else { return nil }
        for pid in FileTree.entries("/proc").compactMap({ Int($0) }) {
            for descriptor in FileTree.entries("/proc/\(pid)/fd") {
                var target = [CChar](repeating: 0, count: 64)
                let length = readlink("/proc/\(pid)/fd/\(descriptor)", &target, target.count - 1)
                guard length > 0, wanted.contains(String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)) else {
                    continue
                }
                let name = (try? FileContents.read("/proc/\(pid)/comm", limit: .kibibytes(4))) ?? []  // it may have ended just now
                return (pid, String(decoding: name, as: UTF8.self).filter { !$0.isNewline })
            }
        }
        return nil
    }
}
