internal import ApusCatalog
internal import ApusCluster
internal import ApusRPC
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectors

/// The cluster as the vectors service sees it.
struct ClusterPeers: VectorPeers {
    let cluster: Cluster
    /// Nil for a node without a cluster secret.
    let calls: RPCPeers?

    var node: NodeName { cluster.identity.name }

    func isUsable(_ node: NodeName) -> Bool { cluster.isUsable(node) }

    func call(_ node: NodeName, _ method: String, _ message: [UInt8], deadline: Instant) async throws -> [UInt8] {
        guard let calls, let address = await address(of: node, deadline: deadline) else {
            throw ApusError(.peerUnavailable, "node \(node) announces no address for calls", hint: "apus status")
        }
        return try await calls.call(address, method, message, deadline: deadline, trace: Caller.request)
    }

    private func address(of node: NodeName, deadline: Instant) async -> String? {
        if let known = cluster.row(of: node)?.rpcAddress, !known.isEmpty { return known }
        // It may have joined since this node last read the nodes.
        let soon = min(deadline, BootClock.now.advanced(by: .milliseconds(500)))
        let rows = try? await cluster.nodes(deadline: soon)  // a catalog that is away: the caller hears that there is no address
        return rows?.first { $0.name == node && !$0.rpcAddress.isEmpty }?.rpcAddress
    }

    func place(replicas: Int, deadline: Instant) async throws -> @Sendable ([ShardID]) -> [ShardPlacement] {
        let new = try await cluster.newShards(replicas: replicas, deadline: deadline)
        return { new.placements(of: $0) }
    }
}
