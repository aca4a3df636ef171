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
        guard let calls, let address = cluster.row(of: node)?.rpcAddress, !address.isEmpty else {
            throw ApusError(.peerUnavailable, "node \(node) announces no address for calls", hint: "apus status")
        }
        return try await calls.call(address, method, message, deadline: deadline, trace: Caller.request)
    }

    func place(replicas: Int, deadline: Instant) async throws -> @Sendable ([ShardID]) -> [ShardPlacement] {
        let new = try await cluster.newShards(replicas: replicas, deadline: deadline)
        return { new.placements(of: $0) }
    }
}
