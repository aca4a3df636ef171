internal import ApusTypes

/// The settings that a Vectorizer file spreads over several keys: a listener is a host, a port and two TLS files; the node's addresses
/// are those of the entry of `cluster.servers` that has the node's id.
struct VectorizerFile {
    enum Part: Sendable {
        case host, port, rpcHost, rpcPort, clusterEnabled, nodeID, servers, discovery, tlsEnabled, tlsCertificate, tlsKey, mutualTLS
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
    private var serversLine: Int?
    private var isCluster = true
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
            host = try Configuration.Server.host(value)
            mark(entry)
            listenerLine = listenerLine ?? entry.mark.line
        case .port:
            port = try Configuration.Server.port(value)
            mark(entry)
            listenerLine = listenerLine ?? entry.mark.line
        case .rpcHost:
            rpcHost = try Configuration.Server.host(value)
            rpcLine = rpcLine ?? entry.mark.line
        case .rpcPort:
            rpcPort = try Configuration.Server.port(value)
            rpcLine = rpcLine ?? entry.mark.line
        case .nodeID:
            mark(entry)
            guard !value.isNull, let key = ConfigurationKeys.key("node.name") else { return }
            try key.set(value, &reader.loaded.configuration)
            nodeID = try String(value)
            reader.loaded.origins[key.path] = .vectorizerFile(path: reader.path, line: entry.mark.line, key: written)
        case .clusterEnabled:
            isCluster = try Bool(value)
        case .servers:
            guard !value.isNull, let key = ConfigurationKeys.key("cluster.servers") else { return }
            try key.set(value, &reader.loaded.configuration)
            serversLine = entry.mark.line
            reader.loaded.origins[key.path] = .file(path: reader.path, line: entry.mark.line)
        case .discovery:
            mark(entry)
            let method = try String(value)
            guard ["static", "dns"].contains(method) else {
                throw ConfigurationMistake("must be static or dns, not '\(method)'", mark: value.mark)
            }
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

    private mutating func mark(_ entry: YAMLEntry) { firstLine = firstLine ?? entry.mark.line }

    /// Sets what the collected parts say, except where the same file says it in our own words.
    func finish(_ reader: inout ConfigurationFileReader) {
        func origin(_ line: Int, _ key: String) -> ConfigurationOrigin { .vectorizerFile(path: reader.path, line: line, key: key) }
        func isFree(_ path: String) -> Bool { reader.loaded.origins[path] == nil }

        if let rpcLine, isFree("rpc.address") {
            let address = reader.loaded.configuration.rpcAddress
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
        if !isCluster {
            reader.loaded.configuration.cluster.servers = []
            reader.loaded.configuration.cluster.dnsName = nil
        }
        let name = nodeID ?? reader.loaded.configuration.node.name?.rawValue ?? reader.hostName
        if let own = reader.loaded.configuration.cluster.servers.first(where: { $0.id == name }), let serversLine {
            if isFree("node.url") {
                let scheme = tlsEnabled ? "https" : "http"
                reader.loaded.configuration.node.url = "\(scheme)://\(SocketAddress(host: own.address, port: port))"
                reader.loaded.origins["node.url"] = origin(serversLine, "cluster.servers")
            }
            if isFree("node.rpc_address") {
                reader.loaded.configuration.node.rpcAddress = SocketAddress(host: own.address, port: own.port)
                reader.loaded.origins["node.rpc_address"] = origin(serversLine, "cluster.servers")
            }
            if isFree("cluster.address") {
                let host = reader.loaded.configuration.listeners.first?.address.host ?? own.address
                reader.loaded.configuration.cluster.address = SocketAddress(host: host, port: own.port)
                reader.loaded.origins["cluster.address"] = origin(serversLine, "cluster.servers")
            }
        }
        // The directory that the guide makes, mounts volumes on and backs up.
        if isFree("node.data") {
            reader.loaded.configuration.node.data = "/var/lib/vectorizer/data"
            reader.loaded.origins["node.data"] = origin(firstLine, "the data directory of Vectorizer's guide")
        }
    }
}
