public import ApusCatalog
public import ApusTypes

/// Puts large operations of shard logs into the store; the append that names an object deletes its intent.
public final class ObjectLogPlacement: LogObjects {
    private let store: any ObjectStore
    private let intents: ObjectIntents
    private let node: NodeName

    public init(store: any ObjectStore, intents: ObjectIntents, node: NodeName) {
        self.store = store
        self.intents = intents
        self.node = node
    }

    public func place(_ bytes: [UInt8], deadline: Instant) async throws -> PlacedObject {
        try await store.place(.bytes(bytes), announcedIn: intents, by: node, deadline: deadline)
    }

    public func fetch(_ key: ObjectKey, deadline: Instant) async throws -> [UInt8] {
        try await store.read(key, range: nil, deadline: deadline)
    }
}
