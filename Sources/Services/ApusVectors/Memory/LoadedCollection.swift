internal import ApusCatalog
internal import ApusPlacement
internal import ApusTypes
internal import ApusVectorIndex
internal import Synchronization

/// A collection that this node knows.
final class LoadedCollection: Sendable {
    let id: CollectionID
    let name: CollectionName
    let configuration: CollectionConfiguration
    let createdAt: WallTime
    /// In the order of their numbers.
    let shards: [Shard]
    private let ring: ShardRing
    private let factor: Atomic<Int>
    /// How many nodes are to serve each shard; changed while it is in use.
    var replicas: Int { factor.load(ordering: .relaxed) }

    /// `isNew`: this node has just created it, so there is nothing to load. `node`: this one, unless it is the only one.
    init(
        _ row: CollectionRow, incarnation: Incarnation, isNew: Bool, node: NodeName? = nil, clock: any MonotonicClock
    ) throws(ApusError) {
        let configuration = try CollectionConfiguration(json: row.configuration)
        id = row.id
        name = row.name
        self.configuration = configuration
        factor = Atomic(row.replicas)
        createdAt = row.createdAt
        ring = ShardRing(shards: row.shards.count, virtualNodes: configuration.sharding.virtualNodes)
        shards = row.shards.enumerated().map { number, shard in
            Shard(
                id: shard, number: number, fields: configuration.fields,
                beginning: .beginning(of: incarnation), isNew: isNew, node: node, clock: clock)
        }
    }

    func adopt(_ row: CollectionRow) { if row.id == id { factor.store(row.replicas, ordering: .relaxed) } }

    /// The shard's number that an id belongs to, by its text.
    func shardNumber(of id: PointID) -> Int {
        guard shards.count > 1 else { return 0 }
        if case .string(let text) = id { return ring.shard(of: text.utf8) }
        return ring.shard(of: id.description.utf8)
    }

    /// Positions of the items in `ids`, by the number of the shard they belong to.
    func itemsByShard(_ ids: some Sequence<PointID>) -> [[Int]] {
        var items = [[Int]](repeating: [], count: shards.count)
        for (index, id) in ids.enumerated() { items[shardNumber(of: id)].append(index) }
        return items
    }

    var description: CollectionDescription {
        CollectionDescription(
            id: id, name: name, configuration: configuration, createdAt: createdAt, updatedAt: shards.compactMap(\.lastChange).max(),
            replicas: replicas, shards: shards.map(\.description))
    }
}
