public import ApusCatalog
internal import ApusRuntime
public import ApusTypes

/// Deletions that can be taken back, and what changes about a collection while it is in use.
extension VectorService {
    /// The collections that can be brought back and that the caller's key is for; the one deleted last first.
    public func deletedCollections(deadline: Instant) async throws -> [DeletedCollection] {
        try await catalog.collections.deleted(deadline: deadline).filter { Caller.scope.contains($0.name) }
    }

    /// Brings a collection back under its name or another. The cluster's nodes load its shards from then on: they are missing from searches until
    /// that is done.
    ///
    /// Throws `collection.unknown` and `collection.exists`, and `request.invalid` for a bad name.
    public func undeleteCollection(
        _ id: CollectionID, as name: CollectionName? = nil, by person: String, deadline: Instant
    ) async throws -> CollectionName {
        try name?.validate()
        try requireCatalog()
        let deleted = try await deleted(id, deadline: deadline)
        if let name { try Caller.scope.require(name) }
        let row = try await catalog.collections.undelete(deleted.id, as: name, deadline: deadline)
        try await catalog.records.add(
            .event, subject: "collection \(row.name)", summary: "brought back with \(row.shards.count) shards, because \(person) said so",
            deadline: deadline)
        try await readAttributes(deadline: deadline)
        _ = try await adopt(row, isNew: false, deadline: deadline)
        return row.name
    }

    /// Makes a deletion final. Throws `collection.unknown`.
    public func purgeCollection(_ id: CollectionID, deadline: Instant) async throws {
        try requireCatalog()
        let deleted = try await deleted(id, deadline: deadline)
        guard try await catalog.collections.purge(deleted.id, deadline: deadline) else { throw Self.unknownDeleted(id) }
    }

    private func deleted(_ id: CollectionID, deadline: Instant) async throws -> DeletedCollection {
        guard let found = try await catalog.collections.deleted(deadline: deadline).first(where: { $0.id == id }) else {
            throw Self.unknownDeleted(id)
        }
        try Caller.scope.require(found.name)
        return found
    }

    private static func unknownDeleted(_ id: CollectionID) -> ApusError {
        ApusError(.collectionUnknown, "there is no deleted collection with the id \(id)", hint: "apus collection list --deleted")
    }

    /// Changes how many nodes are to serve each shard, which the leader sees to. False if it was so already.
    ///
    /// Throws `collection.unknown`, and `request.invalid` naming `replication_factor`.
    public func setReplicas(_ replicas: Int, of name: CollectionName, by person: String, deadline: Instant) async throws -> Bool {
        let range = CollectionConfiguration.replicaCounts
        guard range.contains(replicas) else {
            throw ApusError(
                .requestInvalid, "'replication_factor' is from \(range.lowerBound) to \(range.upperBound), not \(replicas)",
                context: ["field": "replication_factor"])
        }
        let collection = try await find(name, deadline: deadline)
        try requireCatalog()
        let hasChanged = try await catalog.collections.setReplicas(
            replicas, of: collection.id, why: "\(person) said so", deadline: deadline)
        let readAt = clock.now
        if let row = try await catalog.collections.find(collection.id, deadline: deadline) { collection.adopt(row, readAt: readAt) }
        return hasChanged
    }
}
