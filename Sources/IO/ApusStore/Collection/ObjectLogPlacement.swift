public import ApusCatalog
public import ApusTypes

/// Puts large operations of shard logs into the store: an intent, then the object; the append that names it deletes the intent.
///
/// What fails in between is left to the collector, which removes intent and object after their age.
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
        var generator = SystemRandomNumberGenerator()
        let key = ObjectKey.random(using: &generator)
        try await intents.record(key, by: node, deadline: deadline)
        return PlacedObject(key: key, description: try await store.put(key, deadline: deadline, .bytes(bytes)))
    }

    public func fetch(_ key: ObjectKey, deadline: Instant) async throws -> [UInt8] {
        try await store.read(key, range: nil, deadline: deadline)
    }
}
