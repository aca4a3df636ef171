/// A server of a shared cache.
public struct CacheServer: Sendable, Hashable, CustomStringConvertible {
    public var host: String
    public var port: Int

    public init(host: String, port: Int) { (self.host, self.port) = (host, port) }

    /// `host`, `host:port` or `[address]:port`.
    public init?(_ text: String, defaultPort: Int) {
        var (host, port) = (text, defaultPort)
        if let colon = text.lastIndex(of: ":"), text.hasSuffix("]") == false, text.hasPrefix("[") || text.firstIndex(of: ":") == colon {
            guard let number = Int(text[text.index(after: colon)...]), (1...65_535).contains(number) else { return nil }
            (host, port) = (String(text[..<colon]), number)
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { return nil }
        self.init(host: host, port: port)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Where the Redis servers are.
public enum RedisServers: Sendable, Hashable {
    case single(CacheServer)
    /// Sentinels, which know where the master of this name is now.
    case sentinels([CacheServer], master: String)
    /// Some nodes of a Redis Cluster.
    case cluster([CacheServer])
}

/// Which node of a Redis Cluster has a key.
enum RedisSlots {
    static let count = 16_384

    /// CRC-16 (XMODEM) of the name, as Redis Cluster's specification says; our names have no hash tags.
    static func slot(of name: String) -> Int {
        var crc: UInt16 = 0
        for byte in name.utf8 {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
        }
        return Int(crc) % count
    }

    /// Reads the answer to `CLUSTER SLOTS`: the master of each slot.
    static func masters(_ reply: RedisReply, answeredBy server: CacheServer) -> [CacheServer?] {
        var masters = [CacheServer?](repeating: nil, count: count)
        for range in reply.list {
            let fields = range.list
            guard fields.count >= 3, let first = fields[0].integer, let last = fields[1].integer, 0 <= first, first <= last, last < count,
                let host = fields[2].list.first?.text, let port = fields[2].list.dropFirst().first?.integer
            else { continue }
            // No host: that of the node that answers.
            let master = CacheServer(host: host.isEmpty ? server.host : host, port: Int(port))
            for slot in Int(first)...Int(last) { masters[slot] = master }
        }
        return masters
    }

    /// The server that `MOVED 3999 127.0.0.1:6381` names.
    static func moved(_ error: String) -> CacheServer? {
        let words = error.split(separator: " ")
        guard words.count == 3, words[0] == "MOVED" else { return nil }
        return CacheServer(String(words[2]), defaultPort: 6379)
    }
}
