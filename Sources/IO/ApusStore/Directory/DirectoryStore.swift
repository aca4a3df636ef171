public import ApusRuntime
public import ApusTypes
internal import Glibc
internal import Synchronization

/// Objects as files of a directory, on a local disk or on any file system that several nodes mount.
///
/// Every call of the file system runs on the store's own threads. A mount that hangs takes those and nothing else: calls end with
/// `store.unavailable` at their deadlines. Each call opens the directory anew and checks its identity file, so an unmounted or
/// exchanged directory is noticed by the next call and never written to.
public final class DirectoryStore: ObjectStore {
    public struct Options: Sendable {
        /// The node's name, by which it knows its own leftovers. Characters that do not belong in a file's name are replaced.
        public var writer: String
        /// Space that is left free: a put that would go below is refused with `store.full` while there is still room for deletes, logs
        /// and the catalog. 0 fills the disk.
        public var reserve: ByteCount
        /// Temporary files of this writer that are older are removed at `open`. Not 0: the process before may still be ending.
        public var ownLeftovers: Duration
        /// The same for those of other nodes, which may still be writing or may never come back.
        public var othersLeftovers: Duration
        /// The longest that `probe` waits, whatever its caller allows.
        public var probeLimit: Duration

        public init(
            writer: String = "apus", reserve: ByteCount = .gibibytes(1), ownLeftovers: Duration = .seconds(600),
            othersLeftovers: Duration = .seconds(86_400), probeLimit: Duration = .seconds(4)
        ) {
            self.writer = writer
            self.reserve = reserve
            self.ownLeftovers = ownLeftovers
            self.othersLeftovers = othersLeftovers
            self.probeLimit = probeLimit
        }
    }

    public let identity: StoreIdentity
    public var place: String { root.path }
    /// Whether its files are on this machine, and so may be mapped.
    public let isLocal: Bool

    let root: StoreRoot
    let pool: BlockingPool
    private let options: Options
    private let temporaryPrefix: String
    /// Leaf directories that this process has made durable, by the key's first two digits.
    private let durableLeaves = Mutex<Set<UInt8>>([])
    private static let log = Logger("store")

    /// Opens the store in `path` and removes leftovers of puts that never ended.
    ///
    /// `expecting` is what the catalog remembers; nil if it remembers none, when any store of `cluster` will do. Throws
    /// `store.unavailable` if the directory has no identity (an empty directory for a new store is made one by `initialise`, by nobody
    /// else) and `store.foreign` if it has another's.
    public static func open(
        _ path: String, cluster: ClusterID, expecting: StoreID? = nil, options: Options = Options(),
        pool: BlockingPool = BlockingPool(name: "store", threads: 8, queueLimit: 1024), deadline: Instant
    ) async throws -> DirectoryStore {
        let (identity, isLocal) = try await pool.run(place: path, deadline: deadline) {
            let (root, found) = try StoreRoot.open(path)
            guard let found else {
                let others = try root.entries().filter { !StoreRoot.mayHold($0) }
                if expecting == nil, !others.isEmpty {
                    throw ApusError(
                        .storeForeign, "\(path) holds files and is not a store of apus", hint: "choose an empty directory for the store")
                }
                throw expecting == nil
                    ? ApusError(
                        .storeUnavailable, "\(path) is empty: it is not a store yet",
                        hint: "if this is where the store is to be, initialise it")
                    : StoreRoot.isAway(path)
            }
            guard found.cluster == cluster, expecting == nil || found.store == expecting else { throw StoreRoot.isForeign(path, found) }
            return (found, try root.isLocal())
        }
        return DirectoryStore(path: path, identity: identity, isLocal: isLocal, options: options, pool: pool)
    }

    /// Makes the empty directory `path` (created if need be) a store of `cluster`, and gives its identity, for the catalog to remember.
    /// Throws `store.foreign` if anything is in it that `StoreRoot.mayHold` does not know. Whoever calls this decides that no mount is missing here.
    public static func initialise(
        _ path: String, cluster: ClusterID, store: StoreID,
        pool: BlockingPool = BlockingPool(name: "store", threads: 8, queueLimit: 1024), deadline: Instant
    ) async throws -> StoreIdentity {
        let identity = StoreIdentity(cluster: cluster, store: store)
        try await pool.run(place: path, deadline: deadline) {
            if mkdir(path, 0o750) == 0 {
                // Its name must survive as well as what is put into it.
                let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
                try FileDescriptor.open(parent.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : parent, O_RDONLY | O_DIRECTORY).sync()
            } else if errno != EEXIST {
                throw SystemFailure("mkdir")
            }
            let root = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
            let leftover = StoreRoot.temporaryPrefix + "identity"
            try root.remove(leftover)
            guard try root.entries().allSatisfy(StoreRoot.mayHold) else {
                throw ApusError(
                    .storeForeign, "\(path) is not empty, so no store is made of it", hint: "choose an empty directory for the store")
            }
            let file = try root.open(leftover, O_WRONLY | O_CREAT | O_EXCL, mode: 0o640)
            try file.write(identity.encoded)
            try file.sync()
            try root.rename(leftover, toNew: StoreIdentity.fileName)
            try root.sync()
        }
        log.notice("store initialised", ["place": path, "store": identity.store.rawValue, "cluster": cluster.rawValue])
        return identity
    }

    private init(path: String, identity: StoreIdentity, isLocal: Bool, options: Options, pool: BlockingPool) {
        root = StoreRoot(path: path, identity: identity)
        self.identity = identity
        self.isLocal = isLocal
        self.options = options
        self.pool = pool
        let writer = options.writer.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") ? $0 : "_" }
        temporaryPrefix = StoreRoot.temporaryPrefix + String(writer) + "."
    }

    // MARK: Writing

    public func put(_ key: ObjectKey, deadline: Instant, _ source: ObjectSource) async throws -> ObjectDescription {
        let announced = if case .bytes(let bytes) = source { bytes.count } else { 0 }
        let pending = try await onPool(deadline) { [self] root in
            try requireSpace(announced, in: root)
            let isDurable = durableLeaves.withLock { $0.contains(key.leaf) }
            let leaf = try StoreRoot.makeLeaf(of: key, in: root, isDurable: isDurable)
            durableLeaves.withLock { _ = $0.insert(key.leaf) }
            return try PendingFile(key: key, named: temporaryName(), in: leaf, isSynced: true)
        }
        do {
            switch source {
            case .bytes(let bytes):
                return try await pool.run(place: place, deadline: deadline) {
                    try pending.write(bytes)
                    return try Self.commit(pending, key, in: self.place)
                }
            case .chunks(let next):
                try await write(next, to: pending, deadline: deadline)
                return try await pool.run(place: place, deadline: deadline) { try Self.commit(pending, key, in: self.place) }
            }
        } catch {
            await discard(pending)
            throw error
        }
    }

    private func write(_ next: @Sendable () async throws -> [UInt8]?, to pending: PendingFile, deadline: Instant) async throws {
        // Small pieces are gathered, so that a stream of them does not cost a change of threads each.
        var gathered: [UInt8] = []
        while let piece = try await next() {
            gathered.append(contentsOf: piece)
            guard gathered.count >= ObjectFormat.blockSize else { continue }
            let batch = gathered
            gathered = []
            try await onPool(deadline) { [self] root in
                try requireSpace(batch.count, in: root)
                try pending.write(batch)
            }
        }
        let rest = gathered
        if !rest.isEmpty { try await pool.run(place: place, deadline: deadline) { try pending.write(rest) } }
    }

    private static func commit(_ pending: PendingFile, _ key: ObjectKey, in place: String) throws -> ObjectDescription {
        do {
            return try pending.commit()
        } catch let failure as SystemFailure where failure.number == EEXIST {
            throw ApusError.exists(key, in: place)
        }
    }

    /// Removes what a failed put has written. It has a deadline of its own: the put's may be what has just passed.
    private func discard(_ pending: PendingFile) async {
        guard !pending.abandon() else { return }
        do {
            // A task of its own: the put's may be cancelled, and its file goes all the same.
            let removal = Task { [pool] in
                try await pool.run(deadline: BootClock.now.advanced(by: .seconds(2))) { try pending.discard() }
            }
            try await removal.value
        } catch {
            Self.log.warning("a failed put left a temporary file", ["place": place, "reason": "\(error)"])
        }
    }

    private func requireSpace(_ bytes: Int, in root: FileDescriptor) throws {
        let (free, _) = try root.space()
        guard options.reserve.bytes == 0 || free - bytes >= options.reserve.bytes else {
            throw ApusError(
                .storeFull, "the store at \(place) has \(ByteCount(max(0, free))) left, and \(options.reserve) are kept free",
                hint: "free space there, or lower store.reserve_bytes; reads and deletes go on", context: ["store": place])
        }
    }

    private func temporaryName() -> String { temporaryPrefix + String(UInt64.random(in: .min ... .max), radix: 16) }

    public func delete(_ key: ObjectKey, deadline: Instant) async throws {
        // Not synced: a delete that a power loss undoes leaves an object that no row names, which the sweep finds.
        try await onPool(deadline) { root in _ = try StoreRoot.leaf(of: key, in: root)?.remove(key.description) }
    }

    // MARK: Reading

    public func read(_ key: ObjectKey, range: Range<Int>?, deadline: Instant) async throws -> [UInt8] {
        try await onPool(deadline) { [place] root in
            let (file, footer) = try StoreRoot.object(key, in: root, place: place)
            return try footer.read(range ?? 0..<footer.size, of: file, key: key, place: place)
        }
    }

    public func stream(_ key: ObjectKey, deadline: Instant) -> AsyncThrowingStream<[UInt8], any Error> {
        // Nothing stays open between two blocks: a reader that loses interest leaves nothing behind that would have to be closed by a
        // thread that may not block.
        let progress = StreamProgress()
        return AsyncThrowingStream { [self] in
            try await onPool(deadline) { [place] root in
                let (file, footer) = try StoreRoot.object(key, in: root, place: place)
                guard let number = try progress.begin(key, footer, place: place) else { return nil }
                let block = try footer.block(number, of: file, key: key, place: place)
                progress.took(block)
                return block
            }
        }
    }

    public func list(deadline: Instant) -> AsyncThrowingStream<ListedObject, any Error> {
        let leaves = Mutex(StoreRoot.allLeafNames.makeIterator())
        let found = Mutex<[ListedObject]>([])
        return AsyncThrowingStream { [self] in
            while true {
                if let object = found.withLock({ $0.popLast() }) { return object }
                guard let names = leaves.withLock({ $0.next() }) else { return nil }
                let objects = try await onPool(deadline) { [self] root -> [ListedObject] in
                    guard let leaf = try StoreRoot.leaf(names, in: root) else { return [] }
                    let now = try now(in: root)
                    return try leaf.entries().compactMap { name in
                        guard let key = ObjectKey(name), let status = try leaf.status(of: name) else { return nil }
                        return ListedObject(key: key, age: max(.zero, now - status.modified))
                    }
                }
                found.withLock { $0 = objects }
            }
        }
    }

    // MARK: Upkeep

    public func probe(deadline: Instant) async throws {
        let limit = min(deadline, BootClock.now.advanced(by: options.probeLimit))
        try await onPool(limit) { [self] root in
            try requireSpace(0, in: root)
            let name = temporaryName()
            let file = try root.open(name, O_WRONLY | O_CREAT | O_EXCL, mode: 0o640)
            do {
                try file.write(Array("probe".utf8))
                try file.sync()
            } catch {
                try root.remove(name)
                throw error
            }
            try root.remove(name)
        }
    }

    /// Free bytes and size of the file system that holds the store.
    public func space(deadline: Instant) async throws -> (free: ByteCount, total: ByteCount) {
        try await onPool(deadline) { root in
            let (free, total) = try root.space()
            return (ByteCount(free), ByteCount(total))
        }
    }

    /// Removes temporary files of puts that ended without removing them: the process died, or the file system went away.
    public func removeLeftovers(deadline: Instant) async throws {
        var removed = 0
        for names in [[]] + StoreRoot.allLeafNames {
            removed += try await onPool(deadline) { [self] root in
                guard let directory = names.isEmpty ? root : try StoreRoot.leaf(names, in: root) else { return 0 }
                let leftovers = try directory.entries().filter { $0.hasPrefix(StoreRoot.temporaryPrefix) }
                guard !leftovers.isEmpty else { return 0 }
                let now = try now(in: root)
                return try leftovers.count { name in
                    guard let status = try directory.status(of: name) else { return false }
                    let limit = name.hasPrefix(temporaryPrefix) ? options.ownLeftovers : options.othersLeftovers
                    guard now - status.modified > limit else { return false }
                    return try directory.remove(name)
                }
            }
        }
        if removed > 0 { Self.log.info("leftover temporary files removed", ["place": place, "files": "\(removed)"]) }
    }

    /// The time by the clock that stamps the store's files, which on a share is its server's. A store that cannot be written has no way
    /// to ask for it; its files are then compared with this machine's clock.
    private func now(in root: FileDescriptor) throws -> Duration {
        do {
            let name = temporaryName()
            let file = try root.open(name, O_WRONLY | O_CREAT | O_EXCL, mode: 0o640)
            defer { _ = try? root.remove(name) }  // the next clean-up finds it
            return try file.status().modified
        } catch let failure as SystemFailure where [EROFS, ENOSPC, EDQUOT, EACCES, EPERM].contains(failure.number) {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return time.duration
        }
    }

    private func onPool<Value: Sendable>(
        _ deadline: Instant, _ body: @escaping @Sendable (FileDescriptor) throws -> Value
    ) async throws -> Value {
        try await pool.run(place: place, deadline: deadline) { [root] in try body(root.open()) }
    }
}

extension BlockingPool {
    /// Runs `body` and turns its failures into those of a store: a file system that does not answer is a store that is not available.
    func run<Value: Sendable>(
        place: String, deadline: Instant, _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        do {
            return try await run(deadline: deadline, body)
        } catch let failure as SystemFailure {
            throw failure.asStoreError(at: place)
        } catch let error as ApusError where error.code == .deadlineExceeded || error.code == .overloaded {
            throw ApusError(
                .storeUnavailable, "the store at \(place) did not answer in time", hint: "check its disk or its mount",
                context: ["store": place], cause: error)
        }
    }
}

extension ObjectKey {
    /// Names the leaf directory: the first two digits.
    fileprivate var leaf: UInt8 { UInt8(high >> 56) }
}

extension stat {
    var modified: Duration { st_mtim.duration }
}

extension timespec {
    var duration: Duration { .seconds(tv_sec) + .nanoseconds(tv_nsec) }
}
