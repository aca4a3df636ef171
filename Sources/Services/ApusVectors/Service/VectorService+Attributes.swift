public import ApusCatalog
internal import ApusRuntime
public import ApusTypes
internal import ApusVectorIndex
internal import Synchronization

/// Aliases, changeable settings and declared payload indexes of collections. Every node follows the catalog's; a change shows on the node
/// that made it at once, on others when they have read the feed (within a second).
extension VectorService {
    /// The collection that an alias names, if this node serves it.
    func aliased(_ alias: CollectionName) throws(ApusError) -> LoadedCollection? {
        guard let id = attributes.withLock({ $0.aliases[alias] }) else { return nil }
        return try loaded().values.first { $0.id == id }
    }

    /// The row of the collection of that name, or of that alias, in the catalog.
    func findRow(_ name: CollectionName, deadline: Instant) async throws -> CollectionRow? {
        if let row = try await catalog.collections.find(name, deadline: deadline) { return row }
        try await readAttributes(deadline: deadline)
        guard let id = attributes.withLock({ $0.aliases[name] }) else { return nil }
        return try await catalog.collections.find(id, deadline: deadline)
    }

    func readAttributes(deadline: Instant) async throws {
        let rows = try await catalog.attributes.read(deadline: deadline)
        attributes.withLock { $0 = rows }
    }

    /// The aliases of all collections that the caller's key is for, with those, in the order of the aliases.
    public func aliases() throws -> [(alias: CollectionName, collection: CollectionName)] {
        let names = Dictionary(try loaded().values.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
        return attributes.withLock { $0.aliases }.sorted { $0.key < $1.key }.compactMap { alias, id in
            names[id].flatMap { Caller.scope.contains($0) ? (alias, $0) : nil }
        }
    }

    /// Makes all changes or none. The caller's key must be for every collection that has, gets or loses an alias, and for each new alias as
    /// if it were a collection, because it takes a name from others. Throws `collection.unknown`, `collection.exists`, `alias.unknown`, and `request.invalid` for a bad name.
    public func changeAliases(_ changes: [AliasChange], deadline: Instant) async throws {
        for change in changes {
            switch change {
            case .set(let alias, _), .rename(_, let alias): try alias.validate()
            case .remove: break
            }
        }
        try requireCatalog()
        try await catalog.attributes.change(changes, by: Caller.scope, deadline: deadline)
        try await readAttributes(deadline: deadline)
    }

    /// What a face keeps with the collection; nil if nothing. Throws `collection.unknown`.
    public func settings(of name: CollectionName, deadline: Instant) async throws -> String? {
        let id = try await find(name, deadline: deadline).id
        return attributes.withLock { $0.settings[id] }
    }

    /// Changes the settings in one transaction.
    public func configure(
        _ name: CollectionName, deadline: Instant, _ change: @Sendable (String?) throws -> String
    ) async throws {
        let collection = try await find(name, deadline: deadline)
        try requireCatalog()
        try await catalog.attributes.configure(collection.id, deadline: deadline, change)
        try await readAttributes(deadline: deadline)
    }

    /// The definitions of the declared payload indexes by their paths. Throws `collection.unknown`.
    public func payloadIndexes(of name: CollectionName, deadline: Instant) async throws -> [String: String] {
        let id = try await find(name, deadline: deadline).id
        return attributes.withLock { $0.payloadIndexes[id] ?? [:] }
    }

    /// The paths that new segments of the shard have to have an index of.
    func indexedPaths(of shard: Shard) throws(ApusError) -> [IndexedPath] {
        guard let id = try loaded().values.first(where: { $0.shards.contains { $0 === shard } })?.id else { return [] }
        let declared = attributes.withLock { $0.payloadIndexes[id] ?? [:] }
        return declared.sorted { $0.key < $1.key }.compactMap { path, definition in
            // What no face can have written is left out: filters are answered without it.
            guard let path = try? PayloadPath(jsonPath: path) else { return nil }
            let type = (try? JSONValue(parsing: Array(definition.utf8)))?["type"]?.asString
            return IndexedPath(path, hasWords: type == "text")
        }
    }

    /// Declares a payload index, or takes it back (nil). Segments that are there already go on without it; the next seal or merge makes it.
    public func setPayloadIndex(on path: String, of name: CollectionName, to definition: String?, deadline: Instant) async throws {
        let collection = try await find(name, deadline: deadline)
        try requireCatalog()
        try await catalog.attributes.setIndex(on: path, of: collection.id, to: definition, deadline: deadline)
        try await readAttributes(deadline: deadline)
    }
}
