internal import ApusCatalog
internal import ApusRuntime
public import ApusTypes
internal import ApusVectorIndex

extension VectorService {
    /// Throws `request.invalid` for a bad name, dimension, shard or virtual node count, `collection.exists`, and what `dimension(of:)` throws
    /// for an embedding provider that does not fit.
    public func createCollection(
        _ name: CollectionName, _ configuration: CollectionConfiguration, settings: String? = nil, nodes: [NodeName] = [], deadline: Instant
    ) async throws -> CollectionDescription {
        try name.validate()
        try Caller.scope.require(name)
        try configuration.validate()
        _ = try loaded()
        try requireCatalog()
        if let provider = configuration.embedding {
            _ = try await dimension(of: provider, wanted: configuration.dimension, deadline: deadline)
        }
        let row = try await catalog.collections.create(
            name, configuration: configuration.json, settings: settings, shardCount: configuration.sharding.shards, nodes: nodes,
            deadline: deadline)
        if settings != nil { try await readAttributes(deadline: deadline) }
        let collection = adopt(try LoadedCollection(row, incarnation: catalog.incarnation, isNew: true, clock: clock))
        // The follower may have been faster and has nothing to load, but has to look.
        await ready(collection, deadline: deadline)
        return collection.description
    }

    /// Throws `collection.unknown`.
    public func deleteCollection(_ name: CollectionName, deadline: Instant) async throws {
        try Caller.scope.require(name)
        try requireCatalog()
        do {
            try await catalog.collections.delete(name, deadline: deadline)
        } catch let error as ApusError where error.code == .collectionUnknown {
            forget { $0.name == name }
            throw Self.unknown(name)
        }
        forget { $0.name == name }
    }

    /// Deletes the collection if it holds no point at the moment of the deletion. False if it holds one, or was written to meanwhile.
    ///
    /// Throws `collection.unknown`.
    public func deleteCollectionIfEmpty(_ name: CollectionName, deadline: Instant) async throws -> Bool {
        let collection = try await find(name, deadline: deadline)
        try await reachHeads(of: collection.shards, deadline: deadline)
        var heads: [ShardID: Int64] = [:]
        for shard in collection.shards {
            let (snapshot, position) = try shard.positioned()
            guard snapshot.count == 0 else { return false }
            heads[shard.id] = position.sequence
        }
        do {
            try await catalog.collections.delete(name, ifStillAt: heads, deadline: deadline)
        } catch let error as ApusError where error.code == .shardMovedOn {
            return false
        }
        forget { $0 === collection }
        return true
    }

    /// All collections that this node knows and the caller's key is for, by name. Throws `node.unready` before it has read the catalog.
    public func collections() throws -> [CollectionDescription] {
        try loaded().values.filter { Caller.scope.contains($0.name) }.sorted { $0.name < $1.name }.map(\.description)
    }

    /// Looks at the catalog before it throws `collection.unknown`.
    public func collection(_ name: CollectionName, deadline: Instant) async throws -> CollectionDescription {
        try await find(name, deadline: deadline).description
    }
}
