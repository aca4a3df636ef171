public import ApusCatalog
public import ApusStore
public import ApusTypes

/// Where a node puts objects, and where it finds copies of them to map. The store may be away for a while, hence functions, which throw
/// `store.unavailable` then.
public struct ObjectAccess: Sendable {
    let store: @Sendable () throws -> any ObjectStore
    let copies: @Sendable () throws -> any ObjectCopies
    private let intents: ObjectIntents
    private let node: NodeName

    public init(
        store: @escaping @Sendable () throws -> any ObjectStore,
        copies: @escaping @Sendable () throws -> any ObjectCopies, intents: ObjectIntents, node: NodeName
    ) {
        self.store = store
        self.copies = copies
        self.intents = intents
        self.node = node
    }

    /// Stores a new object. Until a row of the catalog names it the collector may take it.
    func place(_ source: ObjectSource, deadline: Instant) async throws -> PlacedObject {
        try await store().place(source, announcedIn: intents, by: node, deadline: deadline)
    }
}
