internal import CVectorKernels
internal import Glibc

/// A block of rows at addresses that never change, so that readers need no lock.
///
/// A row is there for a reader of moment `m` if `born <= m < died`. The writer fills a row before the moment at which it is
/// born, and changes nothing of it but `died` until no reader is left that may see it. That is why reading without a lock is safe;
/// `PointTable` keeps the order (and is the only writer, under its lock).
final class RowChunk: @unchecked Sendable {
    static let never = UInt64.max

    let capacity: Int
    let born: UnsafeMutablePointer<UInt64>
    let died: UnsafeMutablePointer<UInt64>
    let ids: UnsafeMutablePointer<PointID>
    private let payloads: Blobs
    private let columns: [Column]

    private enum Column {
        case dense(DenseColumn)
        case blobs(Blobs)
    }

    init(capacity: Int, fields: [VectorField]) {
        self.capacity = capacity
        born = .allocate(capacity: capacity)
        died = .allocate(capacity: capacity)
        ids = .allocate(capacity: capacity)
        born.initialize(repeating: Self.never, count: capacity)
        died.initialize(repeating: 0, count: capacity)
        ids.initialize(repeating: .integer(0), count: capacity)
        payloads = Blobs(capacity)
        columns = fields.map { field in
            switch field.kind {
            case .dense(let dimension, let metric): .dense(DenseColumn(capacity, dimension, metric))
            case .multiple, .sparse: .blobs(Blobs(capacity))
            }
        }
    }

    deinit {
        born.deallocate()
        died.deallocate()
        ids.deinitialize(count: capacity)
        ids.deallocate()
    }

    /// A power of two, so that about a megabyte of vectors lies together.
    static func rows(_ fields: [VectorField]) -> Int {
        let bytes = fields.reduce(64) { sum, field in
            guard case .dense(let dimension, _) = field.kind else { return sum }
            return sum + DenseColumn.stride(dimension) * 4
        }
        var rows = 4096
        while rows > 1, rows * bytes > 1 << 20 { rows /= 2 }
        return rows
    }

    /// Of a row whatever fields there are.
    static let bytesPerPoint = 16 + MemoryLayout<PointID>.stride + Blobs.stride

    /// Without what blobs hold.
    var bytes: Int {
        columns.reduce(capacity * Self.bytesPerPoint) { sum, column in
            switch column {
            case .dense(let column): sum + capacity * column.bytesPerRow
            case .blobs: sum + capacity * Blobs.stride
            }
        }
    }

    func payload(_ row: Int) -> UnsafeRawBufferPointer { payloads[row] ?? UnsafeRawBufferPointer(start: nil, count: 0) }

    /// The bytes (`VectorValue.bytes`) that a row has in a field; nil if it has none there.
    func value(_ row: Int, _ field: Int) -> UnsafeRawBufferPointer? {
        switch columns[field] {
        case .dense(let column): column.isPresent(row) ? UnsafeRawBufferPointer(column.vector(row)) : nil
        case .blobs(let blobs): blobs[row]
        }
    }

    /// The vectors of a dense field.
    func dense(_ field: Int) -> DenseColumn? {
        if case .dense(let column) = columns[field] { column } else { nil }
    }

    func isVisible(_ row: Int, at moment: UInt64) -> Bool {
        let died = apus_load_moment(died + row)
        return apus_load_moment(born + row) <= moment && moment < died
    }

    /// Writes a row that nobody can see yet. Returns the bytes that it takes besides those of the chunk.
    func write(
        _ row: Int, id: PointID, payload: UnsafeRawBufferPointer?, value: (_ field: Int) -> UnsafeRawBufferPointer?
    ) -> Int {
        ids[row] = id
        var bytes = payloads.set(row, payload)
        for (field, column) in columns.enumerated() {
            switch column {
            case .dense(let column): column.set(row, value(field))
            case .blobs(let blobs): bytes += blobs.set(row, value(field))
            }
        }
        return bytes
    }

    /// Frees what a row holds that nobody can see any more; returns how many bytes.
    func clear(_ row: Int) -> Int {
        ids[row] = .integer(0)
        return columns.reduce(payloads.clear(row)) { sum, column in
            if case .blobs(let blobs) = column { sum + blobs.clear(row) } else { sum }
        }
    }

    /// Makes a written row visible to readers from `moment` on.
    func reveal(_ row: Int, from moment: UInt64) {
        apus_store_moment(born + row, moment)
        apus_store_moment(died + row, Self.never)
    }

    func hide(_ row: Int, from moment: UInt64) { apus_store_moment(died + row, moment) }
}

/// The vectors of a dense field of a chunk's rows, one after another.
final class DenseColumn: @unchecked Sendable {  // written before its rows are born
    let dimension: Int
    /// Floats from the beginning of one row to the next.
    let stride: Int
    let vectors: UnsafeMutablePointer<Float>
    /// One divided by the vector's length, for the cosine.
    let scales: UnsafeMutablePointer<Float>
    private let presence: UnsafeMutablePointer<Bool>
    private var isScaled: Bool { metric == .cosine }
    /// The same vectors in fewer bits, by which most are told to be far; nil for metrics where they cannot be.
    let rough: RoughRows?
    private let metric: Metric

    fileprivate init(_ capacity: Int, _ dimension: Int, _ metric: Metric) {
        rough = RoughRows(metric, dimension: dimension, capacity: capacity)
        self.metric = metric
        self.dimension = dimension
        stride = Self.stride(dimension)
        guard let memory = aligned_alloc(64, (capacity * stride * 4 + 63) & ~63) else {
            fatalError("out of memory for \(capacity) vectors")
        }
        vectors = memory.bindMemory(to: Float.self, capacity: capacity * stride)
        scales = .allocate(capacity: capacity)
        scales.initialize(repeating: 0, count: capacity)
        presence = .allocate(capacity: capacity)
        presence.initialize(repeating: false, count: capacity)
    }

    deinit {
        free(vectors)
        scales.deallocate()
        presence.deallocate()
    }

    /// Rows of more than 64 numbers begin at multiples of 32 bytes.
    static func stride(_ dimension: Int) -> Int { dimension < 64 ? dimension : (dimension + 7) & ~7 }

    fileprivate var bytesPerRow: Int { Self.bytesPerRow(dimension, metric) }

    /// Numbers, scale, presence, and the rough row.
    static func bytesPerRow(_ dimension: Int, _ metric: Metric) -> Int {
        stride(dimension) * 4 + 5 + RoughRows.bytesPerRow(metric, dimension: dimension)
    }

    func vector(_ row: Int) -> UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: vectors + row * stride, count: dimension) }
    func isPresent(_ row: Int) -> Bool { presence[row] }

    fileprivate func set(_ row: Int, _ bytes: UnsafeRawBufferPointer?) {
        let target = vectors + row * stride
        presence[row] = bytes != nil
        if let bytes, let source = bytes.baseAddress {
            precondition(bytes.count == dimension * 4, "the caller checks the dimension")
            UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: dimension * 4)
        } else {
            target.update(repeating: 0, count: dimension)  // a scan goes over it
        }
        scales[row] = isScaled ? DistanceKernel.scale(of: target, dimension: dimension) : 0
        rough?.set(row, target, scale: isScaled ? scales[row] : 1)
    }
}

/// Bytes of any length for each row of a chunk, each in a block of its own.
private final class Blobs: @unchecked Sendable {  // written before its rows are born
    private let blobs: UnsafeMutablePointer<UnsafeMutableRawBufferPointer?>
    private let capacity: Int
    static let stride = MemoryLayout<UnsafeMutableRawBufferPointer?>.stride

    init(_ capacity: Int) {
        self.capacity = capacity
        blobs = .allocate(capacity: capacity)
        blobs.initialize(repeating: nil, count: capacity)
    }

    deinit {
        for row in 0..<capacity { blobs[row]?.deallocate() }
        blobs.deallocate()
    }

    subscript(row: Int) -> UnsafeRawBufferPointer? { blobs[row].map { UnsafeRawBufferPointer($0) } }

    func set(_ row: Int, _ bytes: UnsafeRawBufferPointer?) -> Int {
        _ = clear(row)
        guard let bytes else { return 0 }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 4)
        copy.copyMemory(from: bytes)
        blobs[row] = copy
        return bytes.count
    }

    func clear(_ row: Int) -> Int {
        guard let old = blobs[row].take() else { return 0 }
        old.deallocate()
        return old.count
    }
}
