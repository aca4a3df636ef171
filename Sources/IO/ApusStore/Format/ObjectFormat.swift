internal import ApusTypes
internal import CXXHash

/// The form of an object in a file, version 1 (docs/store-format.md): its bytes from offset 0, so that a mapping of the file is a page-aligned
/// mapping of the object; then one checksum for each block of 1 MiB; then a footer of 80 bytes.
///
/// A block's checksum is XXH3 of 64 bits with the block's number as its seed, so a block in another's place is found too. It is there to
/// find decay, not attackers: at more than 10 GB/s it costs a read next to nothing, and a 64-bit sum misses one damaged block in 10^19
/// (32 bits of CRC32C: one in 4·10^9). The footer's SHA-256 is the object's identity, which the catalog keeps as well.
enum ObjectFormat {
    static let blockSize = 1 << 20
    static let footerSize = 80
    /// The last digit is the version.
    static let magic = Array("APUSOBJ1".utf8)

    static func blockCount(of size: Int) -> Int { (size + blockSize - 1) / blockSize }

    /// The bytes of block `index` of an object of `size` bytes.
    static func range(ofBlock index: Int, size: Int) -> Range<Int> {
        index * blockSize..<min(size, (index + 1) * blockSize)
    }

    static func checksum(_ block: UnsafeRawBufferPointer, number: Int) -> UInt64 {
        XXH3_64bits_withSeed(block.baseAddress, block.count, UInt64(number))
    }
}

/// Cuts pieces of any size into blocks of exactly 1 MiB, the last one excepted.
struct BlockCutter {
    private var pending: [UInt8] = []

    /// Calls `take` for each block that `piece` completes.
    mutating func add(_ piece: [UInt8], _ take: (UnsafeRawBufferPointer) throws -> Void) rethrows {
        var offset = 0
        if !pending.isEmpty {
            offset = min(ObjectFormat.blockSize - pending.count, piece.count)
            pending.append(contentsOf: piece[..<offset])
            guard pending.count == ObjectFormat.blockSize else { return }
            try pending.withUnsafeBytes(take)
            pending.removeAll(keepingCapacity: true)
        }
        try piece.withUnsafeBytes { bytes in
            while bytes.count - offset >= ObjectFormat.blockSize {
                try take(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + ObjectFormat.blockSize]))
                offset += ObjectFormat.blockSize
            }
            pending.append(contentsOf: bytes[offset...])
        }
    }

    /// Calls `take` for what is left, unless nothing is.
    mutating func finish(_ take: (UnsafeRawBufferPointer) throws -> Void) rethrows {
        if !pending.isEmpty { try pending.withUnsafeBytes(take) }
        pending = []
    }
}

/// Gathers the checksums of an object while its blocks pass.
struct ObjectSums: ~Copyable {
    private(set) var size = 0
    private(set) var blocks: [UInt64] = []
    private var digest = IncrementalDigest()

    /// Each block but the last must be full.
    mutating func add(block: UnsafeRawBufferPointer) {
        blocks.append(ObjectFormat.checksum(block, number: blocks.count))
        digest.add(block)
        size += block.count
    }

    mutating func finish() -> ObjectFooter {
        ObjectFooter(description: ObjectDescription(size: ByteCount(size), digest: digest.finish()), blocks: blocks)
    }
}

/// What stands behind an object's bytes in its file.
struct ObjectFooter: Sendable {
    var description: ObjectDescription
    /// The checksum of each block.
    var blocks: [UInt64]

    var size: Int { description.size.bytes }

    /// The block table and the footer, little-endian: `[checksums: 8 each] block size: 4, reserved: 4, size: 8, key: 16, SHA-256: 32,
    /// XXH3 of everything from the table to here: 8, magic: 8`.
    func encoded(for key: ObjectKey) -> [UInt8] {
        var bytes = checksumBytes
        bytes.append(littleEndian: UInt64(ObjectFormat.blockSize))  // its upper half is the reserved word
        bytes.append(littleEndian: UInt64(size))
        bytes.append(littleEndian: key.high)
        bytes.append(littleEndian: key.low)
        bytes.append(contentsOf: description.digest.bytes)
        bytes.append(littleEndian: bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) })
        bytes.append(contentsOf: ObjectFormat.magic)
        return bytes
    }

    /// How many bytes at the end of a file of `fileSize` bytes hold table and footer; nil if no object has a file of that size.
    static func length(inFileOf fileSize: Int) -> Int? {
        // fileSize = size + 8 · ceil(size / block) + footer, which grows with size, so at most one count of blocks fits.
        let rest = fileSize - ObjectFormat.footerSize
        guard rest >= 0 else { return nil }
        let count = (rest + ObjectFormat.blockSize + 7) / (ObjectFormat.blockSize + 8)
        let size = rest - 8 * count
        return size >= 0 && ObjectFormat.blockCount(of: size) == count ? 8 * count + ObjectFormat.footerSize : nil
    }

    /// Reads and checks what `encoded(for:)` wrote: `tail` is the last `length(inFileOf:)` bytes of the file.
    init(tail: [UInt8], key: ObjectKey, fileSize: Int, place: String) throws {
        func corrupt(_ what: String) -> ApusError { .corrupt(key, what, in: place) }
        let footer = tail.count - ObjectFormat.footerSize
        guard footer >= 0 else { throw corrupt("its file is too short to have a footer") }
        guard tail.suffix(8) == ObjectFormat.magic[...] else {
            if tail.suffix(8).starts(with: ObjectFormat.magic.dropLast()) {
                throw ApusError(
                    .objectUnsupported, "object \(key) has a format that this version of apus cannot read",
                    hint: "upgrade this node", context: ["store": place])
            }
            throw corrupt("its file was cut or overwritten at the end")
        }
        let sum = tail.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count - 16) }
        guard tail.littleEndian(at: tail.count - 16) == sum else { throw corrupt("its footer does not match its checksum") }
        guard tail.littleEndian(at: footer + 16) == key.high, tail.littleEndian(at: footer + 24) == key.low else {
            throw corrupt("its file holds another object")
        }
        let size = Int(clamping: tail.littleEndian(at: footer + 8))
        guard tail.littleEndian(at: footer) == UInt64(ObjectFormat.blockSize), size == fileSize - tail.count,
            let digest = Digest(bytes: Array(tail[footer + 32..<footer + 64]))
        else { throw corrupt("its footer does not fit its file") }
        description = ObjectDescription(size: ByteCount(size), digest: digest)
        blocks = Self.checksums(tail[..<footer])
    }

    /// The block table: eight bytes for each block, little-endian.
    var checksumBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(blocks.count * 8 + ObjectFormat.footerSize)
        blocks.forEach { bytes.append(littleEndian: $0) }
        return bytes
    }

    private static func checksums(_ bytes: ArraySlice<UInt8>) -> [UInt64] {
        let bytes = Array(bytes)
        return stride(from: 0, to: bytes.count, by: 8).map { bytes.littleEndian(at: $0) }
    }

    /// From a description and a block table that were kept apart.
    init(description: ObjectDescription, checksumBytes: [UInt8], key: ObjectKey, place: String) throws {
        guard checksumBytes.count == 8 * ObjectFormat.blockCount(of: description.size.bytes) else {
            throw ApusError.corrupt(key, "its checksums do not fit its size", in: place)
        }
        self.init(description: description, blocks: Self.checksums(checksumBytes[...]))
    }

    init(description: ObjectDescription, blocks: [UInt64]) {
        self.description = description
        self.blocks = blocks
    }

    /// Throws `object.corrupt` unless `block` is block `number` of this object.
    func verify(_ block: UnsafeRawBufferPointer, number: Int, key: ObjectKey, place: String) throws {
        guard block.count == ObjectFormat.range(ofBlock: number, size: size).count,
            ObjectFormat.checksum(block, number: number) == blocks[number]
        else { throw ApusError.corrupt(key, "block \(number) does not match its checksum", in: place) }
    }
}

extension ApusError {
    static func corrupt(_ key: ObjectKey, _ what: String, in place: String) -> ApusError {
        ApusError(
            .objectCorrupt, "object \(key) is damaged: \(what)",
            hint: "check the disk under the store, then restore the object from a backup", context: ["store": place])
    }

    static func unknown(_ key: ObjectKey, in place: String) -> ApusError {
        ApusError(.objectUnknown, "there is no object \(key)", context: ["store": place])
    }

    static func exists(_ key: ObjectKey, in place: String) -> ApusError {
        ApusError(.objectExists, "there is an object \(key) already; keys are never used twice", context: ["store": place])
    }
}

extension [UInt8] {
    fileprivate mutating func append(littleEndian value: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) { append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
    }

    fileprivate func littleEndian(at offset: Int) -> UInt64 {
        withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    }
}
