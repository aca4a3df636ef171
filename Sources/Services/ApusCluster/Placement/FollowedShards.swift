internal import ApusCatalog
internal import ApusTypes
internal import Synchronization

/// The catalog's shards as of a place in its feed. Rows of collections that have changed since are read again, the others are remembered: all
/// of 100,000 shards take PostgreSQL alone 175 ms, those of one collection 2 ms.
struct FollowedShards: Sendable {
    struct Collection: Sendable {
        var name: CollectionName
        /// How many nodes are to serve each shard.
        var factor: Int
        var shards: [ShardRow]
    }

    var collections: [CollectionID: Collection] = [:]
    /// While rebalancing is paused.
    private(set) var pause: RebalancePause?
    /// Nil before all was read.
    private(set) var position: FeedPosition?

    /// More collections than these are not read one by one, and more changes not one after the other.
    private static let mostSingly = 32
    private static let mostChanges = 1000

    /// By id.
    var shards: [ShardRow] { collections.values.flatMap(\.shards).sorted { $0.id < $1.id } }

    /// What people call a shard: `words/3`; its id where it is gone.
    func name(of id: ShardID) -> String {
        for collection in collections.values {
            if let shard = collection.shards.first(where: { $0.id == id }) { return "\(collection.name)/\(shard.number)" }
        }
        return id.description
    }

    var factors: [CollectionID: Int] { collections.mapValues(\.factor) }

    /// Reads what has changed.
    mutating func refresh(from catalog: Catalog, deadline: Instant) async throws {
        guard let position else { return try await readAll(from: catalog, deadline: deadline) }
        let changes: [Change]
        do { changes = try await catalog.feed.read(from: position, limit: Self.mostChanges, deadline: deadline) } catch let error
            as ApusError
            where error.code == .catalogRewound
        {
            return try await readAll(from: catalog, deadline: deadline)
        }
        guard let last = changes.last else { return }
        let changed = Set(changes.lazy.filter { $0.topic == .collection }.compactMap { Int64($0.key) }.map(CollectionID.init))
        guard changed.count <= Self.mostSingly, changes.count < Self.mostChanges else {
            return try await readAll(from: catalog, deadline: deadline)
        }
        var next = self
        for id in changed.sorted() {
            let row = try await catalog.collections.find(id, deadline: deadline)
            let shards = row == nil ? [] : try await catalog.shards.list(of: id, deadline: deadline)
            next.collections[id] = row.map { Collection(name: $0.name, factor: max(1, $0.replicas), shards: shards) }
        }
        if changes.contains(where: { $0.topic == .setting }) { next.pause = try await RebalancePause.read(catalog, deadline: deadline) }
        next.position = FeedPosition(incarnation: catalog.incarnation, version: last.version, digest: last.digest)
        self = next
    }

    private mutating func readAll(from catalog: Catalog, deadline: Instant) async throws {
        // Before the rows: what changes while they are read is read again.
        let head = try await catalog.feed.head(deadline: deadline)
        let rows = try await catalog.collections.list(deadline: deadline)
        let shards = Dictionary(grouping: try await catalog.shards.list(deadline: deadline), by: \.collection)
        pause = try await RebalancePause.read(catalog, deadline: deadline)
        collections = Dictionary(
            rows.map { ($0.id, Collection(name: $0.name, factor: max(1, $0.replicas), shards: shards[$0.id] ?? [])) },
            uniquingKeysWith: { first, _ in first })
        position = head
    }
}

/// The followed shards, for all who ask at the same time.
final class ShardFollower: Sendable {
    private let followed = Mutex(FollowedShards())

    /// As of this call or later.
    func read(_ catalog: Catalog, deadline: Instant) async throws -> FollowedShards {
        var mine = followed.withLock { $0 }
        try await mine.refresh(from: catalog, deadline: deadline)
        followed.withLock { [mine] known in
            let isLater = known.position.map { known in
                mine.position.map { $0.incarnation != known.incarnation || $0.version > known.version } ?? false
            }
            if isLater ?? true { known = mine }
        }
        return mine
    }
}
