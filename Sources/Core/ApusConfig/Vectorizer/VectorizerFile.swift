internal import ApusTypes

/// The settings that a Vectorizer file spreads over several keys: a listener is a host, a port and two TLS files; the node's addresses
/// are those of the entry of `cluster.servers` that has the node's id.
struct VectorizerFile {
    enum Part: Sendable { case host, port, rpcHost, rpcPort, nodeID, servers, discovery, tlsEnabled, tlsCertificate, tlsKey, mutualTLS }

    private struct Server {
        var id: String
        var address: String
        var grpcPort: Int
        var line: Int
    }

    /// The first key that marks the file as Vectorizer's.
    private var firstLine: Int?
    private var listenerLine: Int?
    private var host = "127.0.0.1"
    private var port = 15002
    private var rpcLine: Int?
    private var rpcHost: String?
    private var rpcPort: Int?
    private var nodeID: String?
    private var servers: [Server] = []
    private var tlsEnabled = false
    private var tlsCertificate = ""
    private var tlsKey = ""

    mutating func note(_ part: Part, _ entry: YAMLEntry, as written: String, in reader: inout ConfigurationFileReader) {
        do throws(ConfigurationMistake) {
            try note(part, entry, as: written, &reader)
        } catch {
            for mistake in error.all { reader.complain(at: mistake.mark ?? entry.value.mark, written, mistake.what) }
        }
    }

    private mutating func note(
        _ part: Part, _ entry: YAMLEntry, as written: String, _ reader: inout ConfigurationFileReader
    ) throws(ConfigurationMistake) {
        let value = entry.value
        switch part {
        case .host:
            host = try Self.host(value)
            mark(entry)
            listenerLine = listenerLine ?? entry.mark.line
        case .port:
            port = try Self.port(value)
            mark(entry)
            listenerLine = listenerLine ?? entry.mark.line
        case .rpcHost:
            rpcHost = try Self.host(value)
            rpcLine = rpcLine ?? entry.mark.line
        case .rpcPort:
            rpcPort = try Self.port(value)
            rpcLine = rpcLine ?? entry.mark.line
        case .nodeID:
            mark(entry)
            guard !value.isNull, let key = ConfigurationKeys.key("node.name") else { return }
            try key.set(value, &reader.loaded.configuration)
            nodeID = try String(value)
            reader.loaded.origins[key.path] = .vectorizerFile(path: reader.path, line: entry.mark.line, key: written)
        case .servers:
            mark(entry)
            try noteServers(value)
            reader.complain(
                at: entry.mark, written,
                "is used for this node's own address only: nodes of a cluster find each other through the catalog that they share "
                    + "(catalog.url_file)", .warning)
        case .discovery:
            mark(entry)
            let known = ["static", "dns", "service_registry", "serviceregistry"]
            let method = try String(value)
            guard known.contains(method) else {
                throw ConfigurationMistake("must be one of static, dns, service_registry, not '\(method)'", mark: value.mark)
            }
            reader.complain(
                at: entry.mark, written,
                "is accepted and has no effect here: nodes of a cluster find each other through the catalog that they share", .warning)
        case .tlsEnabled: tlsEnabled = try Bool(value)
        case .tlsCertificate: tlsCertificate = try String?(value) ?? ""
        case .tlsKey: tlsKey = try String?(value) ?? ""
        case .mutualTLS:
            // Silently not asking for client certificates would open what its operator believes closed.
            guard try !Bool(value) else {
                throw ConfigurationMistake("must be false: client certificates are not supported", mark: value.mark)
            }
        }
    }

    private mutating func noteServers(_ value: YAMLNode) throws(ConfigurationMistake) {
        if value.isNull { return }
        guard case .sequence(let items) = value.content else {
            throw ConfigurationMistake("must be a list of {id, address, grpc_port}, not \(value.kind)", mark: value.mark)
        }
        var mistakes = ConfigurationMistakes()
        for item in items {
            guard let server = mistakes.attempt({ () throws(ConfigurationMistake) in try Self.server(item) }) else { continue }
            if let other = servers.first(where: { $0.id == server.id }) {
                mistakes.note("has the id '\(server.id)' twice (also in line \(other.line))", mark: item.mark)
            } else {
                servers.append(server)
            }
        }
        try mistakes.check()
    }

    private static func server(_ item: YAMLNode) throws(ConfigurationMistake) -> Server {
        guard case .mapping(let entries) = item.content else {
            throw ConfigurationMistake("must hold {id, address, grpc_port}, not \(item.kind)", mark: item.mark)
        }
        var mistakes = ConfigurationMistakes()
        let keys = ["id", "address", "grpc_port"]
        let unknown = entries.filter { !keys.contains($0.key) }
        for entry in unknown {
            let near = nearest(to: entry.key, among: keys).map { "; did you mean '\($0)'?" } ?? ""
            mistakes.note("has no key '\(entry.key)' in a server\(near)", mark: entry.mark)
        }
        let id = item["id"].flatMap { node in mistakes.attempt { () throws(ConfigurationMistake) in try String(node) } }
        let address = item["address"].flatMap { node in mistakes.attempt { () throws(ConfigurationMistake) in try String(node) } }
        let port = item["grpc_port"].flatMap { node in mistakes.attempt { () throws(ConfigurationMistake) in try Self.port(node) } }
        // What is missing beside a misspelt key is most likely under that.
        if unknown.isEmpty, keys.contains(where: { item[$0] == nil }) {
            mistakes.note("must have id, address and grpc_port in each server", mark: item.mark)
        }
        try mistakes.check()
        guard let id, let address, let port else {
            throw ConfigurationMistake("must have id, address and grpc_port in each server", mark: item.mark)
        }
        return Server(id: id, address: address, grpcPort: port, line: item.mark.line)
    }

    private mutating func mark(_ entry: YAMLEntry) { firstLine = firstLine ?? entry.mark.line }

    private static func host(_ node: YAMLNode) throws(ConfigurationMistake) -> String {
        let host = try String(node)
        guard SocketAddress(SocketAddress(host: host, port: 0).description) != nil else {
            throw ConfigurationMistake("must be an address or a host name, not '\(host)'", mark: node.mark)
        }
        return host
    }

    private static func port(_ node: YAMLNode) throws(ConfigurationMistake) -> Int {
        let port = try Int(node)
        guard (1...65_535).contains(port) else { throw ConfigurationMistake("must be 1 to 65535, not \(port)", mark: node.mark) }
        return port
    }

    /// Sets what the collected parts say, except where the same file says it in our own words.
    func finish(_ reader: inout ConfigurationFileReader) {
        func origin(_ line: Int, _ key: String) -> ConfigurationOrigin { .vectorizerFile(path: reader.path, line: line, key: key) }
        func isFree(_ path: String) -> Bool { reader.loaded.origins[path] == nil }

        if let rpcLine, isFree("rpc.address") {
            let address = reader.loaded.configuration.rpc.address
            reader.loaded.configuration.rpc.address = SocketAddress(host: rpcHost ?? address.host, port: rpcPort ?? address.port)
            reader.loaded.origins["rpc.address"] = origin(rpcLine, "rpc.host, rpc.port")
        }
        guard let firstLine else { return }

        if let listenerLine, isFree("listeners") {
            if tlsEnabled, tlsCertificate.isEmpty || tlsKey.isEmpty {
                reader.complain(
                    at: YAMLMark(line: listenerLine, column: 1), "security.tls", "must have cert_path and key_path when it is enabled")
            }
            let hasTLS = tlsEnabled && !tlsCertificate.isEmpty && !tlsKey.isEmpty
            reader.loaded.configuration.listeners = [
                Configuration.Listener(
                    name: "main", address: SocketAddress(host: host, port: port),
                    tlsCertificate: hasTLS ? tlsCertificate : nil, tlsKey: hasTLS ? tlsKey : nil)
            ]
            reader.loaded.origins["listeners"] = origin(listenerLine, "server.host, server.port")
        }
        if let own = servers.first(where: { $0.id == nodeID }) {
            if isFree("node.url") {
                let scheme = tlsEnabled ? "https" : "http"
                reader.loaded.configuration.node.url = "\(scheme)://\(SocketAddress(host: own.address, port: port))"
                reader.loaded.origins["node.url"] = origin(own.line, "cluster.servers")
            }
            if isFree("node.rpc_address") {
                reader.loaded.configuration.node.rpcAddress = SocketAddress(host: own.address, port: own.grpcPort)
                reader.loaded.origins["node.rpc_address"] = origin(own.line, "cluster.servers")
            }
        }
        // The directory that the guide makes, mounts volumes on and backs up.
        if isFree("node.data") {
            reader.loaded.configuration.node.data = "/var/lib/vectorizer/data"
            reader.loaded.origins["node.data"] = origin(firstLine, "the data directory of Vectorizer's guide")
        }
    }
}
