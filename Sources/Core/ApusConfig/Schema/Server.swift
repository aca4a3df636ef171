extension Configuration.Server: ConfigurationValue {
    public static var typeName: String { "a server: {id, address, grpc_port}" }
    private static let keys = ["id", "address", "grpc_port"]

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        guard case .mapping(let entries) = node.content else {
            throw ConfigurationMistake("must hold {id, address, grpc_port}, not \(node.kind)", mark: node.mark)
        }
        var mistakes = ConfigurationMistakes()
        let unknown = entries.filter { !Self.keys.contains($0.key) }
        for entry in unknown {
            let near = nearest(to: entry.key, among: Self.keys).map { "; did you mean '\($0)'?" } ?? ""
            mistakes.note("has no key '\(entry.key)' in a server\(near)", mark: entry.mark)
        }
        let id = node["id"].flatMap { node in mistakes.attempt { () throws(ConfigurationMistake) in try String(node) } }
        let address = node["address"].flatMap { node in mistakes.attempt { () throws(ConfigurationMistake) in try Self.host(node) } }
        let port = node["grpc_port"].flatMap { node in mistakes.attempt { () throws(ConfigurationMistake) in try Self.port(node) } }
        // What is missing beside a misspelt key is most likely under that.
        if unknown.isEmpty, Self.keys.contains(where: { node[$0] == nil }) {
            mistakes.note("must have id, address and grpc_port in each server", mark: node.mark)
        }
        try mistakes.check()
        guard let id, let address, let port else {
            throw ConfigurationMistake("must have id, address and grpc_port in each server", mark: node.mark)
        }
        self.init(id: id, address: address, port: port)
    }

    public var node: YAMLNode {
        YAMLNode(.mapping([YAMLEntry("id", id.node), YAMLEntry("address", address.node), YAMLEntry("grpc_port", port.node)]))
    }

    /// `ID=HOST:PORT`, or `HOST:PORT` for a node that is named as its host.
    public static func node(fromText text: String) -> YAMLNode {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard let address = SocketAddress(parts.last ?? "") else { return .string(text) }
        return Configuration.Server(id: parts.count == 2 ? parts[0] : address.host, address: address.host, port: address.port).node
    }

    static func host(_ node: YAMLNode) throws(ConfigurationMistake) -> String {
        let host = try String(node)
        guard SocketAddress(SocketAddress(host: host, port: 0).description) != nil else {
            throw ConfigurationMistake("must be an address or a host name, not '\(host)'", mark: node.mark)
        }
        return host
    }

    static func port(_ node: YAMLNode) throws(ConfigurationMistake) -> Int {
        let port = try Int(node)
        guard (1...65_535).contains(port) else { throw ConfigurationMistake("must be 1 to 65535, not \(port)", mark: node.mark) }
        return port
    }
}
