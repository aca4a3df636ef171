public import ApusCatalog
public import ApusTypes
internal import Synchronization

/// Puts large operations of shard logs into the store: an intent, then the object; the append that names it deletes the intent.
///
/// What fails in between is left to the collector, which removes intent and object after their age.
public final class ObjectLogPlacement: LogObjects {
    private let store: any ObjectStore
    private let intents: ObjectIntents
    private let node: NodeName
    private let current = Mutex(Epoch(0))

    public init(store: any ObjectStore, intents: ObjectIntents, node: NodeName) {
        self.store = store
        self.intents = intents
        self.node = node
    }

    /// The epoch of the node's session, noted in its intents.
    public var session: Epoch {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }

    public func place(_ bytes: [UInt8], deadline: Instant) async throws -> PlacedObject {
        var generator = SystemRandomNumberGenerator()
        let key = ObjectKey.random(using: &generator)
        try await intents.record(key, by: node, session: session, deadline: deadline)
        return PlacedObject(key: key, description: try await store.put(key, deadline: deadline, .bytes(bytes)))
    }

    public func fetch(_ key: ObjectKey, deadline: Instant) async throws -> [UInt8] {
        try await store.read(key, range: nil, deadline: deadline)
    }
}
