internal import ApusCatalog
internal import ApusDatabase
internal import ApusTypes

extension Cluster {
    /// What the cluster survives, by where everything is now.
    public func failureTolerance(_ view: ClusterView) -> FailureTolerance {
        let here = view.nodes.filter { ![.down, .left].contains($0.status) }
        let names = Set(here.map(\.name))
        let catalog: FailureTolerance.Place
        if options.hostsCatalog {
            catalog = .node(identity.name)
        } else if let servers = (self.catalog.database as? PostgreSQLDatabase)?.servers {
            // A node that is gone may have left its database behind.
            let urls = Dictionary(view.nodes.map { ($0.name, $0.url) }, uniquingKeysWith: { first, _ in first })
            catalog = FailureTolerance.Place(ofCatalogAt: servers, nodes: urls, asked: identity.name)
        } else {
            catalog = .node(identity.name)
        }
        let store: FailureTolerance.Place =
            switch options.storeHome {
            case .catalog: catalog
            case .ownDirectory where here.count <= 1: .node(identity.name)
            case _ where here.allSatisfy { FailureTolerance.Place.isLoopback($0.url) }: .sharedMachine
            case .ownDirectory, .directory: .outside(options.storePlace)
            }
        return FailureTolerance(
            nodes: here.map { .init($0.name, isManager: $0.roles.contains(.manager), isWorker: $0.roles.contains(.worker)) },
            catalog: catalog, store: store,
            serving: view.shards.map { shard in shard.replicas.filter { $0.state.answers && names.contains($0.node) }.map(\.node) })
    }
}

extension FailureTolerance.Place {
    /// Where the catalog's servers are: on a node where the only one has a node's host, or is on loopback or a Unix socket, which is the
    /// asked node's own machine. `hosts`: `host:port` of each. `nodes`: the URL of each.
    init(ofCatalogAt hosts: [String], nodes: [NodeName: String], asked: NodeName) {
        guard hosts.count == 1, let host = Self.host(of: hosts[0]) else {
            self = .outside("PostgreSQL at \(hosts.joined(separator: ", "))")
            return
        }
        if let node = nodes.sorted(by: { $0.key < $1.key }).first(where: { Self.host(ofURL: $0.value) == host })?.key {
            self = .node(node)
        } else if host == "::1" || host.hasPrefix("127.") || host.hasPrefix("/") || host.hasPrefix("@") {
            self = .node(asked)
        } else {
            self = .outside("PostgreSQL at \(hosts[0])")
        }
    }

    static func isLoopback(_ url: String) -> Bool { host(ofURL: url).map { $0 == "::1" || $0.hasPrefix("127.") } ?? false }

    private static func host(ofURL url: String) -> String? { url.split(separator: "/").dropFirst().first.flatMap { host(of: String($0)) } }

    /// `10.0.0.1:5432` → `10.0.0.1`.
    private static func host(of address: String) -> String? {
        guard let colon = address.lastIndex(of: ":") else { return address.isEmpty ? nil : address }
        let host = address[..<colon].filter { $0 != "[" && $0 != "]" }.lowercased()
        return host == "localhost" ? "127.0.0.1" : host
    }
}
