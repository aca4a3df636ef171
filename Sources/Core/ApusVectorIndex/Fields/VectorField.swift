/// A vector that each point of a collection may have. Most collections have one field, which has no name.
public struct VectorField: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// One vector of so many numbers.
        case dense(dimension: Int, Metric)
        /// Any number of vectors of so many numbers each, compared by the sum of each query vector's best score (MaxSim, ColBERT 2020).
        case multiple(dimension: Int, Metric)
        /// Numbers at few of 2³² places, compared by the inner product; with `idf`, each of a query's weighed by how rare its place is.
        case sparse(idf: Bool)
    }

    /// Empty for a collection's only, unnamed field.
    public var name: String
    public var kind: Kind

    public init(_ name: String = "", _ kind: Kind) {
        self.name = name
        self.kind = kind
    }

    public init(dimension: Int, metric: Metric) { self.init("", .dense(dimension: dimension, metric)) }

    /// Numbers in one vector; nil for a sparse field.
    public var dimension: Int? {
        switch kind {
        case .dense(let dimension, _), .multiple(let dimension, _): dimension
        case .sparse: nil
        }
    }

    public var metric: Metric {
        switch kind {
        case .dense(_, let metric), .multiple(_, let metric): metric
        case .sparse: .dot
        }
    }
}

extension VectorField {
    /// Whether a value, in the bytes that `VectorValue.bytes` makes, is one of this field.
    public func accepts(_ bytes: UnsafeRawBufferPointer) -> Bool {
        switch kind {
        case .dense(let dimension, _): return bytes.count == dimension * 4
        case .multiple(let dimension, _): return !bytes.isEmpty && bytes.count % (dimension * 4) == 0
        case .sparse:
            guard bytes.count % 8 == 0 else { return false }
            let sparse = SparseView(bytes)
            return (1..<max(1, sparse.count)).allSatisfy { sparse.index($0 - 1) < sparse.index($0) }
        }
    }

    /// What `VectorValue.bytes` made of a value of this field.
    public func value(_ bytes: UnsafeRawBufferPointer) -> VectorValue {
        func floats(_ range: Range<Int>) -> [Float] {
            range.map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
        }
        switch kind {
        case .dense(let dimension, _): return .dense(floats(0..<dimension))
        case .multiple(let dimension, _):
            return .multiple((0..<bytes.count / (dimension * 4)).map { floats($0 * dimension..<($0 + 1) * dimension) })
        case .sparse:
            let sparse = SparseView(bytes)
            let places = 0..<sparse.count
            return .sparse(SparseVector(indices: places.map { sparse.index($0) }, values: places.map { sparse.value($0) }))
        }
    }
}

/// A sparse vector in bytes: its indices, ascending, then its values; 4 bytes each.
struct SparseView {
    private let bytes: UnsafeRawBufferPointer
    let count: Int

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        count = bytes.count / 8
    }

    func index(_ place: Int) -> UInt32 { bytes.loadUnaligned(fromByteOffset: place * 4, as: UInt32.self) }
    func value(_ place: Int) -> Float { bytes.loadUnaligned(fromByteOffset: (count + place) * 4, as: Float.self) }
}
