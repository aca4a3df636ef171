internal import ApusCatalog
public import ApusTypes
internal import Synchronization

/// A node that the cluster is to have, by its configuration or by DNS. The catalog alone says who is one.
public struct ExpectedNode: Sendable, Hashable {
    /// Nil where only the address is known.
    public var name: NodeName?
    /// A host name or address.
    public var address: String

    public init(name: NodeName? = nil, address: String) {
        self.name = name
        self.address = address
    }

    /// Those of `expected` that none of `rows` is: neither by name nor, where there is none, by the host of a URL.
    static func missing(_ expected: [ExpectedNode], among rows: [NodeRow]) -> [ExpectedNode] {
        let rows = rows.filter { $0.status != .left }
        return expected.filter { node in
            if let name = node.name { return !rows.contains { $0.name == name } }
            return !rows.contains {
                [$0.url, $0.rpcAddress].contains { $0.contains("\(node.address):") || $0.contains("[\(node.address)]:") }
            }
        }
    }
}

/// What was found last.
final class ExpectedNodes: Sendable {
    private let nodes = Mutex<[ExpectedNode]>([])

    var all: [ExpectedNode] {
        get { nodes.withLock { $0 } }
        set { nodes.withLock { $0 = newValue } }
    }
}

extension Cluster {
    /// From now on these are expected to be nodes.
    public func expect(_ nodes: [ExpectedNode]) { expected.all = nodes }

    /// Who is expected and is no node, as far as this node has read.
    public var missingNodes: [ExpectedNode] { ExpectedNode.missing(expected.all, among: observation.withLock { $0.rows }) }
}
