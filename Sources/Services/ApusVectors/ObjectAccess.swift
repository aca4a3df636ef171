public import ApusStore
public import ApusTypes

/// Where a node puts objects and finds copies of them to map. The store may be away for a while, hence functions, which throw
/// `store.unavailable` then.
public struct ObjectAccess: Sendable {
    public var store: @Sendable () throws -> any ObjectStore
    public var copies: @Sendable (_ deadline: Instant) async throws -> any ObjectCopies

    public init(
        store: @escaping @Sendable () throws -> any ObjectStore,
        copies: @escaping @Sendable (_ deadline: Instant) async throws -> any ObjectCopies
    ) {
        self.store = store
        self.copies = copies
    }
}
