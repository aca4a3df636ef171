public import ApusRuntime
public import ApusTypes
internal import Glibc
internal import Synchronization

/// Copies of a store's objects on this machine's disk, within a bound; they survive restarts.
///
/// A copy is verified block by block as it arrives and becomes visible when it is whole. Several who want the same object wait for one
/// fetch. What is mapped stays; of the rest, what was used longest ago goes first. Nothing is synced: after a crash a copy is
/// verified before its first use, and fetched again if it is damaged.
public final class LocalCache: ObjectCopies {
    private let store: any ObjectStore
    private let path: String
    private let capacity: Int
    private let pool: BlockingPool
    private let state: Mutex<CacheState>
    private static let log = Logger("cache")

    /// Opens the cache in `directory`, created if need be, which belongs to this process alone. It must be on a disk of this machine.
    public static func open(
        _ directory: String, of store: any ObjectStore, capacity: ByteCount,
        pool: BlockingPool = BlockingPool(name: "cache", threads: 4, queueLimit: 1024), deadline: Instant
    ) async throws -> LocalCache {
        let found = try await pool.run(place: directory, deadline: deadline) { () -> [CacheState.Found] in
            if mkdir(directory, 0o750) != 0, errno != EEXIST { throw SystemFailure("mkdir") }
            let root = try LocalFile(FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY), place: directory).descriptor
            return try root.entries().compactMap { name in
                guard let key = ObjectKey(name) else {
                    if name.hasPrefix(StoreRoot.temporaryPrefix) { try root.remove(name) }
                    return nil
                }
                return try root.status(of: name).map { .init(key: key, size: Int($0.st_size), modified: $0.modified) }
            }
        }
        let cache = LocalCache(directory, of: store, capacity: capacity, pool: pool, found: found)
        try await cache.makeRoom(for: 0, deadline: deadline)
        return cache
    }

    private init(_ path: String, of store: any ObjectStore, capacity: ByteCount, pool: BlockingPool, found: [CacheState.Found]) {
        self.path = path
        self.store = store
        self.capacity = capacity.bytes
        self.pool = pool
        state = Mutex(CacheState(found))
    }

    /// Bytes on disk, of copies and of fetches under way.
    public var used: ByteCount { ByteCount(state.withLock { $0.used }) }

    public func fetch(_ key: ObjectKey, deadline: Instant) async throws -> MappedObject {
        while true {
            switch state.withLock({ $0.want(key) }) {
            case .ready:
                do {
                    return try await map(key, deadline: deadline)
                } catch let error as ApusError where error.code == .objectUnknown || error.code == .objectCorrupt {
                    try await forget(key, deadline: deadline)  // somebody removed or damaged the file: fetch it anew
                }
            case .wait(let flight):
                try await withDeadline(deadline, "waiting for another fetch of the object") { for await _ in flight {} }
            case .check:
                defer { state.withLock { $0.land(key) }.forEach { $0.finish() } }
                do {
                    try await check(key, deadline: deadline)
                } catch let error as ApusError where error.code == .objectCorrupt || error.code == .objectUnknown {
                    Self.log.warning("a damaged copy is fetched again", ["key": key.description, "reason": error.summary])
                    try await forget(key, deadline: deadline)
                }
            case .fetch:
                defer { state.withLock { $0.land(key) }.forEach { $0.finish() } }
                try await bring(key, deadline: deadline)
            }
        }
    }

    public func verify(_ key: ObjectKey, deadline: Instant) async throws {
        do {
            try await check(key, deadline: deadline)
        } catch let error as ApusError where error.code == .objectCorrupt || error.code == .objectUnknown {
            try await forget(key, deadline: deadline)
            throw error
        }
    }

    // MARK: Steps

    /// Copies the object from the store.
    private func bring(_ key: ObjectKey, deadline: Instant) async throws {
        let name = StoreRoot.temporaryPrefix + key.description
        let pending = try await onPool(deadline) { root in
            // What a fetch that was abandoned has left, or an eviction has not removed yet.
            for old in [name, key.description] { try root.remove(old) }
            return try PendingFile(key: key, named: name, in: root, isSynced: false)
        }
        var written = 0
        do {
            for try await block in store.stream(key, deadline: deadline) {
                try await makeRoom(for: block.count, deadline: deadline)
                written += block.count
                try await onPool(deadline) { _ in try pending.write(block) }
            }
            let size = try await onPool(deadline) { root in
                _ = try pending.commit()
                return Int(try root.status(of: key.description)?.st_size ?? 0)
            }
            state.withLock { $0.add(key, size: size, insteadOf: written) }
        } catch {
            state.withLock { $0.used -= written }
            if !pending.abandon() {
                // The next fetch of the object removes what is left if this fails too.
                let removal = Task { [self] in try await onPool(BootClock.now.advanced(by: .seconds(2))) { _ in try pending.discard() } }
                _ = await removal.result
            }
            throw error
        }
    }

    /// Verifies a copy that an earlier process left.
    private func check(_ key: ObjectKey, deadline: Instant) async throws {
        try await onPool(deadline) { [self] root in
            let (file, footer) = try open(key, in: root)
            try footer.verifyAll(of: file, key: key, place: path)
        }
        state.withLock { $0.trust(key) }
    }

    /// Maps a copy that is known to be good. The mapping itself does not block, and is not made on the pool, whose thread would hold it
    /// a moment longer than its last user.
    private func map(_ key: ObjectKey, deadline: Instant) async throws -> MappedObject {
        let (file, footer) = try await onPool(deadline) { [self] root in
            let (file, footer) = try open(key, in: root)
            return (try LocalFile(file, place: path), footer)
        }
        guard state.withLock({ $0.pin(key) }) else { throw ApusError.unknown(key, in: path) }  // evicted since
        do {
            return try MappedObject(file, footer, key: key) { [self] in state.withLock { $0.unpin(key) } }
        } catch {
            state.withLock { $0.unpin(key) }
            throw (error as? SystemFailure)?.asStoreError(at: path) ?? error
        }
    }

    private func open(_ key: ObjectKey, in root: FileDescriptor) throws -> (FileDescriptor, ObjectFooter) {
        do {
            let file = try root.open(key.description, O_RDONLY)
            return (file, try ObjectFooter(of: file, key: key, place: path))
        } catch let failure as SystemFailure where failure.number == ENOENT {
            throw ApusError.unknown(key, in: path)
        }
    }

    private func forget(_ key: ObjectKey, deadline: Instant) async throws {
        state.withLock { $0.remove(key) }
        try await onPool(deadline) { root in _ = try root.remove(key.description) }
    }

    /// Counts `bytes` as used, and removes what was used longest ago until they fit.
    private func makeRoom(for bytes: Int, deadline: Instant) async throws {
        let victims = state.withLock { $0.reserve(bytes, within: capacity) }
        guard let victims else {
            throw ApusError(
                .cacheFull, "the local cache of \(ByteCount(capacity)) is full of objects in use",
                hint: "give it more room, or read fewer at a time",
                context: ["path": path])
        }
        guard !victims.isEmpty else { return }
        do {
            try await onPool(deadline) { root in for key in victims { try root.remove(key.description) } }
        } catch {
            state.withLock { $0.used -= bytes }
            throw error
        }
    }

    private func onPool<Value: Sendable>(
        _ deadline: Instant, _ body: @escaping @Sendable (FileDescriptor) throws -> Value
    ) async throws -> Value {
        try await pool.run(place: path, deadline: deadline) { [path] in try body(FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)) }
    }
}
