internal import ApusCatalog
internal import ApusRuntime
public import ApusTypes

extension Cluster {
    /// Has other nodes serve what only this one serves, before it stops: so that nothing is missing meanwhile. Returns when that is so, when
    /// nobody else could take it, or at the deadline; gives how many shards are missing then until this node is back, or others have them.
    ///
    /// What others serve too stays this node's: it is expected back.
    public func handOver(deadline: Instant) async throws -> Int {
        guard !catalog.isReadOnly else { return 0 }
        let now = try await view(deadline: deadline)
        // Alone it leaves nobody behind who could miss anything; what another process under its name serves is not this one's to give.
        guard let row = now.node(identity.name), row.incarnation == incarnation, now.nodes.count > 1 else { return 0 }
        // Said also where there is nothing to hand over: from now on it is given nothing, and nobody stops for what it has just been given.
        // One that drains hands everything over anyway.
        if row.status == .active { try await catalog.nodes.set(.stopping, of: identity.name, deadline: deadline) }
        var told = -1
        while true {
            let view = try await view(deadline: deadline)
            let shards = lonely(in: view)
            // One that is suspect may take them when it is trusted again.
            let others = view.nodes.contains {
                $0.name != identity.name && [.joining, .active, .suspect].contains($0.status) && $0.roles.contains(.worker)
            }
            guard !shards.isEmpty, others, clock.now.advanced(by: .seconds(1)) < deadline else { return shards.count }
            if shards.count != told {
                log.notice("other nodes are to serve what only this one serves, before it stops", ["shards": "\(shards.count)"])
                told = shards.count
            }
            _ = try await catalog.shards.change(
                shards.map { ReplicaChange($0.id, on: identity.name, from: [.serving], to: .retiring) }, deadline: deadline)
            try await clock.sleep(until: clock.now.advanced(by: .milliseconds(200)), tolerance: nil)
        }
    }

    /// Shards that this node answers for, and no other that is there.
    private func lonely(in view: ClusterView) -> [ShardRow] {
        let there = Set(view.nodes.filter { [.active, .draining, .removing].contains($0.status) && $0.name != identity.name }.map(\.name))
        return view.shards.filter { shard in
            shard.replicas.contains { $0.node == identity.name && $0.state.answers }
                && !shard.replicas.contains { there.contains($0.node) && $0.state == .serving }
        }
    }
}
