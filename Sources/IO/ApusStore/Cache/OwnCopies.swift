public import ApusTypes
internal import Synchronization

/// A directory store on a local disk is its own cache: its files are mapped where they are.
public final class OwnCopies: ObjectCopies {
    private let store: DirectoryStore
    /// Objects that this process has read and verified as a whole; forgotten all at once when they get many, and then verified again.
    private let verified = Mutex<Set<ObjectKey>>([])
    private static let remembered = 100_000

    /// Nil if the store is not on this machine.
    public init?(_ store: DirectoryStore) {
        guard store.isLocal else { return nil }
        self.store = store
    }

    public func verify(_ key: ObjectKey, deadline: Instant) async throws {
        _ = verified.withLock { $0.remove(key) }
        _ = try await fetch(key, deadline: deadline)
    }

    public func fetch(_ key: ObjectKey, deadline: Instant) async throws -> MappedObject {
        try await store.pool.run(place: store.place, deadline: deadline) { [self] in
            let (file, footer) = try StoreRoot.object(key, in: store.root.open(), place: store.place)
            if !verified.withLock({ $0.contains(key) }) {
                try footer.verifyAll(of: file, key: key, place: store.place)
                verified.withLock { verified in
                    if verified.count >= Self.remembered { verified.removeAll() }
                    verified.insert(key)
                }
            }
            return try MappedObject(LocalFile(file, place: store.place), footer, key: key) {}
        }
    }
}

extension ObjectFooter {
    /// Reads every block once, which also brings it into the page cache.
    func verifyAll(of file: FileDescriptor, key: ObjectKey, place: String) throws {
        for number in blocks.indices { _ = try block(number, of: file, key: key, place: place) }
    }
}
