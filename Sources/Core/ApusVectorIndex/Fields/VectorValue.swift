/// What a point has in one field, or a query asks with.
public enum VectorValue: Sendable, Hashable {
    case dense([Float])
    case multiple([[Float]])
    case sparse(SparseVector)

    /// Little-endian float32 (and u32), as logs and segments keep it.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    public var byteCount: Int {
        switch self {
        case .dense(let vector): vector.count * 4
        case .multiple(let vectors): vectors.reduce(0) { $0 + $1.count * 4 }
        case .sparse(let vector): vector.indices.count * 8
        }
    }

    /// Swift runs on little-endian machines only, so numbers are written as they lie in memory.
    public func append(to bytes: inout [UInt8]) {
        switch self {
        case .dense(let vector): vector.withUnsafeBytes { bytes.append(contentsOf: $0) }
        case .multiple(let vectors): for vector in vectors { vector.withUnsafeBytes { bytes.append(contentsOf: $0) } }
        case .sparse(let vector):
            vector.indices.withUnsafeBytes { bytes.append(contentsOf: $0) }
            vector.values.withUnsafeBytes { bytes.append(contentsOf: $0) }
        }
    }
}

/// Numbers at few places; all others are 0.
public struct SparseVector: Sendable, Hashable {
    /// Ascending, each once.
    public let indices: [UInt32]
    /// As many as there are indices.
    public let values: [Float]

    /// Sorts by index. The caller has seen to it that there are as many values, and no index twice.
    public init(indices: [UInt32], values: [Float]) {
        precondition(indices.count == values.count, "a value for each index")
        if zip(indices, indices.dropFirst()).allSatisfy({ $0 < $1 }) {
            self.indices = indices
            self.values = values
        } else {
            let order = indices.indices.sorted { indices[$0] < indices[$1] }
            self.indices = order.map { indices[$0] }
            self.values = order.map { values[$0] }
        }
    }
}

extension SparseVector {
    /// Nil if no place is in both.
    func product(_ other: SparseVector) -> Float? {
        product(other.indices.count, index: { other.indices[$0] }, value: { other.values[$0] })
    }

    func product(_ other: SparseView) -> Float? { product(other.count, index: other.index, value: other.value) }

    @inline(__always)
    private func product(_ count: Int, index: (Int) -> UInt32, value: (Int) -> Float) -> Float? {
        var sum: Float = 0
        var hasCommon = false
        var (left, right) = (0, 0)
        while left < indices.count, right < count {
            let (a, b) = (indices[left], index(right))
            if a == b {
                sum += values[left] * value(right)
                hasCommon = true
            }
            left += a <= b ? 1 : 0
            right += b <= a ? 1 : 0
        }
        return hasCommon ? sum : nil
    }
}

/// A point's vectors, by the names of their fields. A point need not have one in every field.
public struct PointVectors: Sendable, Hashable {
    public struct Entry: Sendable, Hashable {
        public var field: String
        public var value: VectorValue

        public init(_ field: String, _ value: VectorValue) {
            self.field = field
            self.value = value
        }
    }

    /// Each field at most once.
    public var entries: [Entry]

    public init(_ entries: [Entry] = []) { self.entries = entries }

    /// A vector of the unnamed field.
    public init(_ vector: [Float]) { entries = [Entry("", .dense(vector))] }

    public subscript(field: String) -> VectorValue? { entries.first { $0.field == field }?.value }

    public var isEmpty: Bool { entries.isEmpty }
}
