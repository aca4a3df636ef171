internal import ApusTypes
internal import Glibc

/// A store's directory as the file system shows it: the calls that block, to be made on the store's pool.
///
/// `objects/a/b/KEY` with the key's first two digits as directories: 256 of them hold a million objects with 4,000 each, and a new
/// store has made them all after a few hundred objects.
struct StoreRoot: Sendable {
    let path: String
    let identity: StoreIdentity

    static let temporaryPrefix = ".tmp."

    /// What may lie in a directory that is to become a store: what file systems make, and what nodes leave for each other.
    static func mayHold(_ name: String) -> Bool { ["lost+found", "cluster.secret"].contains(name) }

    /// Opens the directory and proves that it is this store's. Everything is then reached through the open directory, so nothing that is
    /// mounted or unmounted at the path meanwhile can make a write end up elsewhere.
    func open() throws -> FileDescriptor {
        let (root, found) = try Self.open(path)
        guard let found else { throw Self.isAway(path) }
        guard found == identity else { throw Self.isForeign(path, found) }
        return root
    }

    /// Opens the directory; its identity is nil if it has none.
    static func open(_ path: String) throws -> (FileDescriptor, StoreIdentity?) {
        do {
            let root = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
            do {
                let bytes = try root.open(StoreIdentity.fileName, O_RDONLY).read(0..<65_536)
                return (root, try StoreIdentity(decoding: bytes, place: path))
            } catch let failure as SystemFailure where failure.number == ENOENT {
                return (root, nil)
            }
        } catch let failure as SystemFailure {
            throw failure.asStoreError(at: path)
        }
    }

    static func isAway(_ path: String) -> ApusError {
        ApusError(
            .storeUnavailable, "the store is not at \(path): the directory has no identity file, as when its file system is not mounted",
            hint: "mount the store's file system there; nothing is written until then")
    }

    static func isForeign(_ path: String, _ found: StoreIdentity) -> ApusError {
        ApusError(
            .storeForeign, "\(path) holds store \(found.store) of cluster \(found.cluster), not this cluster's store",
            hint: "mount the right file system, or set store.directory to the right path")
    }

    // MARK: Where objects are

    private static func leafNames(of key: ObjectKey) -> [String] {
        let digits = key.description.prefix(2).map(String.init)
        return ["objects", digits[0], digits[1]]
    }

    static var allLeafNames: [[String]] {
        let digits = "0123456789abcdef".map(String.init)
        return digits.flatMap { first in digits.map { ["objects", first, $0] } }
    }

    /// The directory of the object `key`; nil if it does not exist.
    static func leaf(of key: ObjectKey, in root: FileDescriptor) throws -> FileDescriptor? { try leaf(leafNames(of: key), in: root) }

    static func leaf(_ names: [String], in root: FileDescriptor) throws -> FileDescriptor? {
        do {
            return try root.open(names.joined(separator: "/"), O_RDONLY | O_DIRECTORY)
        } catch let failure as SystemFailure where failure.number == ENOENT {
            return nil
        }
    }

    /// The directory of the object `key`, made if it was not there. A name made is synced into its parent before it is used, and also one
    /// found that this process has not synced yet (`isDurable` false): a process that died may have made it without.
    static func makeLeaf(of key: ObjectKey, in root: FileDescriptor, isDurable: Bool) throws -> FileDescriptor {
        if isDurable, let leaf = try leaf(of: key, in: root) { return leaf }
        var directory = root
        for name in leafNames(of: key) {
            try directory.makeDirectory(name)
            try directory.sync()
            directory = try directory.open(name, O_RDONLY | O_DIRECTORY)
        }
        return directory
    }

    // MARK: Reading one object

    /// The footer of the object `key` and its open file.
    static func object(_ key: ObjectKey, in root: FileDescriptor, place: String) throws -> (FileDescriptor, ObjectFooter) {
        let file: FileDescriptor
        do {
            guard let leaf = try leaf(of: key, in: root) else { throw ApusError.unknown(key, in: place) }
            file = try leaf.open(key.description, O_RDONLY)
        } catch let failure as SystemFailure where failure.number == ENOENT {
            throw ApusError.unknown(key, in: place)
        }
        return (file, try ObjectFooter(of: file, key: key, place: place))
    }
}

extension ObjectFooter {
    /// Reads the footer of an open object file.
    init(of file: FileDescriptor, key: ObjectKey, place: String) throws {
        let size = Int(try file.status().st_size)
        guard let length = ObjectFooter.length(inFileOf: size) else {
            throw ApusError.corrupt(key, "no object has a file of \(size) bytes", in: place)
        }
        try self.init(tail: file.read(size - length..<size), key: key, fileSize: size, place: place)
    }

    /// Block `number`, verified.
    func block(_ number: Int, of file: FileDescriptor, key: ObjectKey, place: String) throws -> [UInt8] {
        let block = try file.read(ObjectFormat.range(ofBlock: number, size: size))
        try block.withUnsafeBytes { try verify($0, number: number, key: key, place: place) }
        return block
    }

    /// The bytes of `range`, every block that they touch verified.
    func read(_ range: Range<Int>, of file: FileDescriptor, key: ObjectKey, place: String) throws -> [UInt8] {
        guard range.lowerBound >= 0, range.upperBound <= size else {
            throw ApusError(.requestInvalid, "object \(key) has \(size) bytes, not \(range)")
        }
        guard !range.isEmpty else { return [] }
        let first = range.lowerBound / ObjectFormat.blockSize
        let last = (range.upperBound - 1) / ObjectFormat.blockSize
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        for number in first...last {
            let block = try block(number, of: file, key: key, place: place)
            let start = number * ObjectFormat.blockSize
            let wanted = range.clamped(to: start..<start + block.count)
            bytes.append(contentsOf: block[wanted.lowerBound - start..<wanted.upperBound - start])
        }
        return bytes
    }
}

extension SystemFailure {
    /// What a failed call means for a store; an entry that is missing is the caller's to interpret.
    func asStoreError(at place: String) -> ApusError {
        let context = ["store": place, "call": call, "reason": reason]
        return switch number {
        case ENOSPC, EDQUOT:
            ApusError(.storeFull, "the store at \(place) is full", hint: "free space there; reads go on", context: context)
        case EROFS:
            ApusError(.storeReadOnly, "the store at \(place) is read-only", hint: "remount it for writing", context: context)
        case EACCES, EPERM:
            ApusError(
                .storeReadOnly, "the store at \(place) does not let this process in", hint: "check the owner and mode of its files",
                context: context)
        default:
            ApusError(
                .storeUnavailable, "the store at \(place) failed: \(call): \(reason)", hint: "check its disk or its mount",
                context: context)
        }
    }
}
