internal import ApusEmbedding
internal import ApusTypes
internal import CZlib

/// One file inside an archive, inflated as it is read, and checked against its checksum at its end.
final class ArchivedFile: @unchecked Sendable {  // read by one task, which has it alone
    private let file: FileReader
    private let entry: ZipDirectory.Entry
    private var place: Range<Int>
    private var given = 0
    private var crc: UInt = 0
    private let inflater: Inflater?

    static let piece = 1 << 18

    init(_ entry: ZipDirectory.Entry, in file: FileReader) throws(ApusError) {
        self.file = file
        self.entry = entry
        place = try ZipDirectory.data(of: entry, header: file.read(at: entry.header, count: 30), fileSize: file.size)
        inflater = entry.isDeflated ? Inflater() : nil
        guard entry.isDeflated || entry.size == entry.compressedSize else { throw Self.damaged(entry) }
    }

    /// The next bytes, empty at the end. Throws `model.invalid` for a file that is damaged, at its end at the latest.
    func next() throws(ApusError) -> [UInt8] {
        var output: [UInt8] = []
        if let inflater {
            while output.isEmpty, !inflater.isAtEnd {
                if inflater.needsInput { inflater.give(try read()) }
                guard let more = inflater.next(atMost: Self.piece) else { throw Self.damaged(entry) }
                output = more
            }
        } else {
            output = try read()
        }
        given += output.count
        crc = output.withUnsafeBufferPointer { crc32(crc, $0.baseAddress, UInt32($0.count)) }
        let isAtEnd = output.isEmpty
        // What grows beyond its size is damaged, or made to fill somebody's memory.
        guard given <= entry.size, !isAtEnd || (given == entry.size && UInt32(truncatingIfNeeded: crc) == entry.crc) else {
            throw Self.damaged(entry)
        }
        return output
    }

    private func read() throws(ApusError) -> [UInt8] {
        let bytes = try file.read(at: place.lowerBound, count: min(Self.piece, place.count))
        place = place.lowerBound + bytes.count..<place.upperBound
        return bytes
    }

    private static func damaged(_ entry: ZipDirectory.Entry) -> ApusError {
        ApusError(.modelInvalid, "'\(entry.name)' in the archive is damaged", hint: "fetch the archive again")
    }
}

/// Deflated bytes without a header of their own (RFC 1951).
private final class Inflater {
    private let stream: UnsafeMutablePointer<z_stream>
    /// Stays where it is while zlib reads it.
    private let input: UnsafeMutablePointer<UInt8>
    private(set) var isAtEnd = false

    init() {
        input = .allocate(capacity: ArchivedFile.piece)
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let status = inflateInit2_(stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib cannot start: out of memory or built against another version")
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
        input.deallocate()
    }

    var needsInput: Bool { stream.pointee.avail_in == 0 }

    /// At most `ArchivedFile.piece` bytes; none at the input's end.
    func give(_ bytes: [UInt8]) {
        bytes.withUnsafeBufferPointer { bytes in
            if let base = bytes.baseAddress { input.update(from: base, count: bytes.count) }
        }
        stream.pointee.next_in = input
        stream.pointee.avail_in = UInt32(bytes.count)
    }

    /// What comes of the input so far; nil if it is damaged or ends too early.
    func next(atMost count: Int) -> [UInt8]? {
        let isLast = needsInput
        var status = Z_OK
        let output = [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
            stream.pointee.next_out = output.baseAddress
            stream.pointee.avail_out = UInt32(count)
            status = inflate(stream, Z_NO_FLUSH)
            initialized = count - Int(stream.pointee.avail_out)
        }
        isAtEnd = status == Z_STREAM_END
        guard status == Z_OK || isAtEnd, !isLast || isAtEnd || !output.isEmpty else { return nil }
        return output
    }
}
