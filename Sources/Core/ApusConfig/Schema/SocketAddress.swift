/// A host and a port: `127.0.0.1:15002`, `[::1]:15002`, `db.example.com:5432`.
public struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    /// A numeric address (without brackets) or a name.
    public var host: String
    /// 0 asks the system for a free one.
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port),
            text[text.index(after: colon)...].utf8.allSatisfy({ (48...57).contains($0) })
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != 91 && $0 != 93 && $0 != 47 }) else { return nil }
        self.init(host: String(host), port: port)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Whether two listeners cannot have these addresses at a time: the same one, or one of all addresses of a family and one of them.
    func overlaps(_ other: SocketAddress) -> Bool {
        guard port == other.port, port != 0 else { return false }
        let hosts = [self, other].map { $0.host == "localhost" ? "127.0.0.1" : $0.host.lowercased() }
        if hosts[0] == hosts[1] { return true }
        // A socket of all IPv6 addresses takes no IPv4 connections here. A name may be either; only the system can tell.
        if hosts.contains("0.0.0.0") { return hosts.allSatisfy { $0.utf8.allSatisfy { (48...57).contains($0) || $0 == 46 } } }
        if hosts.contains("::") { return hosts.allSatisfy { $0.contains(":") } }
        return false
    }

    /// Every address of the machine: one to listen on, not one to be reached at.
    public var isAny: Bool { host == "0.0.0.0" || host == "::" }

    /// Only this machine can reach it.
    public var isLoopback: Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.") && host.split(separator: ".").count == 4
    }
}

extension SocketAddress: ConfigurationValue {
    public static var typeName: String { "HOST:PORT ('127.0.0.1:15002', '[::1]:15002')" }

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        guard let text = node.scalar?.text, let value = SocketAddress(text) else {
            let found = node.scalar.map { "'\($0.text)'" } ?? node.kind
            throw ConfigurationMistake("must be \(Self.typeName), not \(found)", mark: node.mark)
        }
        self = value
    }

    public var node: YAMLNode { .string(description) }
    public static func node(fromText text: String) -> YAMLNode { .string(text) }
}

extension Configuration.Listener: ConfigurationValue {
    public static var typeName: String { "a listener: {name, address, faces, tls_certificate, tls_key}" }
    private static let keys = ["name", "address", "faces", "tls_certificate", "tls_key"]

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        guard case .mapping(let entries) = node.content else {
            throw ConfigurationMistake("must be \(Self.typeName), not \(node.kind)", mark: node.mark)
        }
        var mistakes = ConfigurationMistakes()
        for entry in entries where !Self.keys.contains(entry.key) {
            let near = nearest(to: entry.key, among: Self.keys).map { "; did you mean '\($0)'?" } ?? ""
            mistakes.note("has no key '\(entry.key)'\(near)", mark: entry.mark)
        }
        func read<Value: ConfigurationValue>(_ key: String, as type: Value.Type = Value.self) -> Value? {
            node[key].flatMap { value in mistakes.attempt { () throws(ConfigurationMistake) in try Value(value) } }
        }
        let address: SocketAddress? = read("address")
        // An address under a misspelt key is one mistake, not two.
        if node["address"] == nil, !entries.contains(where: { nearest(to: $0.key, among: ["address"]) != nil }) {
            mistakes.note("must have an 'address'", mark: node.mark)
        }
        let name: String? = read("name")
        let faces: [Face]? = read("faces")
        let certificate: String?? = read("tls_certificate")
        let key: String?? = read("tls_key")
        if name == "" { mistakes.note("must not have an empty name", mark: node.mark) }
        if let faces, faces.contains(.service), faces.count > 1 {
            mistakes.note("must have a listener of its own for the face 'service': it asks for no credential", mark: node.mark)
        }
        if faces == [] { mistakes.note("must have at least one face", mark: node.mark) }
        if (node["tls_certificate"].map { !$0.isNull } ?? false) != (node["tls_key"].map { !$0.isNull } ?? false) {
            mistakes.note("must have both 'tls_certificate' and 'tls_key', or neither", mark: node.mark)
        }
        try mistakes.check()
        guard let address else { throw ConfigurationMistake("must have an 'address'", mark: node.mark) }
        self.init(
            name: name ?? address.description, address: address, faces: faces ?? Face.standard, tlsCertificate: certificate ?? nil,
            tlsKey: key ?? nil)
    }

    public var node: YAMLNode {
        var entries = [YAMLEntry("name", name.node), YAMLEntry("address", address.node), YAMLEntry("faces", faces.node)]
        if let tlsCertificate { entries.append(YAMLEntry("tls_certificate", tlsCertificate.node)) }
        if let tlsKey { entries.append(YAMLEntry("tls_key", tlsKey.node)) }
        return YAMLNode(.mapping(entries))
    }

    /// `HOST:PORT`, serving every face; or `HOST:PORT=face+face`.
    public static func node(fromText text: String) -> YAMLNode {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        var entries = [YAMLEntry("address", .string(parts.first ?? ""))]
        if parts.count == 2 {
            entries.append(YAMLEntry("faces", YAMLNode(.sequence(parts[1].split(separator: "+").map { .string(String($0)) }))))
        }
        return YAMLNode(.mapping(entries))
    }
}
