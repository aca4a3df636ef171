internal import ApusTypes

/// A rule about several settings that does not hold.
public struct ConfigurationConflict: Sendable, Hashable {
    /// The setting to complain at, and the others that take part.
    public var path: String
    public var others: [String]
    public var what: String
}

extension Configuration {
    /// Every rule about several settings that does not hold, at once. A rule about one setting stands with its key.
    public func problems() -> [ConfigurationConflict] {
        var found: [ConfigurationConflict] = []
        func require(_ holds: Bool, _ path: String, _ others: [String], _ what: @autoclosure () -> String) {
            if !holds { found.append(ConfigurationConflict(path: path, others: others, what: what())) }
        }
        func seconds(_ duration: Duration) -> String { YAMLWriter.inline(duration.node) + " s" }

        require(
            leases.length >= leases.renewal * 3, "leases.length_seconds", ["leases.renewal_seconds"],
            "must be at least three renewals (\(seconds(leases.renewal * 3))), so that one lost renewal does not lose the lease")
        require(
            leases.length < leases.renewal * 3 || leases.holderMargin <= leases.length - leases.renewal * 2, "leases.holder_margin_seconds",
            ["leases.length_seconds", "leases.renewal_seconds"],
            "must leave room for two renewals (at most \(seconds(leases.length - leases.renewal * 2)))")
        require(
            leases.poll <= leases.length / 2, "leases.poll_seconds", ["leases.length_seconds"],
            "must be at most half of a lease's length (\(seconds(leases.length / 2)))")
        require(
            membership.suspectAfter >= leases.renewal * 2, "membership.suspect_seconds", ["leases.renewal_seconds"],
            "must be at least two heartbeats (\(seconds(leases.renewal * 2)))")
        require(
            membership.downAfter > membership.suspectAfter, "membership.down_seconds", ["membership.suspect_seconds"],
            "must be longer than membership.suspect_seconds (\(seconds(membership.suspectAfter)))")
        require(
            cluster.secret == nil || cluster.secretFile == nil, "cluster.secret", ["cluster.secret_file"],
            "must not be set together with cluster.secret_file: which of the two holds would be a guess")
        let ids = cluster.servers.map(\.id)
        for (index, id) in ids.enumerated() where ids[..<index].contains(id) {
            require(false, "cluster.servers", [], "has the id '\(id)' twice")
        }
        let tls = [cluster.tlsCertificate, cluster.tlsKey, cluster.tlsCA].compactMap(\.self).count
        require(
            tls == 0 || tls == 3, "cluster.tls_certificate", ["cluster.tls_key", "cluster.tls_ca"],
            "must be set together with cluster.tls_key and cluster.tls_ca, or none of them")
        require(
            catalog.url == nil || catalog.urlFile == nil, "catalog.url", ["catalog.url_file"],
            "must not be set together with catalog.url_file: which of the two holds would be a guess")
        require(
            catalog.sqlitePath == nil || (catalog.url == nil && catalog.urlFile == nil), "catalog.sqlite_path",
            ["catalog.url", "catalog.url_file"], "must not be set together with a catalog URL: a node has one catalog")
        require(
            !catalog.isHosted || (catalog.url == nil && catalog.urlFile == nil && catalog.sqlitePath == nil), "catalog.hosted",
            ["catalog.url", "catalog.url_file", "catalog.sqlite_path"],
            "must not be set together with another catalog: a node has one catalog")
        require(
            catalog.address == nil || (catalog.url == nil && catalog.urlFile == nil && catalog.sqlitePath == nil), "catalog.address",
            ["catalog.url", "catalog.url_file", "catalog.sqlite_path"],
            "must not be set together with another catalog: a node has one catalog")
        require(
            catalog.replicas.isEmpty || catalogPlace != .file, "catalog.replicas", ["catalog.url_file"],
            "needs a catalog in PostgreSQL: set catalog.url_file, catalog.address or catalog.hosted")
        require(
            catalog.replicas.allSatisfy { !$0.isAny && $0.port > 0 } && Set(catalog.replicas).count == catalog.replicas.count,
            "catalog.replicas",
            [], "must name each standby once, by an address at which it is reached")
        if case .peer(let address) = catalogPlace {
            require(!address.isAny, "catalog.address", ["catalog.hosted"], "must name the host of the node that hosts the catalog")
        }
        require(
            cluster.dnsName == nil || catalogPlace != .file || catalog.sqlitePath != nil, "cluster.dns_name",
            ["node.name"],
            "finds nodes, and not their catalog: set catalog.url_file or catalog.address, or name the nodes NAME-0, NAME-1, …, of which "
                + "NAME-0 then hosts it")
        require(
            store.kind != .catalog || store.directory == nil, "store.directory", ["store.kind"],
            "must not be set when store.kind is 'catalog': objects would not go there")
        require(
            query.oidc.issuer == nil || query.oidc.clientID != nil, "query.oidc.client_id", ["query.oidc.issuer"],
            "must be set with query.oidc.issuer: else a token for any other program would do")
        require(
            (query.cache.shared.kind == .none) == query.cache.shared.servers.isEmpty, "query.cache.shared.servers",
            ["query.cache.shared.kind"], "must be set with query.cache.shared.kind, and only with it")
        require(
            query.cache.shared.kind != .redis || query.cache.shared.servers.count == 1, "query.cache.shared.servers",
            ["query.cache.shared.kind"], "must name one server; for several the kind is cluster or sentinel")
        require(
            http.maxHeaderBytes > http.maxPathBytes, "http.max_header_bytes", ["http.max_path_bytes"],
            "must be more than http.max_path_bytes (\(YAMLWriter.inline(http.maxPathBytes.node)) bytes), which it includes")
        var names: Set<String> = []
        for (index, listener) in listeners.enumerated() {
            require(names.insert(listener.name).inserted, "listeners", [], "has two listeners named '\(listener.name)'")
            for other in listeners[..<index] where other.address.overlaps(listener.address) {
                require(
                    false, "listeners", [],
                    other.address == listener.address
                        ? "'\(other.name)' and '\(listener.name)' both listen on \(listener.address)"
                        : "'\(other.name)' on \(other.address) and '\(listener.name)' on \(listener.address) overlap: "
                            + "one of them is every address of the machine")
            }
            if rpc.isEnabled {
                require(listener.name != "rpc", "listeners", [], "must not name a listener 'rpc', which is the binary protocol's")
                require(
                    !rpcAddress.overlaps(listener.address), "rpc.address", ["listeners"],
                    "\(rpcAddress) is also listened on by '\(listener.name)' (\(listener.address))")
            }
        }
        return found
    }
}
