public import ApusTypes

/// Who a node is to its peers: its name, and what proves that it is of the cluster.
public struct RPCIdentity: Sendable {
    public let node: NodeName
    /// Derived from the cluster secret, for this purpose alone.
    let key: SecretKey
    /// The versions of the protocol that this node speaks.
    var versions: ClosedRange<UInt32> = 1...1

    /// `clusterSecret` must not be empty, or anybody could prove it.
    public init(node: NodeName, clusterSecret: Redacted<String>) {
        precondition(!clusterSecret.reveal().isEmpty, "a cluster has a secret")
        self.node = node
        key = SecretKey(from: clusterSecret, for: "apus rpc authentication")
    }
}
