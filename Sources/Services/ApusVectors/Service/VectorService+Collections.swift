internal import ApusCatalog
public import ApusTypes

extension VectorService {
    /// Throws `request.invalid` for a bad name, dimension, shard or virtual node count, and `collection.exists`.
    public func createCollection(
        _ name: CollectionName, _ configuration: CollectionConfiguration, settings: String? = nil, nodes: [NodeName] = [], deadline: Instant
    ) async throws -> CollectionDescription {
        try name.validate()
        try configuration.validate()
        _ = try loaded()
        try requireCatalog()
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
        try requireCatalog()
        do {
            try await catalog.collections.delete(name, deadline: deadline)
        } catch let error as ApusError where error.code == .collectionUnknown {
            forget { $0.name == name }
            throw Self.unknown(name)
        }
        forget { $0.name == name }
    }

    /// All collections that this node knows, by name. Throws `node.unready` before it has read the catalog.
    public func collections() throws -> [CollectionDescription] {
        try loaded().values.sorted { $0.name < $1.name }.map(\.description)
    }

    /// Looks at the catalog before it throws `collection.unknown`.
    public func collection(_ name: CollectionName, deadline: Instant) async throws -> CollectionDescription {
        try await find(name, deadline: deadline).description
    }
}
