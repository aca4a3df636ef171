internal import CVectorGraph

/// The codes of a chunk's rows.
final class CodedRows: @unchecked Sendable {  // a row is written before it is born
    let codes: CodeTable
    private let slab: Slab
    private let bias: UnsafeMutablePointer<Float>?

    init(_ coding: Coding, capacity: Int) {
        let rows = capacity * coding.stride
        let slab = Slab(rows + (coding.needsBias ? capacity * 4 : 0))
        self.slab = slab
        bias = coding.needsBias ? (slab.bytes.baseAddress! + rows).bindMemory(to: Float.self, capacity: capacity) : nil  // it has memory
        codes = CodeTable(coding, count: capacity, rows: slab.bytes.baseAddress!, bias: bias.map { UnsafePointer($0) }, owner: slab)
    }

    /// For the cosine `scale` gives the vector length 1; a scale that is no number leaves a code that says nothing.
    func set(_ row: Int, _ vector: UnsafePointer<Float>, scale: Float) {
        let dimension = codes.coding.dimension
        withUnsafeTemporaryAllocation(of: Float.self, capacity: dimension) { scaled in
            for index in 0..<dimension { scaled[index] = scale.isNaN ? 0 : vector[index] * scale }
            codes.coding.withC { coding in
                apus_code_encode(coding, scaled.baseAddress, slab.bytes.baseAddress! + row * codes.coding.stride)
                bias?[row] = apus_code_bias(coding.pointee.metric, coding.pointee.dimension, scaled.baseAddress)
            }
        }
    }
}

/// Keeps the rows with the least distances of those that it is offered.
struct NearestRows {
    private let limit: Int
    /// Ascending by distance.
    private(set) var rows: [(distance: Float, row: UInt32)] = []

    init(limit: Int) {
        self.limit = limit
        rows.reserveCapacity(limit + 1)
    }

    /// Farther ones are not wanted.
    var bound: Float { rows.count < limit ? .infinity : rows[limit - 1].distance }

    mutating func offer(_ row: UInt32, _ distance: Float) {
        guard distance < bound else { return }
        var (low, high) = (0, rows.count)
        while low < high {
            let middle = (low + high) / 2
            if rows[middle].distance <= distance { low = middle + 1 } else { high = middle }
        }
        rows.insert((distance, row), at: low)
        if rows.count > limit { rows.removeLast() }
    }
}

/// A query as the codes of one table want it, kept for many of them.
final class PreparedQuery {
    private let memory: Slab
    private let coding: Coding
    private var prepared = apus_query()

    init(_ vector: [Float], _ coding: Coding) {
        self.coding = coding
        memory = Slab(apus_query_bytes(coding.kind.c, UInt32(coding.dimension)))
        coding.withC { apus_query_prepare($0, vector, memory.bytes.baseAddress, &prepared) }
    }

    /// How far a distance is off but for one row in thousands.
    var noise: Float { prepared.noise }

    /// Distances of rows of a table with the same coding.
    func distances(_ table: CodeTable, _ rows: UnsafePointer<UInt32>, count: Int, into out: UnsafeMutablePointer<Float>) {
        table.withC { apus_codes_distances($0, &prepared, InstructionSet.best.c, rows, count, out) }
    }
}
