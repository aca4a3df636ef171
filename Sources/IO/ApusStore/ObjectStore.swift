public import ApusTypes

/// Immutable objects under random keys. Once `put` has returned, the object survives power loss; before, it does not exist.
///
/// Implementations: a directory (local or shared) and the catalog. One law suite runs against both.
public protocol ObjectStore: Sendable {
    /// What an operator recognises it by: a path, or "catalog".
    var place: String { get }

    /// Stores the bytes that `body` yields, in order. Throws `store.full`, `store.unavailable`, `store.foreign`, `store.read_only` or
    /// `object.too_large`; then nothing is visible under `key`.
    func put(_ key: ObjectKey, deadline: Instant, _ body: ObjectSource) async throws -> ObjectDescription

    /// The bytes of `range` (all when nil), verified against the object's checksums block by block.
    func read(_ key: ObjectKey, range: Range<Int>?, deadline: Instant) async throws -> [UInt8]

    /// The whole object in blocks of at most 1 MiB, each verified before it is yielded.
    func stream(_ key: ObjectKey, deadline: Instant) -> AsyncThrowingStream<[UInt8], any Error>

    /// Keys and ages, for the collector's sweep; never on a request's path.
    func list(deadline: Instant) -> AsyncThrowingStream<ListedObject, any Error>

    /// Deleting what is not there is not an error.
    func delete(_ key: ObjectKey, deadline: Instant) async throws

    /// Whether writing would work now: identity, space, access. Throws the reason it would not.
    func probe(deadline: Instant) async throws
}

public enum ObjectSource: Sendable {
    case bytes([UInt8])
    /// Called until it gives nil; chunks may have any size.
    case chunks(@Sendable () async throws -> [UInt8]?)
}

public struct ListedObject: Sendable, Hashable {
    public var key: ObjectKey
    /// Since it was put, by the clock of the store.
    public var age: Duration

    public init(key: ObjectKey, age: Duration) {
        self.key = key
        self.age = age
    }
}
