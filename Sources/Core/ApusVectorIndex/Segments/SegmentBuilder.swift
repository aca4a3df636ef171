internal import ApusTypes
internal import CVectorGraph
internal import Synchronization

/// Makes a segment of some rows of a snapshot. The caller gives the threads:
///
///     while builder.work(thread: thread) {}        // on each thread
///     builder.prepare()                            // when all are done
///     let bytes = builder.finish(tombstones, asOf: moment)
///
/// The same rows give the same bytes with one thread.
public final class SegmentBuilder: Sendable {
    public struct Parameters: Sendable, Hashable {
        public var graph = GraphParameters()
        /// Fewer vectors than this have no graph: looking at all of them is as quick.
        public var leastGraph = 2048
        /// Paths that have to have an index. Others get one too where a sample of the payloads says that it is cheap.
        public var indexes: [IndexedPath] = []

        public init() {}
    }

    private let snapshot: PointSnapshot
    private let rows: [UInt32]
    private let fields: [FieldBuilder]
    private let indexes: [IndexedPath]
    private let prepared = Mutex<[SegmentSection]>([])

    /// `rows` are of `snapshot`.
    public init(_ snapshot: PointSnapshot, rows: [UInt32], parameters: Parameters = Parameters(), threads: Int) {
        self.snapshot = snapshot
        // The graph is entered at its first rows, which have to be a sample of all.
        var generator = SplitMix(state: UInt64(bitPattern: snapshot.moment))
        let shuffled = rows.shuffled(using: &generator)
        self.rows = shuffled
        fields = snapshot.fields.indices.map { FieldBuilder($0, snapshot, shuffled, parameters, threads: threads) }
        indexes = parameters.indexes
    }

    /// What an approximate search looks at: codes of both kinds and links. Known when the segment is finished.
    public var searchedBytes: Int { fields.reduce(0) { $0 + $1.searchedBytes.load(ordering: .relaxed) } }

    /// Names of fields whose graph found too little to be of use: their vectors are compared one by one. Known when the segment is finished.
    public var fieldsWithoutGraph: [String] { fields.filter { $0.isWithoutGraph.load(ordering: .relaxed) }.map(\.field.name) }

    /// Does a little; false when nothing is left.
    public func work(thread: Int) -> Bool { fields.contains { $0.graph?.insert(thread: thread) ?? false } }

    /// The work after the links were found: how far a search has to look, and the payloads' indexes.
    public func prepare() {
        var sections = pointSections() + indexSections()
        for field in fields { sections += field.sections(snapshot, rows) }
        prepared.withLock { $0 = sections }
    }

    /// `tombstones`: the dead rows of the segments that stay beside this one, after operation `moment`.
    public func finish(_ tombstones: Tombstones, asOf moment: Int64) -> SegmentBytes {
        var graves: [UInt8] = []
        for (segment, rows) in tombstones {
            graves.append(numbers: [segment.high, segment.low])
            graves.append(number: UInt32(rows.count))
            graves.append(numbers: rows)
        }
        return SegmentBytes(
            prepared.withLock { $0 } + [.init(.tombstones, bytes: graves)], rows: rows.count, fields: fields.count, moment: moment)
    }

    private func pointSections() -> [SegmentSection] {
        let ids = rows.map { snapshot.id($0) }
        var kinds: [UInt8] = []
        var words: [UInt8] = []
        var text: [UInt8] = []
        for id in ids {
            switch id {
            case .integer(let number):
                kinds.append(0)
                words.append(numbers: [number, 0])
            case .uuid(let high, let low):
                kinds.append(1)
                words.append(numbers: [high, low])
            case .string(let string):
                kinds.append(2)
                words.append(numbers: [UInt64(text.count), UInt64(string.utf8.count)])
                text.append(contentsOf: string.utf8)
            }
        }
        var offset: UInt64 = 0
        var offsets: [UInt8] = []
        for row in rows {
            offsets.append(number: offset)
            offset += UInt64(snapshot.payloadBytes(row).count)
        }
        offsets.append(number: offset)
        let order = ids.indices.sorted { ids[$0] < ids[$1] }.map { UInt32($0) }
        return [
            .init(.idKinds, bytes: kinds), .init(.idWords, bytes: words), .init(.idText, bytes: text),
            .init(.idTable, bytes: Self.table(of: ids)), .init(.idOrder, bytes: order.flatMap { $0.bytes }),
            .init(.versions, itemSize: 8, rows.count) { [snapshot, rows] item, bytes in bytes.append(number: snapshot.version(rows[item]))
            },
            .init(.payloadOffsets, bytes: offsets),
            .init(.payloads, length: Int(offset), rows.count) { [snapshot, rows] item, bytes in
                bytes.append(contentsOf: snapshot.payloadBytes(rows[item]))
            },
        ]
    }

    private func indexSections() -> [SegmentSection] {
        guard !rows.isEmpty else { return [] }
        let paths = IndexedPath.chosen(indexes, sample: rows.lazy.map { [snapshot] in snapshot.payloadBytes($0) })
        let found = paths.compactMap { path -> [UInt8]? in
            var builder = PayloadIndexBuilder(path)
            var offset = 0
            for (number, row) in rows.enumerated() {
                let payload = snapshot.payloadBytes(row)
                builder.add(payload, row: UInt32(number), offset: offset)
                offset += payload.count
            }
            return builder.finish(rows: rows.count)
        }
        return found.enumerated().map { SegmentSection(.payloadIndex, field: $0, bytes: $1) }
    }

    private static func table(of ids: [PointID]) -> [UInt8] {
        var slots = [UInt32](repeating: SegmentFormat.emptySlot, count: SegmentIDs.slots(for: ids.count))
        for (row, id) in ids.enumerated() {
            var slot = Int(truncatingIfNeeded: SegmentIDs.hash(id)) & (slots.count - 1)
            while slots[slot] != SegmentFormat.emptySlot { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(row)
        }
        return slots.withUnsafeBytes { Array($0) }
    }
}

extension UInt32 {
    fileprivate var bytes: [UInt8] { Swift.withUnsafeBytes(of: littleEndian) { Array($0) } }
}

/// Vigna's SplitMix64: a shuffle that is the same everywhere.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// One field of a segment under construction.
private final class FieldBuilder: Sendable {
    private let number: Int
    let field: VectorField
    /// Places in the segment's rows of those that have a vector here.
    let present: [UInt32]
    /// Nil where there are too few.
    let graph: GraphBuilder?
    private let degree: Int
    /// What the graph is over: for the cosine with length 1.
    private let floats: FloatRows?
    private let sample: NeighbourSample?
    private let codes: SampledCodes?
    /// Those that are shortened in `floats`.
    private let longRows: [UInt32]
    let searchedBytes = Atomic(0)
    let isWithoutGraph = Atomic(false)
    private let slab: Slab?

    init(
        _ number: Int, _ snapshot: PointSnapshot, _ rows: [UInt32], _ parameters: SegmentBuilder.Parameters, threads: Int
    ) {
        self.number = number
        field = snapshot.fields[number]
        present = rows.indices.filter { snapshot.valueBytes(rows[$0], field: number) != nil }.map { UInt32($0) }
        degree = parameters.graph.degree
        guard case .dense(let dimension, let metric) = field.kind, present.count >= max(2, parameters.leastGraph) else {
            (graph, floats, sample, codes, slab, longRows) = (nil, nil, nil, nil, nil, [])
            return
        }
        let slab = Slab(present.count * dimension * 4)
        let base = slab.bytes.bindMemory(to: Float.self)
        for (index, row) in present.enumerated() {
            guard let bytes = snapshot.valueBytes(rows[Int(row)], field: number) else { continue }
            let target = base.baseAddress! + index * dimension  // a slab has memory
            UnsafeMutableRawPointer(target).copyMemory(from: bytes.baseAddress!, byteCount: dimension * 4)  // as has a vector
            if metric == .cosine { DistanceKernel.normalise(target, dimension: dimension) }
        }
        longRows = metric == .cosine ? [] : Self.shortenLongRows(base, dimension: dimension)
        let floats = FloatRows(UnsafePointer(base.baseAddress!), stride: dimension, count: present.count, dimension: dimension)
        self.slab = slab
        let sample = NeighbourSample(floats, metric), codes = sample.codes()
        self.floats = floats
        self.sample = sample
        self.codes = codes
        graph = GraphBuilder(floats, codes: codes.table, parameters: parameters.graph, threads: threads)
    }

    /// Gives rows that are more than twice as long as nearly all the length of those, and tells which they are. One such row would make the
    /// steps of all codes too large, and all other rows look alike.
    private static func shortenLongRows(_ numbers: UnsafeMutableBufferPointer<Float>, dimension: Int) -> [UInt32] {
        func row(_ index: Int) -> Slice<UnsafeMutableBufferPointer<Float>> { numbers[index * dimension..<(index + 1) * dimension] }
        let count = numbers.count / dimension
        let lengths = (0..<count).map { row($0).reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot() }
        let few = min(10 + count / 1000, count / 10)
        let long = lengths.sorted()[count - 1 - few]
        let found = lengths.indices.filter { lengths[$0] > 2 * long }
        for index in found {
            for place in row(index).indices { numbers[place] = Float(Double(numbers[place]) * (long / lengths[index])) }
        }
        return found.map { UInt32($0) }
    }

    func sections(_ snapshot: PointSnapshot, _ rows: [UInt32]) -> [SegmentSection] {
        var sections: [SegmentSection] = []
        let sources = present.map { rows[Int($0)] }
        if present.count < rows.count {
            sections.append(.init(.present, field: number, itemSize: 4, present.count) { [present] in $1.append(number: present[$0]) })
        }
        let appendValue: @Sendable (Int, inout [UInt8]) -> Void = { [number] item, bytes in
            if let value = snapshot.valueBytes(sources[item], field: number) { bytes.append(contentsOf: value) }
        }
        guard case .dense(let dimension, let metric) = field.kind else {
            var offset: UInt64 = 0
            var offsets: [UInt8] = []
            for row in sources {
                offsets.append(number: offset)
                offset += UInt64(snapshot.valueBytes(row, field: number)?.count ?? 0)
            }
            offsets.append(number: offset)
            sections += [
                .init(.valueOffsets, field: number, bytes: offsets),
                .init(.values, field: number, length: Int(offset), sources.count, appendValue),
            ]
            if case .sparse = field.kind,
                let lists = SparseLists.bytes(
                    sources.lazy.compactMap { [number] in snapshot.valueBytes($0, field: number).map { SparseView($0) } })
            {
                sections.append(.init(.sparseLists, field: number, bytes: lists))
            }
            return sections
        }
        sections.append(.init(.originals, field: number, itemSize: dimension * 4, sources.count, appendValue))
        if metric == .cosine {
            sections.append(
                .init(.scales, field: number, itemSize: 4, sources.count) { [number] item, bytes in
                    guard let value = snapshot.valueBytes(sources[item], field: number) else { return }
                    bytes.append(floats: [
                        DistanceKernel.scale(of: value.assumingMemoryBound(to: Float.self).baseAddress!, dimension: dimension)
                    ])
                })
        }
        guard let graph, let sample, let sampled = codes else { return sections }
        let links = graph.finish()
        let codes = sampled.table, fine = sampled.fine
        let calibration = Calibration.measured(links, sampled, [sample.amongRows(), sample.besideRows()])
        guard calibration.isUseful else {
            isWithoutGraph.store(true, ordering: .relaxed)
            return sections
        }
        sections += [
            .init(.links, field: number, parameter: UInt32(degree), slab: links.slab),
            .init(.calibration, field: number, parameter: UInt32(calibration.rescored), bytes: calibration.bytes),
            .init(.coding, field: number, bytes: codes.coding.bytes), .init(.codes, field: number, slab: codes.rowBytes),
        ]
        if let fine {
            sections += [
                .init(.fineCoding, field: number, bytes: fine.coding.bytes), .init(.fineCodes, field: number, slab: fine.rowBytes),
            ]
        }
        if !longRows.isEmpty {
            sections.append(.init(.longRows, field: number, itemSize: 4, longRows.count) { [longRows] in $1.append(number: longRows[$0]) })
        }
        // Both have the same.
        if let bias = codes.biasBytes ?? fine?.biasBytes { sections.append(.init(.bias, field: number, slab: bias)) }
        searchedBytes.store(links.bytes + codes.bytes + (fine?.bytes ?? 0), ordering: .relaxed)
        return sections
    }
}
