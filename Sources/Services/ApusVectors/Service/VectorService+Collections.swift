internal import ApusCatalog
internal import ApusRuntime
public import ApusTypes
internal import ApusVectorIndex

extension VectorService {
    /// Throws `request.invalid` for a bad name, dimension, shard or virtual node count, `collection.exists`, and what `dimension(of:)` throws
    /// for an embedding provider that does not fit.
    public func createCollection(
        _ name: CollectionName, _ configuration: CollectionConfiguration, settings: String? = nil, replicas: Int = 1, deadline: Instant
    ) async throws -> CollectionDescription {
        try name.validate()
        try Caller.scope.require(name)
        try configuration.validate()
        _ = try loaded()
        try requireCatalog()
        if let provider = configuration.embedding {
            _ = try await dimension(of: provider, wanted: configuration.dimension, deadline: deadline)
        }
        let place = try await peers?.place(replicas: replicas, deadline: deadline) ?? { @Sendable _ in [] }
        let row = try await catalog.collections.create(
            name, configuration: configuration.json, settings: settings, shardCount: configuration.sharding.shards, replicas: replicas,
            deadline: deadline, place: place)
        if settings != nil { try await readAttributes(deadline: deadline) }
        let collection = try await adopt(row, isNew: true, deadline: deadline)
        // The follower may have been faster and has nothing to load, but has to look.
        await ready(collection, deadline: deadline)
        return try await whole(collection, deadline: deadline)
    }

    /// Throws `collection.unknown`.
    public func deleteCollection(_ name: CollectionName, deadline: Instant) async throws {
        try Caller.scope.require(name)
        try requireCatalog()
        defer { tellOfWrite(to: name) }
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
        let answers = try await ask(collection, isCurrent: true, deadline: deadline) { _ in CountQuestion(filter: .everything) }
        guard answers.allSatisfy({ $0.answer == 0 }) else { return false }
        let heads = Dictionary(answers.map { ($0.shard, $0.position?.sequence ?? 0) }, uniquingKeysWith: { first, _ in first })
        do {
            try await catalog.collections.delete(name, ifStillAt: heads, deadline: deadline)
        } catch let error as ApusError where error.code == .shardMovedOn {
            return false
        }
        forget { $0 === collection }
        return true
    }

    /// All collections that this node knows and the caller's key is for, by name, with what this node has of them. Throws `node.unready`
    /// before it has read the catalog.
    public func collections() throws -> [CollectionDescription] {
        try loaded().values.filter { Caller.scope.contains($0.name) }.sorted { $0.name < $1.name }.map(\.description)
    }

    /// The same with what all nodes have of them.
    public func wholeCollections(deadline: Instant) async throws -> [CollectionDescription] {
        let known = try loaded().values.filter { Caller.scope.contains($0.name) }.sorted { $0.name < $1.name }
        var whole = known.map(\.description)
        return try await withThrowingTaskGroup(of: (Int, CollectionDescription).self) { tasks in
            for (number, collection) in known.enumerated() {
                // Not all at once: there may be thousands.
                if number >= Self.askedAtOnce, let (done, description) = try await tasks.next() { whole[done] = description }
                tasks.addTask { (number, try await self.whole(collection, deadline: deadline)) }
            }
            for try await (done, description) in tasks { whole[done] = description }
            return whole
        }
    }

    private static let askedAtOnce = 16

    /// What all nodes have of a collection. Looks at the catalog before it throws `collection.unknown`.
    public func wholeCollection(_ name: CollectionName, deadline: Instant) async throws -> CollectionDescription {
        try await whole(try await find(name, deadline: deadline), deadline: deadline)
    }

    /// A shard that nobody answers for is as this node has it, and not loaded.
    private func whole(_ collection: LoadedCollection, deadline: Instant) async throws -> CollectionDescription {
        var description = collection.description
        let others = collection.shards.filter { !$0.isHosted }
        guard !others.isEmpty else { return description }
        let answers = try await askAny(collection, others, deadline: deadline) { _ in DescriptionQuestion() }
        for answer in answers.answers where description.shards.indices.contains(answer.answer.number) {
            description.shards[answer.answer.number] = answer.answer
        }
        for shard in others { description.shards[shard.number].problem = answers.failures[shard.id] }
        return description
    }

    /// What this node has of a collection. Looks at the catalog before it throws `collection.unknown`.
    public func collection(_ name: CollectionName, deadline: Instant) async throws -> CollectionDescription {
        try await find(name, deadline: deadline).description
    }
}
