public import ApusTypes
internal import CVectorGraph
internal import CVectorKernels

/// Points that were sealed: immutable bytes, mapped or in memory, read without parsing.
///
/// What lies in the bytes was verified before the segment was opened. Should it rot afterwards, answers may be wrong until it is found out,
/// but nothing outside the bytes is read.
public final class Segment: Sendable {
    /// The object that it is.
    public let key: ObjectKey
    /// The last operation of the log that it takes part in.
    public let sealedAt: Int64
    public let fields: [VectorField]
    public let count: Int
    public let byteCount: Int
    /// Dead rows of older segments, by their objects.
    public let tombstones: [(segment: ObjectKey, rows: [UInt32])]

    nonisolated(unsafe) let ids: SegmentIDs  // reads only what the owner holds
    private nonisolated(unsafe) let versions: UnsafeRawBufferPointer
    private nonisolated(unsafe) let payloadOffsets: UnsafeRawBufferPointer
    private nonisolated(unsafe) let payloads: UnsafeRawBufferPointer
    private let tables: [SegmentField]
    /// By `PayloadPath.indexKey`.
    let payloadIndexes: [[UInt8]: PayloadIndex]
    let filters = MatchCache()
    private let owner: any AnyObject & Sendable

    /// `bytes` (aligned to 64) stay as they are as long as `owner` lives. `memory` has room for what is better not read from there.
    ///
    /// Throws `segment.unsupported` for a newer format, `segment.corrupt` for bytes that are no segment of these fields.
    public init(
        _ bytes: UnsafeRawBufferPointer, key: ObjectKey, fields: [VectorField], owner: any AnyObject & Sendable, memory: SearchMemory? = nil
    ) throws(ApusError) {
        let directory = try SegmentDirectory(bytes)
        self.key = key
        self.fields = fields
        self.owner = owner
        byteCount = bytes.count
        sealedAt = directory.moment
        count = directory.rows
        guard directory.fieldCount == fields.count else {
            throw SegmentFormat.unreadable("it has \(directory.fieldCount) fields where the collection has \(fields.count)")
        }
        ids = SegmentIDs(
            count: count, kinds: try directory.section(.idKinds, count: count), words: try directory.section(.idWords, count: count * 16),
            text: try directory.section(.idText), table: try directory.section(.idTable, count: SegmentIDs.slots(for: count) * 4),
            order: try directory.section(.idOrder, count: count * 4))
        versions = try directory.section(.versions, count: count * 8)
        payloadOffsets = try directory.section(.payloadOffsets, count: (count + 1) * 8)
        payloads = try directory.section(.payloads)
        tombstones = try directory.tombstones()
        payloadIndexes = try directory.payloadIndexes(of: payloads)
        var tables: [SegmentField] = []
        for (number, field) in fields.enumerated() {
            tables.append(try SegmentField(field, number, directory, owner: owner, memory: memory))
        }
        self.tables = tables
    }

    func field(_ number: Int) -> SegmentField { tables[number] }

    /// Of all fields: mapped, or copied from there into memory.
    var searchedBytes: Int { tables.reduce(0) { $0 + $1.searchedBytes } }

    public func version(_ row: Int) -> Int64 { versions.number(at: row * 8) }

    /// Empty where the point has none.
    func payload(_ row: Int) -> UnsafeRawBufferPointer { payloads.slice(payloadOffsets, row) }

    func matches(_ row: Int, _ filter: Filter) -> Bool {
        filter.matches(id: ids[row], payload: payload(row)) { name in
            fields.firstIndex { $0.name == name }.map { value(row, $0) != nil } ?? false
        }
    }

    /// The bytes (`VectorValue.bytes`) that a row has in a field.
    func value(_ row: Int, _ field: Int) -> UnsafeRawBufferPointer? { tables[field].value(row) }
}

extension UnsafeRawBufferPointer {
    /// What lies between two neighbouring offsets of `offsets`; nothing where they are rotten.
    fileprivate func slice(_ offsets: UnsafeRawBufferPointer, _ index: Int) -> UnsafeRawBufferPointer {
        let start = Int(clamping: offsets.number(at: index * 8, as: UInt64.self))
        let end = Int(clamping: offsets.number(at: index * 8 + 8, as: UInt64.self))
        guard start <= end, end <= count else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: self[start..<end])
    }
}

/// The header of a segment, checked.
private struct SegmentDirectory {
    let rows: Int
    let fieldCount: Int
    let moment: Int64
    private let bytes: UnsafeRawBufferPointer
    private let entries: [UInt32: SegmentFormat.Entry]

    init(_ bytes: UnsafeRawBufferPointer) throws(ApusError) {
        guard bytes.count >= SegmentFormat.headerSize, bytes.starts(with: SegmentFormat.magic) else {
            throw SegmentFormat.unreadable("it does not begin as a segment does")
        }
        let version: UInt32 = bytes.number(at: 8)
        guard (1...SegmentFormat.version).contains(version) else {
            throw ApusError(
                .segmentUnsupported, "a segment is written in format \(version); this program reads formats up to \(SegmentFormat.version)",
                hint: "run the version of apus that wrote it, or a newer one")
        }
        let count = Int(bytes.number(at: 12, as: UInt32.self))
        guard count <= SegmentFormat.mostSections, SegmentFormat.headerSize + count * SegmentFormat.entrySize <= bytes.count,
            bytes.number(at: 32, as: UInt64.self) == UInt64(bytes.count)
        else { throw SegmentFormat.unreadable("its header does not fit its size") }
        self.bytes = bytes
        rows = Int(bytes.number(at: 16, as: UInt32.self))
        fieldCount = Int(bytes.number(at: 20, as: UInt32.self))
        moment = bytes.number(at: 24)
        var entries: [UInt32: SegmentFormat.Entry] = [:]
        for index in 0..<count {
            let start = SegmentFormat.headerSize + index * SegmentFormat.entrySize
            let entry = SegmentFormat.Entry(
                kind: bytes.number(at: start), field: bytes.number(at: start + 2), parameter: bytes.number(at: start + 4),
                offset: bytes.number(at: start + 8), length: bytes.number(at: start + 16))
            guard entry.offset % UInt64(SegmentFormat.alignment) == 0, entry.offset <= UInt64(bytes.count),
                entry.length <= UInt64(bytes.count) - entry.offset
            else { throw SegmentFormat.unreadable("a section lies outside of it") }
            entries[UInt32(entry.kind) << 16 | UInt32(entry.field)] = entry
        }
        self.entries = entries
    }

    func entry(_ kind: SegmentFormat.SectionKind, field: Int = 0) -> SegmentFormat.Entry? {
        entries[UInt32(kind.rawValue) << 16 | UInt32(field)]
    }

    /// Throws if it is missing, or not of `count` bytes.
    func section(
        _ kind: SegmentFormat.SectionKind, field: Int = 0, count: Int? = nil
    ) throws(ApusError) -> UnsafeRawBufferPointer {
        guard let entry = entry(kind, field: field) else { throw SegmentFormat.unreadable("its section '\(kind)' is missing") }
        if let count, entry.length != UInt64(count) { throw SegmentFormat.unreadable("its section '\(kind)' has another size") }
        return UnsafeRawBufferPointer(rebasing: bytes[Int(entry.offset)..<Int(entry.offset + entry.length)])
    }

    func payloadIndexes(of payloads: UnsafeRawBufferPointer) throws(ApusError) -> [[UInt8]: PayloadIndex] {
        var found: [[UInt8]: PayloadIndex] = [:]
        while entry(.payloadIndex, field: found.count) != nil {
            let index = try PayloadIndex(try section(.payloadIndex, field: found.count), rows: rows, payloads: payloads)
            guard found.updateValue(index, forKey: index.path) == nil else { throw SegmentFormat.unreadable("a path has two indexes") }
        }
        return found
    }

    func tombstones() throws(ApusError) -> [(segment: ObjectKey, rows: [UInt32])] {
        let bytes = try section(.tombstones)
        var found: [(ObjectKey, [UInt32])] = []
        var position = 0
        while position < bytes.count {
            guard bytes.count - position >= 20 else { throw SegmentFormat.unreadable("its tombstones are cut") }
            let key = ObjectKey(high: bytes.number(at: position), low: bytes.number(at: position + 8))
            let count = Int(bytes.number(at: position + 16, as: UInt32.self))
            position += 20
            guard count <= (bytes.count - position) / 4 else { throw SegmentFormat.unreadable("its tombstones are cut") }
            let start = position
            found.append((key, (0..<count).map { bytes.number(at: start + $0 * 4) }))
            position += count * 4
        }
        return found
    }
}

/// One field of a segment.
struct SegmentField: @unchecked Sendable {  // read only
    let description: VectorField
    /// Rows that have a vector here, which is what the tables are over; nil where all have.
    private let present: UnsafeRawBufferPointer?
    /// Rows of the segment.
    private let rows: Int
    /// Vectors in this field.
    let count: Int
    /// Dense: one after another, and one divided by each length.
    private(set) var originals: UnsafeRawBufferPointer?
    private(set) var scales: UnsafeRawBufferPointer?
    private var offsets: UnsafeRawBufferPointer?
    private var values: UnsafeRawBufferPointer?
    private(set) var sparseLists: SparseLists?
    private(set) var graph: VectorGraph?
    private(set) var codes: CodeTable?
    private(set) var fineCodes: CodeTable?
    private(set) var calibration = Calibration(steps: [])
    /// Places in the tables of vectors that the graph and the codes know shortened: every search compares them.
    private(set) var longRows: [UInt32] = []

    fileprivate init(
        _ description: VectorField, _ number: Int, _ directory: SegmentDirectory, owner: any AnyObject & Sendable, memory: SearchMemory?
    ) throws(ApusError) {
        self.description = description
        present = directory.entry(.present, field: number) == nil ? nil : try directory.section(.present, field: number)
        rows = directory.rows
        count = present.map { $0.count / 4 } ?? rows
        guard case .dense(let dimension, let metric) = description.kind else {
            offsets = try directory.section(.valueOffsets, field: number, count: (count + 1) * 8)
            values = try directory.section(.values, field: number)
            if directory.entry(.sparseLists, field: number) != nil {
                sparseLists = try SparseLists(try directory.section(.sparseLists, field: number), count: count)
            }
            return
        }
        originals = try directory.section(.originals, field: number, count: count * dimension * 4)
        if metric == .cosine { scales = try directory.section(.scales, field: number, count: count * 4) }
        guard let links = directory.entry(.links, field: number) else { return }
        let degree = Int(links.parameter)
        guard (1...APUS_MOST_LINKS).contains(degree) else { throw SegmentFormat.unreadable("its graph has a degree of \(degree)") }
        /// A section that searches read in no order, and who keeps it.
        func near(_ kind: SegmentFormat.SectionKind, count: Int) throws(ApusError) -> (UnsafeRawPointer, any AnyObject & Sendable) {
            let section = try directory.section(kind, field: number, count: count)
            if let copy = memory?.copy(section, of: owner) { return (UnsafeRawPointer(copy.slab.bytes.baseAddress!), copy) }  // has memory
            return (section.baseAddress!, owner)  // a graph has rows
        }
        let (base, linksOwner) = try near(.links, count: count * degree * 4)
        graph = VectorGraph(count: count, degree: degree, links: base, owner: linksOwner)
        func table(_ coding: SegmentFormat.SectionKind, _ codes: SegmentFormat.SectionKind) throws(ApusError) -> CodeTable {
            let coding = try Coding(bytes: try directory.section(coding, field: number), metric: metric, dimension: dimension)
            let bias =
                coding.needsBias
                ? try directory.section(.bias, field: number, count: count * 4).assumingMemoryBound(to: Float.self).baseAddress : nil
            let size = count * coding.stride
            let (rows, codesOwner) =
                codes == .codes
                ? try near(codes, count: size) : (try directory.section(codes, field: number, count: size).baseAddress!, owner)
            return CodeTable(coding, count: count, rows: rows, bias: bias, owner: codesOwner)
        }
        self.codes = try table(.coding, .codes)
        if directory.entry(.longRows, field: number) != nil {
            let section = try directory.section(.longRows, field: number), count = UInt32(count)
            longRows = (0..<section.count / 4).map { section.number(at: $0 * 4) }.filter { $0 < count }
        }
        if directory.entry(.fineCoding, field: number) != nil { fineCodes = try table(.fineCoding, .fineCodes) }
        calibration = Calibration(
            bytes: try directory.section(.calibration, field: number),
            rescored: Int(directory.entry(.calibration, field: number)?.parameter ?? 0))
    }

    /// The segment's row of the vector in place `index` of the tables.
    func row(_ index: Int) -> UInt32 { present.map { min($0.number(at: index * 4), UInt32(rows - 1)) } ?? UInt32(index) }

    /// What every search of the field reads: links and codes where there is a graph, else all vectors.
    var searchedBytes: Int {
        if let graph, let codes { return graph.bytes + codes.bytes + (fineCodes?.bytes ?? 0) }
        return originals?.count ?? sparseLists?.bytes ?? ((offsets?.count ?? 0) + (values?.count ?? 0))
    }

    /// Numbers in all vectors.
    var numbers: Int { (originals ?? values).map { $0.count / 4 } ?? 0 }

    /// Which rows have a vector here.
    var presence: RowLists { present.map { RowLists(certain: [$0]) } ?? RowLists(isComplement: true) }

    /// The place in the tables of a row's vector; nil if it has none.
    func index(of row: Int) -> Int? {
        guard let present else { return row }
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if Int(present.number(at: middle * 4, as: UInt32.self)) < row { low = middle + 1 } else { high = middle }
        }
        return low < count && Int(present.number(at: low * 4, as: UInt32.self)) == row ? low : nil
    }

    /// Has the vector in place `index` of the tables fetched, which is about to be read: the first lines, behind which the processor goes on
    /// by itself.
    func prefetch(_ index: Int) {
        guard let originals, let dimension = description.dimension else { return }
        apus_prefetch(originals.baseAddress! + index * dimension * 4, min(256, dimension * 4))  // there is a vector
        if let scales { apus_prefetch(scales.baseAddress! + index * 4, 4) }
    }

    func value(_ row: Int) -> UnsafeRawBufferPointer? {
        guard let index = index(of: row) else { return nil }
        guard let originals, let dimension = description.dimension else {
            guard let offsets, let values else { return nil }
            let bytes = values.slice(offsets, index)
            return description.accepts(bytes) ? bytes : nil
        }
        return UnsafeRawBufferPointer(rebasing: originals[index * dimension * 4..<(index + 1) * dimension * 4])
    }
}

extension Coding {
    /// Kind, dimension, squared length of the longest row (4 bytes each), then offsets, steps and order.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: kind.rawValue)
        bytes.append(number: UInt32(dimension))
        bytes.append(floats: [longestSquared])
        bytes.append(floats: offsets)
        bytes.append(floats: steps)
        bytes.append(numbers: order)
        return bytes
    }

    fileprivate init(bytes: UnsafeRawBufferPointer, metric: Metric, dimension: Int) throws(ApusError) {
        guard bytes.count >= 12, let kind = CodeKind(rawValue: bytes.number(at: 0)), kind.serves(metric),
            bytes.number(at: 4, as: UInt32.self) == UInt32(dimension)
        else { throw SegmentFormat.unreadable("its codes are of another kind") }
        let numbers = kind.isSmall ? dimension : 0
        let places = kind == .thirds ? dimension : 0
        guard bytes.count == 12 + numbers * 8 + places * 4 else { throw SegmentFormat.unreadable("its coding is cut") }
        func floats(_ start: Int, _ count: Int) -> [Float] {
            (0..<count).map { Float(bitPattern: bytes.number(at: start + $0 * 4)) }
        }
        let order: [UInt32] = (0..<places).map { bytes.number(at: 12 + numbers * 8 + $0 * 4) }
        guard order.allSatisfy({ $0 < dimension }) else { throw SegmentFormat.unreadable("its coding names a dimension that is not there") }
        self.init(
            kind, metric, dimension: dimension, offsets: floats(12, numbers), steps: floats(12 + numbers * 4, numbers), order: order,
            longestSquared: floats(8, 1)[0])
    }
}
