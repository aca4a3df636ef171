internal import ApusCatalog
internal import ApusCluster
internal import ApusHTTP
internal import ApusTypes
internal import ApusVectors

/// The cluster in Qdrant's words. Peers are nodes, under numbers made of their names; there is no consensus of our own, so a term is the
/// epoch of the leader's lease and a commit the version of the catalog's feed.
extension QdrantFace {
    func mountCluster(on routes: inout Routes) {
        routes.on(.get, "/cluster", needs: .reader) { request in .result(try await status(request)) }
        routes.on(.post, "/cluster/recover", needs: .administrator) { _ in
            // Nothing to ask for: every node follows the catalog by itself, and rebuilds when it must.
            .result(true)
        }
        routes.on(.delete, "/cluster/peer/{peer}", needs: .administrator) { request in
            let peer: String = try request.parameter("peer")
            let view = try await cluster.view(deadline: request.deadline)
            guard let number = UInt64(peer), let node = view.nodes.first(where: { $0.name.peer == number }) else {
                throw ApusError(.nodeUnknown, "Peer \(peer) is not known")
            }
            _ = try await cluster.remove(node.name, deadline: request.deadline)
            return .result(true)
        }
        routes.on(.get, "/cluster/telemetry", needs: .reader) { request in
            let view = try await cluster.view(deadline: request.deadline)
            let collections = try await vectors.wholeCollections(deadline: request.deadline)
            return .result([
                "peers": .object(
                    JSONObject(view.nodes.map { (String($0.name.peer), ["uri": .string($0.url), "status": .string($0.status.rawValue)]) })),
                "collections": .object(
                    JSONObject(collections.map { ($0.name.rawValue, ["points": .integer(Int64($0.points))]) })),
            ])
        }
        routes.on(.get, "/collections/{collection}/cluster", needs: .reader) { request in
            .result(try await placement(of: try name(request), request))
        }
        routes.on(.post, "/collections/{collection}/cluster", needs: .administrator) { request in
            let collection = try await vectors.collection(try name(request), deadline: request.deadline)
            try await move(try await body(of: request), collection, request)
            return .result(true)
        }
        routes.on(.get, "/collections/{collection}/shards", needs: .reader) { request in
            _ = try await vectors.collection(try name(request), deadline: request.deadline)
            return .result(["shard_keys": []])
        }
        for (method, path) in [
            (Method.put, "/collections/{collection}/shards"), (.post, "/collections/{collection}/shards/delete"),
        ] {
            routes.on(method, path, needs: .administrator) { _ in
                throw ApusError.wrong("sharding by keys is not supported here: points go to shards by their ids")
            }
        }
    }

    private func status(_ request: Request) async throws -> JSONValue {
        let view = try await cluster.view(deadline: request.deadline)
        let head = try await cluster.catalog.feed.head(deadline: request.deadline)
        let leader = try await cluster.catalog.leases.holder(deadline: request.deadline)
        let peers = view.nodes.map { node in (String(node.name.peer), JSONValue.object(["uri": .string(node.url)])) }
        return [
            "status": "enabled", "peer_id": .unsigned(cluster.identity.name.peer), "peers": .object(JSONObject(peers)),
            "raft_info": [
                "term": .integer(leader?.epoch.value ?? 0), "commit": .integer(head.version), "pending_operations": 0,
                "leader": leader.map { .unsigned($0.node.peer) } ?? .null,
                "role": leader.map { $0.node == cluster.identity.name } ?? false ? "Leader" : "Follower", "is_voter": true,
            ],
            "consensus_thread_status": [
                "consensus_thread_status": "working", "last_update": .string(clock.wallTime.description),
            ],
            "message_send_failures": [:],
        ]
    }

    private func placement(of name: CollectionName, _ request: Request) async throws -> JSONValue {
        let collection = try await vectors.collection(name, deadline: request.deadline)
        let rows = try await cluster.catalog.shards.list(of: collection.id, deadline: request.deadline)
        let own = Set(rows.filter { $0.replicas.contains { $0.node == cluster.identity.name } }.map(\.id))
        let local = collection.shards.filter { own.contains($0.id) }.map { shard -> JSONValue in
            [
                "shard_id": .integer(Int64(shard.number)), "points_count": .integer(Int64(shard.points)),
                "state": shard.isLoaded ? "Active" : "Recovery",
            ]
        }
        let remote = rows.flatMap { row in
            row.replicas.filter { $0.node != cluster.identity.name }.map { replica -> JSONValue in
                let state = replica.state.answers ? "Active" : replica.state == .loading ? "Initializing" : "Dead"
                return [
                    "shard_id": .integer(Int64(row.number)), "peer_id": .unsigned(replica.node.peer), "state": .string(state),
                ]
            }
        }
        return [
            "peer_id": .unsigned(cluster.identity.name.peer), "shard_count": .integer(Int64(collection.shards.count)),
            "local_shards": .array(local), "remote_shards": .array(remote), "shard_transfers": [],
        ]
    }

    /// `{"move_shard": {"shard_id", "from_peer_id", "to_peer_id"}}` and its relatives change which nodes are assigned to a shard.
    private func move(_ root: JSONElement, _ collection: CollectionDescription, _ request: Request) async throws {
        guard let (kind, element) = root.members?.first(where: { !$0.value.isNull }), element.kind == .object else {
            throw ApusError.format("", "expected a cluster operation")
        }
        guard ["move_shard", "replicate_shard", "drop_replica"].contains(kind) else {
            throw ApusError.wrong("'\(kind)' is not supported here", kind)
        }
        let view = try await cluster.view(deadline: request.deadline)
        let number = try element.required("shard_id").expectCount()
        guard let shard = view.shards.first(where: { $0.collection == collection.id && $0.number == number }) else {
            throw ApusError.wrong("Shard \(number) does not exist", "shard_id")
        }
        func node(_ element: JSONElement) throws -> NodeName {
            guard let peer = element.uint, let node = view.nodes.first(where: { $0.name.peer == peer }) else {
                throw ApusError.wrong("Peer \(element.value) does not exist", element.path)
            }
            return node.name
        }
        let factor = view.factors[collection.id] ?? 1
        if kind == "drop_replica" {
            let holder = try node(try element.required("peer_id"))
            guard shard.replicas.contains(where: { $0.node != holder && $0.state == .serving }) else {
                throw ApusError.wrong("Shard \(number) must have at least one replica", "shard_id")
            }
            // Otherwise it would come back at once.
            guard shard.replicas.count > factor else {
                throw ApusError.wrong("the collection's replication_factor is \(factor): lower it first, or move the shard", "shard_id")
            }
            let change = ReplicaChange(shard.id, on: holder, from: [.loading, .serving, .retiring], to: .leaving)
            try await cluster.catalog.shards.change([change], deadline: request.deadline)
            return
        }
        let (from, to) = (try element.required("from_peer_id"), try element.required("to_peer_id"))
        guard from.uint != to.uint else {
            throw ApusError.validation(
                "\(kind).to_peer_id", "cannot transfer shard to itself, \"to_peer_id\" must be different than \"from_peer_id\"")
        }
        let (source, target) = (try node(from), try node(to))
        guard shard.replicas.contains(where: { $0.node == source }) else {
            throw ApusError.wrong("Shard \(number) does not exist on peer \(source.peer)", "from_peer_id")
        }
        if kind == "replicate_shard" {
            // Otherwise it would go again at once.
            guard shard.replicas.count < factor else {
                throw ApusError.wrong("the collection's replication_factor is \(factor): raise it first", "shard_id")
            }
            let change = ReplicaChange(shard.id, on: target, from: [nil], to: .loading)
            try await cluster.catalog.shards.change([change], deadline: request.deadline)
            return
        }
        _ = try await cluster.moveShard(
            number, of: collection.id, from: source, to: target, by: request.principal?.id ?? "somebody", deadline: request.deadline)
    }
}

extension NodeName {
    /// A number for clients that know nodes by numbers: the same for ever, and one that a double can hold.
    var peer: UInt64 { Digest(of: rawValue).bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } & (1 << 53 - 1) }
}
