public import ApusCatalog
public import ApusTypes

/// The cluster as the vectors service of one node sees it. Where there is none, the node serves every shard.
public protocol VectorPeers: Sendable {
    /// This node.
    var node: NodeName { get }

    /// Whether the node is expected to answer: one that is not is asked only where nobody else can be.
    func isUsable(_ node: NodeName) -> Bool

    /// Has another node's `VectorService.answer` answer. Throws what that throws, and `peer.unavailable`.
    func call(_ node: NodeName, _ method: String, _ message: [UInt8], deadline: Instant) async throws -> [UInt8]

    /// Says which nodes are to serve each of some new shards. Throws `cluster.no_active_nodes`.
    func place(replicas: Int, deadline: Instant) async throws -> @Sendable ([ShardID]) -> [ShardPlacement]
}
