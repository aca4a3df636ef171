public import ApusTypes

/// The list of files at the end of a ZIP archive (PKWARE APPNOTE 6.3), which Python's wheels are. Of at most 4 GiB, on one disk, stored or
/// deflated; what is beyond is refused by name. Every place that it gives lies inside the file.
public struct ZipDirectory: Sendable {
    public struct Entry: Sendable, Hashable {
        public var name: String
        public var isDeflated: Bool
        public var crc: UInt32
        /// In the archive.
        public var compressedSize: Int
        public var size: Int
        /// Where its own header begins.
        public var header: Int
    }

    /// Bytes at an archive's end in which its end record lies: that, and the longest comment.
    public static let longestEnd = 22 + 65_535
    static let longestList: ByteCount = .mebibytes(64)

    public let entries: [Entry]

    /// Where the list of files is, from the archive's last bytes (`longestEnd`, or all of it). Throws `model.invalid`.
    public static func place(end: [UInt8], fileSize: Int) throws(ApusError) -> Range<Int> {
        guard end.count >= 22, end.count <= fileSize else { throw invalid("it is too short") }
        for start in stride(from: end.count - 22, through: 0, by: -1) where end.word(start) == 0x0605_4B50 {
            guard start + 22 + Int(end.half(start + 20)) == end.count else { continue }
            let (size, offset) = (Int(end.word(start + 12)), Int(end.word(start + 16)))
            guard end.half(start + 4) == 0, end.half(start + 8) == end.half(start + 10), end.half(start + 8) != 0xFFFF,
                offset != 0xFFFF_FFFF
            else { throw invalid("it is of more than 4 GiB or 65,535 files, or of several parts") }
            guard size <= longestList.bytes, offset + size <= fileSize - (end.count - start) else {
                throw invalid("its list of files is not inside it")
            }
            return offset..<offset + size
        }
        throw invalid("it has no list of files at its end: it was cut off, or is none")
    }

    /// Throws `model.invalid`. `list`: the bytes at `place`.
    public init(list: [UInt8], fileSize: Int) throws(ApusError) {
        var entries: [Entry] = []
        var start = 0
        while start < list.count {
            guard start + 46 <= list.count, list.word(start) == 0x0201_4B50 else { throw Self.invalid("its list of files is damaged") }
            let (nameLength, extra, comment) = (Int(list.half(start + 28)), Int(list.half(start + 30)), Int(list.half(start + 32)))
            let nameStart = start + 46
            guard nameStart + nameLength + extra + comment <= list.count else { throw Self.invalid("its list of files is damaged") }
            let entry = Entry(
                name: String(decoding: list[nameStart..<nameStart + nameLength], as: UTF8.self), isDeflated: list.half(start + 10) == 8,
                crc: list.word(start + 16), compressedSize: Int(list.word(start + 20)), size: Int(list.word(start + 24)),
                header: Int(list.word(start + 42)))
            guard entry.compressedSize != 0xFFFF_FFFF, entry.size != 0xFFFF_FFFF,
                entry.header + 30 + nameLength + entry.compressedSize <= fileSize
            else { throw Self.invalid("'\(entry.name.prefix(100))' is not inside it") }
            // Files that cannot be read are left out: nobody asks for them.
            if list.half(start + 8) & 1 == 0, [0, 8].contains(list.half(start + 10)) { entries.append(entry) }
            start = nameStart + nameLength + extra + comment
        }
        self.entries = entries
    }

    /// Where the bytes of an entry are. `header`: the 30 bytes at `entry.header`. Throws `model.invalid`.
    public static func data(of entry: Entry, header: [UInt8], fileSize: Int) throws(ApusError) -> Range<Int> {
        guard header.count >= 30, header.word(0) == 0x0403_4B50 else { throw invalid("'\(entry.name.prefix(100))' has no header") }
        let start = entry.header + 30 + Int(header.half(26)) + Int(header.half(28))
        guard start + entry.compressedSize <= fileSize else { throw invalid("'\(entry.name.prefix(100))' is not inside it") }
        return start..<start + entry.compressedSize
    }

    static func invalid(_ reason: String) -> ApusError {
        ApusError(.modelInvalid, "the archive is not understood: \(reason)", hint: "fetch it again, or unpack it and give its directory")
    }
}

extension [UInt8] {
    fileprivate func half(_ offset: Int) -> UInt16 { UInt16(self[offset]) | UInt16(self[offset + 1]) << 8 }
    fileprivate func word(_ offset: Int) -> UInt32 { UInt32(half(offset)) | UInt32(half(offset + 2)) << 16 }
}
