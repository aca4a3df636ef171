internal import ApusCatalog
internal import ApusCluster
internal import ApusConfig
internal import ApusQuery
internal import ApusRPC
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectors

extension Node {
    /// What this node calls others with; nil without a cluster secret.
    static func calls(_ configuration: Configuration, _ node: NodeName, metrics: MetricsRegistry) throws(ApusError) -> RPCPeers? {
        guard let secret = configuration.cluster.secret else { return nil }
        return RPCPeers(
            identity: RPCIdentity(node: node, clusterSecret: secret), security: try security(configuration), metrics: metrics)
    }

    /// Whether a peer is reached. `calls`: of the probes alone, or they would wait behind the calls that a peer is too busy to answer.
    static func prober(_ calls: RPCPeers?, _ metrics: NodeMetrics) -> (@Sendable (NodeRow, Instant) async -> Bool)? {
        guard let calls else { return nil }
        return { row, deadline in
            guard !row.rpcAddress.isEmpty else { return false }
            let began = BootClock.now
            let isReached: Bool
            do {
                isReached = NodeProbe.reaches(
                    row, replying: try await calls.call(row.rpcAddress, NodeProbe.method, [], deadline: deadline))
            } catch {
                isReached = NodeProbe.reaches(row, failing: error)
                log.debug("a peer does not answer a probe", ["node": row.name.rawValue, "error": "\(error)"])
            }
            metrics.probed(row.name, took: isReached ? began.duration(to: BootClock.now) : nil)
            return isReached
        }
    }

    /// Opens the listener for other nodes and gives the address under which they reach it; empty without one.
    func startPeerServer() throws(ApusError) -> (server: RPCServer?, address: String) {
        guard let secret = configuration.cluster.secret, var address = configuration.peerAddress else { return (nil, "") }
        var handlers: [String: RPCHandler] = [
            NodeProbe.method: { [cluster] _ in NodeProbe.reply(cluster.identity.name, incarnation: cluster.incarnation) }
        ]
        handlers[Self.examination] = { [configuration, health] request in
            try await Self.answerExamination(request.payload, configuration, health)
        }
        for method in VectorService.peerMethods {
            handlers[method] = { [vectors] request in try await vectors.answer(method, request.payload, deadline: request.deadline) }
        }
        for method in SchemaRegistry.peerMethods {
            handlers[method] = { [registry = query.registry] request in
                try await registry.answer(method, request.payload, deadline: request.deadline)
            }
        }
        for (method, answer) in operatorCalls { handlers[method] = { request in try await answer(request.payload) } }
        let server = RPCServer(
            identity: RPCIdentity(node: cluster.identity.name, clusterSecret: secret), security: try Self.security(configuration),
            loops: loops, metrics: metrics,
            health: { [health] service in
                guard ["", "apus.v1.Node"].contains(service) else { return nil }
                return health.readiness(for: [.read]).isReady ? .serving : .notServing
            }, handlers: handlers)
        address.port = try server.start(host: address.host, port: address.port, setting: "cluster.address")
        listening.add("cluster", "grpc://\(address)")
        if let announced = configuration.node.rpcAddress { return (server, announced.description) }
        if address.isAny, let host = configuration.node.url.flatMap({ Reachability.address(ofURL: $0) })?.host { address.host = host }
        return (server, address.description)
    }

    private static func security(_ configuration: Configuration) throws(ApusError) -> RPCSecurity {
        let cluster = configuration.cluster
        guard let certificate = cluster.tlsCertificate, let key = cluster.tlsKey, let authority = cluster.tlsCA else { return .plaintext }
        func text(_ path: String) throws(ApusError) -> String {
            String(decoding: try FileContents.read(path, limit: .mebibytes(1)), as: UTF8.self)
        }
        return .mutualTLS(ca: try text(authority), certificate: try text(certificate), key: Redacted(try text(key)))
    }
}

extension Configuration {
    /// Where the node listens for others; nil: not at all.
    fileprivate var peerAddress: SocketAddress? {
        if let address = cluster.address { return address }
        guard catalog.url != nil, let listener = listeners.first else { return nil }
        return SocketAddress(host: listener.address.host, port: Peers.defaultPort)
    }

    /// What a machine that joins is told. A hosted catalog that listens everywhere is reached where its node is.
    var joinTerms: JoinTerms? {
        guard let secret = cluster.secret else { return nil }
        var terms = JoinTerms(secret: secret, storeDirectory: store.kind == .directory ? store.directory : nil)
        if var address = catalog.address {
            if address.isAny {
                guard let host = node.url.flatMap({ Reachability.address(ofURL: $0) })?.host ?? listeners.first?.address.host else {
                    return nil
                }
                address.host = host
            }
            terms.catalogAddress = address.description
        } else {
            terms.catalogURL = catalog.url
        }
        return terms
    }

    /// The same on all nodes that know the secret of the cluster, and of no use to others.
    func secretProof(for cluster: String) -> String? {
        self.cluster.secret.map { Digest(of: "apus cluster secret proof\n\(cluster)\n\($0.reveal())").description }
    }
}
