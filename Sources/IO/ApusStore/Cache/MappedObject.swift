public import ApusTypes
internal import Glibc

/// A file on a file system of this machine. Only such a file is ever mapped: a fault on a page of a share that hangs or was cut freezes
/// or kills the process in the middle of a search.
struct LocalFile: Sendable {
    let descriptor: FileDescriptor

    /// Throws `store.unavailable` for a file of a share.
    init(_ descriptor: FileDescriptor, place: String) throws {
        guard try descriptor.isLocal() else {
            throw ApusError(
                .storeUnavailable, "\(place) is not on a disk of this machine, so its files are not mapped",
                hint: "put the node's data directory on a local disk", context: ["path": place])
        }
        self.descriptor = descriptor
    }
}

/// An object's bytes in this machine's page cache, verified when they were brought here; they stay as long as this value is held.
public final class MappedObject: Sendable {
    public let key: ObjectKey
    public let description: ObjectDescription
    /// Valid as long as the object is held; page-aligned.
    public nonisolated(unsafe) let bytes: UnsafeRawBufferPointer  // memory that nobody can write, unmapped by deinit only
    private let release: @Sendable () -> Void

    /// How the bytes will be read, for the kernel's read-ahead.
    public enum Access: Sendable { case sequential, random, soon }

    /// `release` is called when the last holder lets go.
    init(_ file: LocalFile, _ footer: ObjectFooter, key: ObjectKey, release: @escaping @Sendable () -> Void) throws {
        self.key = key
        description = footer.description
        self.release = release
        guard footer.size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let base = mmap(nil, footer.size, PROT_READ, MAP_PRIVATE, file.descriptor.raw, 0), base != MAP_FAILED else {
            throw SystemFailure("mmap")
        }
        bytes = UnsafeRawBufferPointer(start: base, count: footer.size)
    }

    deinit {
        if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
        release()
    }

    /// A hint; what it costs to ignore is time.
    public func advise(_ access: Access, _ range: Range<Int>? = nil) {
        guard let base = bytes.baseAddress else { return }
        let range = (range ?? 0..<bytes.count).clamped(to: 0..<bytes.count)
        let start = range.lowerBound & ~(Int(getpagesize()) - 1)
        let advice =
            switch access {
            case .sequential: MADV_SEQUENTIAL
            case .random: MADV_RANDOM
            case .soon: MADV_WILLNEED
            }
        _ = madvise(UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, Int32(advice))
    }
}

/// Where a node finds objects that it maps.
public protocol ObjectCopies: Sendable {
    /// Brings the object here if it is not here yet, verified block by block. Throws what the store throws, and `cache.full`.
    func fetch(_ key: ObjectKey, deadline: Instant) async throws -> MappedObject

    /// Reads a copy that is in use again. Throws `object.corrupt` if it is damaged; the next `fetch` then brings another one, as far as there
    /// is one. Mappings of the damaged one stay as they are.
    func verify(_ key: ObjectKey, deadline: Instant) async throws
}

extension ObjectStore {
    /// The copies to map: the store's own files if they are on this machine, else a cache in `directory` of at most `capacity` bytes.
    public func copies(cachedIn directory: String, capacity: ByteCount, deadline: Instant) async throws -> any ObjectCopies {
        if let store = self as? DirectoryStore, let own = OwnCopies(store) { return own }
        return try await LocalCache.open(directory, of: self, capacity: capacity, deadline: deadline)
    }
}
