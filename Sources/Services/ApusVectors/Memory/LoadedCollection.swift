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
    /// With the moment when the row was asked for that says so.
    private let factor: Mutex<(replicas: Int, readAt: Instant)>
    /// How many nodes are to serve each shard; changed while it is in use.
    var replicas: Int { factor.withLock(\.replicas) }

    /// `isNew`: this node has just created it, so there is nothing to load. `node`: this one, unless it is the only one.
    init(
        _ row: CollectionRow, incarnation: Incarnation, isNew: Bool, node: NodeName? = nil, clock: any MonotonicClock
    ) throws(ApusError) {
        let configuration = try CollectionConfiguration(json: row.configuration)
        id = row.id
        name = row.name
        self.configuration = configuration
        factor = Mutex((row.replicas, Instant(nanosecondsSinceBoot: 0)))
        createdAt = row.createdAt
        ring = ShardRing(shards: row.shards.count, virtualNodes: configuration.sharding.virtualNodes)
        shards = row.shards.enumerated().map { number, shard in
            Shard(
                id: shard, number: number, fields: configuration.fields,
                beginning: .beginning(of: incarnation), isNew: isNew, node: node, clock: clock)
        }
    }

    /// Takes over a row of the catalog that was asked for at `readAt`, unless a later one is known: the feed's follower may have read before a
    /// change that this node has acknowledged since.
    func adopt(_ row: CollectionRow, readAt: Instant) {
        guard row.id == id else { return }
        factor.withLock { if readAt >= $0.readAt { $0 = (row.replicas, readAt) } }
    }

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
