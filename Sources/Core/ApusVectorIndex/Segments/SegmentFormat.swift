internal import ApusTypes

/// The layout of a segment's bytes, format 3 (docs/segment-format.md): a header with a directory, then sections, each from a multiple of
/// 4096 on. Little-endian. The store's blocks carry the checksums; what is read here is read with bounds.
enum SegmentFormat {
    static let magic: [UInt8] = Array("APUSSEGM".utf8)
    /// The newest that this program reads, and the one it writes.
    static let version: UInt32 = 3
    static let alignment = 4096
    static let headerSize = 64
    static let entrySize = 32
    static let mostSections = 4096
    /// In `idTable`: no row.
    static let emptySlot = UInt32.max

    enum SectionKind: UInt16 {
        /// A byte for each row: 0 integer, 1 UUID, 2 string.
        case idKinds = 1
        /// Two words of 8 bytes for each row: the integer and 0; the UUID; where the string begins in `idText` and its length.
        case idWords = 2
        case idText = 3
        /// An open hash table of rows (4 bytes each), by the hash of their ids.
        case idTable = 4
        /// Rows in the order of their ids.
        case idOrder = 5
        /// 8 bytes for each row: the operation that wrote this version of the point.
        case versions = 6
        /// Where each row's payload begins in `payloads`, and where the last ends: rows + 1 words of 8 bytes.
        case payloadOffsets = 7
        case payloads = 8
        /// Rows of older segments that are dead as of this one: for each segment its object's key (16 bytes), a count (4), then rows (4 each).
        case tombstones = 9
        /// From format 2 on: the rows by their values at one path of the payloads (`PayloadIndex`); the entry's field is the index's number.
        case payloadIndex = 10

        // Of a field.
        /// Rows that have a vector here, ascending; missing where all have. The tables below are over these.
        case present = 16
        /// Dense: float32 as they were written.
        case originals = 17
        /// Dense under the cosine: 4 bytes for each, one divided by the vector's length.
        case scales = 18
        /// Multiple and sparse: where each begins in `values`, and where the last ends.
        case valueOffsets = 19
        case values = 20
        /// Sparse, from format 2 on: the values by their places (`SparseLists`).
        case sparseLists = 28
        /// How the codes are read, the codes, and what they lack of the distance.
        case coding = 21
        case codes = 22
        case bias = 23
        /// Finer ones, by which candidates are compared again, with a coding of their own; before format 3 half floats, and always there.
        case fineCoding = 24
        case fineCodes = 25
        /// The graph; the entry's parameter is its degree.
        case links = 26
        /// How far to look for a share of the neighbours: slack and recall (float32), rising. From format 3 on the entry's parameter is
        /// how many candidates are compared again, else 0.
        case calibration = 27
        /// The vectors that graph and codes hold shortened, because they are far longer than nearly all: each search compares with them
        /// (4 bytes each). Missing where there are none; programs before it do not look.
        case longRows = 29
    }

    struct Entry {
        var kind: UInt16
        var field: UInt16
        var parameter: UInt32
        var offset: UInt64
        var length: UInt64
    }

    static func unreadable(_ reason: String) -> ApusError {
        ApusError(.segmentCorrupt, "a segment cannot be read: \(reason)", hint: "apus doctor store")
    }
}

extension [UInt8] {
    mutating func append(number value: some FixedWidthInteger) { Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) } }
    mutating func append(numbers values: some Sequence<some FixedWidthInteger>) { for value in values { append(number: value) } }
    mutating func append(floats values: [Float]) { values.withUnsafeBytes { append(contentsOf: $0) } }
}

extension UnsafeRawBufferPointer {
    /// At any offset; the caller has checked the bounds.
    func number<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type = Value.self) -> Value {
        Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
