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
        for entry in entries where !Self.keys.contains(entry.key) {
            let near = nearest(to: entry.key, among: Self.keys).map { "; did you mean '\($0)'?" } ?? ""
            throw ConfigurationMistake("has no key '\(entry.key)'\(near)", mark: entry.mark)
        }
        guard let address = node["address"] else { throw ConfigurationMistake("must have an 'address'", mark: node.mark) }
        self.init(name: "", address: try SocketAddress(address))
        name = try node["name"].map { value throws(ConfigurationMistake) in try String(value) } ?? self.address.description
        faces = try node["faces"].map { value throws(ConfigurationMistake) in try [Face](value) } ?? Face.allCases
        tlsCertificate = try node["tls_certificate"].map { value throws(ConfigurationMistake) in try String?(value) } ?? nil
        tlsKey = try node["tls_key"].map { value throws(ConfigurationMistake) in try String?(value) } ?? nil
        guard !name.isEmpty else { throw ConfigurationMistake("must not have an empty name", mark: node.mark) }
        guard !faces.isEmpty else { throw ConfigurationMistake("must have at least one face", mark: node.mark) }
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            throw ConfigurationMistake("must have both 'tls_certificate' and 'tls_key', or neither", mark: node.mark)
        }
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
