internal import ApusTypes
internal import Synchronization

/// A part of a segment that is written item by item, so that it need not be in memory as a whole.
struct SegmentSection: Sendable {
    let kind: SegmentFormat.SectionKind
    let field: Int
    let parameter: UInt32
    let length: Int
    let items: Int
    let append: @Sendable (_ item: Int, _ bytes: inout [UInt8]) -> Void

    init(
        _ kind: SegmentFormat.SectionKind, field: Int = 0, parameter: UInt32 = 0, length: Int, _ items: Int,
        _ append: @escaping @Sendable (Int, inout [UInt8]) -> Void
    ) {
        self.kind = kind
        self.field = field
        self.parameter = parameter
        self.length = length
        self.items = items
        self.append = append
    }

    init(
        _ kind: SegmentFormat.SectionKind, field: Int = 0, itemSize: Int, _ items: Int,
        _ append: @escaping @Sendable (Int, inout [UInt8]) -> Void
    ) { self.init(kind, field: field, length: itemSize * items, items, append) }

    init(_ kind: SegmentFormat.SectionKind, field: Int = 0, parameter: UInt32 = 0, bytes: [UInt8]) {
        self.init(kind, field: field, parameter: parameter, length: bytes.count, 1) { $1.append(contentsOf: bytes) }
    }

    /// In pieces of a megabyte.
    init(_ kind: SegmentFormat.SectionKind, field: Int = 0, parameter: UInt32 = 0, slab: SlabBytes) {
        let piece = 1 << 20
        self.init(kind, field: field, parameter: parameter, length: slab.count, (slab.count + piece - 1) / piece) { item, bytes in
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: slab.bytes[item * piece..<min(slab.count, (item + 1) * piece)]))
        }
    }
}

/// Memory that somebody owns.
struct SlabBytes: @unchecked Sendable {  // read only
    let bytes: UnsafeRawBufferPointer
    let owner: any AnyObject & Sendable
    var count: Int { bytes.count }
}

/// The bytes of a new segment, in order.
public final class SegmentBytes: Sendable {
    /// Of the whole.
    public let count: Int
    public let rows: Int
    private let sections: [SegmentSection]
    private let position: Mutex<Position>
    private static let piece = 1 << 20

    private struct Position {
        var header: [UInt8]?
        var section = 0
        var item = 0
        var written = 0
    }

    init(_ sections: [SegmentSection], rows: Int, fields: Int, moment: Int64) {
        func aligned(_ offset: Int) -> Int { (offset + SegmentFormat.alignment - 1) / SegmentFormat.alignment * SegmentFormat.alignment }
        var offset = aligned(SegmentFormat.headerSize + sections.count * SegmentFormat.entrySize)
        var directory: [UInt8] = []
        for section in sections {
            directory.append(numbers: [UInt16(section.kind.rawValue), UInt16(section.field)])
            directory.append(number: section.parameter)
            directory.append(numbers: [UInt64(offset), UInt64(section.length), 0])
            offset = aligned(offset + section.length)
        }
        var header = SegmentFormat.magic
        header.append(numbers: [SegmentFormat.version, UInt32(sections.count), UInt32(rows), UInt32(fields)])
        header.append(number: moment)
        header.append(numbers: [UInt64(offset), 0, 0, 0])
        precondition(header.count == SegmentFormat.headerSize, "the header has its size")
        self.sections = sections
        self.rows = rows
        count = offset
        position = Mutex(Position(header: header + directory))
    }

    /// The next piece, of about a megabyte; nil after the last.
    public func next() -> [UInt8]? {
        position.withLock { position in
            var bytes: [UInt8] = []
            bytes.reserveCapacity(Self.piece + (64 << 10))
            if let header = position.header.take() { bytes = header }
            func pad() {
                let end = position.written + bytes.count
                bytes.append(contentsOf: repeatElement(0, count: -end & (SegmentFormat.alignment - 1)))
            }
            while position.section < sections.count, bytes.count < Self.piece {
                if position.item == 0 { pad() }
                let section = sections[position.section]
                while position.item < section.items, bytes.count < Self.piece {
                    section.append(position.item, &bytes)
                    position.item += 1
                }
                if position.item >= section.items {
                    position.section += 1
                    position.item = 0
                    if position.section == sections.count { pad() }
                }
            }
            position.written += bytes.count
            return bytes.isEmpty ? nil : bytes
        }
    }
}
