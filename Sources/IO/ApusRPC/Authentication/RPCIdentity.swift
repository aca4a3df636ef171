public import ApusTypes
internal import COpenSSL

/// Who a node is to its peers: its name, and what proves that it is of the cluster.
public struct RPCIdentity: Sendable {
    public let node: NodeName
    /// Derived from the cluster secret, for this purpose alone.
    let key: Redacted<[UInt8]>
    /// The versions of the protocol that this node speaks.
    var versions: ClosedRange<UInt32> = 1...1

    /// `clusterSecret` must not be empty, or anybody could prove it.
    public init(node: NodeName, clusterSecret: Redacted<String>) {
        precondition(!clusterSecret.reveal().isEmpty, "a cluster has a secret")
        self.node = node
        key = Redacted(Self.code(Array("apus rpc authentication".utf8), key: Array(clusterSecret.reveal().utf8)))
    }

    /// HMAC-SHA256 (RFC 2104): 32 bytes.
    static func code(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, buffer.baseAddress, nil)
            count = 32
        }
    }
}
