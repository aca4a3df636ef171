internal import ApusCatalog
internal import ApusTypes

/// Which nodes have a replica of a shard, as of one version of that.
struct ReplicaMap: Sendable, Hashable {
    /// 0 where nothing is known.
    var version: Int64 = 0
    var states: [NodeName: ReplicaState] = [:]

    init() {}

    init(_ row: ShardRow) {
        // One more, so that what the catalog has at first is newer than nothing.
        version = row.version + 1
        states = Dictionary(row.replicas.map { ($0.node, $0.state) }, uniquingKeysWith: { first, _ in first })
    }

    /// Whether a change of the replicas, as of which a shard's head has this version, is known.
    func knows(_ version: Int64) -> Bool { self.version > version }
}
