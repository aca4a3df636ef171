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
    let dimension: Int
    /// Floats from the beginning of one row to the next.
    let stride: Int
    let vectors: UnsafeMutablePointer<Float>
    /// One divided by the vector's length, for the cosine.
    let scales: UnsafeMutablePointer<Float>
    let born: UnsafeMutablePointer<UInt64>
    let died: UnsafeMutablePointer<UInt64>
    let ids: UnsafeMutablePointer<PointID>
    /// Each row's payload: a block of its own, or nil.
    let payloads: UnsafeMutablePointer<UnsafeMutableRawBufferPointer?>

    init(capacity: Int, dimension: Int) {
        self.capacity = capacity
        self.dimension = dimension
        stride = Self.stride(dimension)
        vectors = Self.aligned(capacity * stride)
        scales = .allocate(capacity: capacity)
        born = .allocate(capacity: capacity)
        died = .allocate(capacity: capacity)
        ids = .allocate(capacity: capacity)
        payloads = .allocate(capacity: capacity)
        scales.initialize(repeating: 0, count: capacity)
        born.initialize(repeating: Self.never, count: capacity)
        died.initialize(repeating: 0, count: capacity)
        ids.initialize(repeating: .integer(0), count: capacity)
        payloads.initialize(repeating: nil, count: capacity)
    }

    deinit {
        for row in 0..<capacity { payloads[row]?.deallocate() }
        free(vectors)
        scales.deallocate()
        born.deallocate()
        died.deallocate()
        ids.deinitialize(count: capacity)
        ids.deallocate()
        payloads.deallocate()
    }

    /// Rows of more than 64 numbers begin at multiples of 32 bytes.
    static func stride(_ dimension: Int) -> Int { dimension < 64 ? dimension : (dimension + 7) & ~7 }

    /// A power of two, so that about a megabyte of vectors lies together.
    static func rows(dimension: Int) -> Int {
        var rows = 4096
        while rows > 1, rows * stride(dimension) * 4 > 1 << 20 { rows /= 2 }
        return rows
    }

    private static func aligned(_ floats: Int) -> UnsafeMutablePointer<Float> {
        guard let memory = aligned_alloc(64, (floats * 4 + 63) & ~63) else { fatalError("out of memory for \(floats) floats") }
        return memory.bindMemory(to: Float.self, capacity: floats)
    }

    var bytes: Int { capacity * (stride * 4 + 4 + 16 + MemoryLayout<PointID>.stride + MemoryLayout<UnsafeMutableRawBufferPointer?>.stride) }

    func vector(_ row: Int) -> UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: vectors + row * stride, count: dimension) }
    func payload(_ row: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(payloads[row] ?? UnsafeMutableRawBufferPointer(start: nil, count: 0))
    }

    func isVisible(_ row: Int, at moment: UInt64) -> Bool {
        let died = apus_load_moment(died + row)
        return apus_load_moment(born + row) <= moment && moment < died
    }

    /// Writes a row that nobody can see yet.
    func write(_ row: Int, id: PointID, vector: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer?, scaled: Bool) {
        let target = vectors + row * stride
        UnsafeMutableRawPointer(target).copyMemory(from: vector.baseAddress!, byteCount: dimension * 4)  // the caller checked the length
        scales[row] = scaled ? DistanceKernel.scale(of: target, dimension: dimension) : 0
        ids[row] = id
        setPayload(row, payload)
    }

    func setPayload(_ row: Int, _ payload: UnsafeRawBufferPointer?) {
        payloads[row]?.deallocate()
        payloads[row] = payload.map { bytes in
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
            copy.copyMemory(from: bytes)
            return copy
        }
    }

    /// Makes a written row visible to readers from `moment` on.
    func reveal(_ row: Int, from moment: UInt64) {
        apus_store_moment(born + row, moment)
        apus_store_moment(died + row, Self.never)
    }

    func hide(_ row: Int, from moment: UInt64) { apus_store_moment(died + row, moment) }
}
