internal import ApusTypes

/// A cluster on this machine for development: which nodes, where they listen, where everything is kept.
struct LocalClusterPlan: Sendable, Hashable {
    struct Node: Sendable, Hashable {
        var name: String
        var host: String
        var port: Int
        var clusterPort: Int
        var rpcPort: Int
        var directory: String

        var url: String { "http://\(host):\(port)" }
    }

    /// Absolute, without a slash at its end.
    var directory: String
    var nodes: [Node]
    /// Of PostgreSQL on 127.0.0.1; nil where the only node keeps its catalog in SQLite.
    var catalogPort: Int?

    /// `hasAddresses`: the machine answers on 127.0.0.2 and so on as Linux does, so that each node can have the usual ports on an address of its
    /// own. Elsewhere nodes have ports of their own on 127.0.0.1.
    init(directory: String, nodes count: Int, port: Int, hasAddresses: Bool) {
        self.directory = directory
        nodes = (0..<count).map { index in
            let base = hasAddresses ? port : port + 10 * index
            return Node(
                name: "n\(index + 1)", host: hasAddresses ? "127.0.0.\(index + 1)" : "127.0.0.1", port: base, clusterPort: base + 1,
                rpcPort: base + 501, directory: "\(directory)/n\(index + 1)")
        }
        catalogPort = count > 1 ? port + 430 : nil
    }

    var settingsFile: String { directory + "/apus.yml" }
    var secretFile: String { directory + "/cluster.secret" }
    var catalogFile: String { directory + "/catalog.url" }
    var keyFile: String { directory + "/admin.key" }
    var storeDirectory: String { directory + "/store" }
    var databaseDirectory: String { directory + "/postgres" }
    /// Says that the directory is a local cluster's, and of which kind.
    var markFile: String { directory + "/up.json" }
    var lockFile: String { directory + "/up.lock" }
    var kind: String { catalogPort == nil ? "sqlite" : "postgresql" }

    /// The nodes' addresses, which have to be free, each with whose it is.
    var addresses: [(owner: String, host: String, port: Int)] {
        nodes.flatMap { node in
            let ports = [node.port, node.rpcPort] + (catalogPort == nil ? [] : [node.clusterPort])
            return ports.map { (node.name, node.host, $0) }
        }
    }

    /// What differs between the nodes, and what joins them. It wins over `settingsFile`, which all of them read.
    func environment(of node: Node) -> [String: String] {
        var environment = [
            "APUS_CONFIG": settingsFile, "APUS_NODE_NAME": node.name, "APUS_LISTENERS": "\(node.host):\(node.port)",
            "APUS_RPC_ADDRESS": "\(node.host):\(node.rpcPort)", "APUS_LOG_FORMAT": "text",
        ]
        guard catalogPort != nil else { return environment }
        environment["APUS_CLUSTER_ADDRESS"] = "\(node.host):\(node.clusterPort)"
        environment["APUS_CLUSTER_SECRET_FILE"] = secretFile
        environment["APUS_CATALOG_URL_FILE"] = catalogFile
        environment["APUS_STORE_DIRECTORY"] = storeDirectory
        // All of them stop together: there is nobody to hand anything over to.
        environment["APUS_MEMBERSHIP_HANDOVER_SECONDS"] = "0"
        return environment
    }

    /// What was made for it in the directory, and nothing else that somebody may have put there.
    func parts(among names: [String]) -> [String] {
        let fixed = [secretFile, catalogFile, keyFile, storeDirectory, databaseDirectory, markFile].map {
            String($0.dropFirst(directory.count + 1))
        }
        return names.filter { name in
            fixed.contains(name) || name.hasPrefix("n") && Int(name.dropFirst()).map { (1...99).contains($0) } ?? false
        }
    }

    /// What `--dry-run` says.
    var lines: [String] {
        let catalog = catalogPort.map { "PostgreSQL on 127.0.0.1:\($0), in \(databaseDirectory)" } ?? "SQLite, in \(nodes[0].directory)"
        return ["catalog: \(catalog)"] + nodes.map { "\($0.name): \($0.url), in \($0.directory)" }
    }
}
