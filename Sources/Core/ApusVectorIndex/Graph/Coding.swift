internal import CVectorGraph

/// How a row's code stores each number.
public enum CodeKind: UInt32, Sendable, CaseIterable {
    /// Three in a byte: in 8, 8 and 4 steps of their dimensions' own sizes. Not for the Manhattan metric.
    case thirds = 0
    /// In 16 steps. Not for the Manhattan metric.
    case bits4 = 1
    /// In 128 steps; for the Manhattan metric in 256 steps of one size for all dimensions.
    case bits8 = 2
    case half = 3
    case float = 4

    public func serves(_ metric: Metric) -> Bool { (self != .thirds && self != .bits4) || metric != .manhattan }

    var isSmall: Bool { self != .half && self != .float }

    /// What a graph is walked on. A search waits for memory more than it computes, so what counts is how many lines of it a row takes, of which
    /// two that lie together come as soon as one: 384 numbers in 2 lines of thirds are found as well as in 3 of four bits, and 128 sooner in 2
    /// lines of eight bits than in one of four. Where the lines are as many, more bits tell more.
    public static func preferred(_ metric: Metric, dimension: Int) -> CodeKind {
        func stride(_ kind: CodeKind) -> Int { apus_code_stride(kind.c, UInt32(dimension)) }
        if metric == .manhattan || stride(.bits8) <= 128 { return .bits8 }
        return stride(.thirds) < stride(.bits4) ? .thirds : .bits4
    }
}

/// What is needed to read codes: made once for a table of rows, and kept with it.
public struct Coding: Sendable, Hashable {
    public let kind: CodeKind
    public let metric: Metric
    public let dimension: Int
    /// A code c stands for offset + step · c. One number for each place in a code; empty for `half` and `float`.
    public let offsets: [Float]
    public let steps: [Float]
    /// For `thirds`, the dimension of each place; else empty, and places are dimensions.
    public let order: [UInt32]
    /// Squared length of the longest row, for the dot product.
    public let longestSquared: Float

    public init(
        _ kind: CodeKind, _ metric: Metric, dimension: Int, offsets: [Float] = [], steps: [Float] = [], order: [UInt32] = [],
        longestSquared: Float = 0
    ) {
        precondition(kind.serves(metric), "these codes do not serve the Manhattan metric")
        let count = kind.isSmall ? dimension : 0
        precondition(offsets.count == count && steps.count == count, "one offset and one step per dimension")
        precondition(order.count == (kind == .thirds ? dimension : 0) && order.allSatisfy { $0 < dimension }, "one place per dimension")
        self.kind = kind
        self.metric = metric
        self.dimension = dimension
        self.offsets = offsets
        self.steps = steps
        self.order = order
        self.longestSquared = longestSquared
    }

    /// Chooses what is needed from `rows`, of which the first are a sample.
    public init(_ kind: CodeKind, _ metric: Metric, for rows: FloatRows) {
        let sample = min(rows.count, 10_000)
        var offsets = [Float](repeating: 0, count: kind.isSmall ? rows.dimension : 0)
        var steps = offsets
        var order = [UInt32](repeating: 0, count: kind == .thirds ? rows.dimension : 0)
        apus_code_train(
            kind.c, metric.c, UInt32(rows.dimension), rows.base, rows.stride, sample, &offsets, &steps, &order)
        var longest: Float = 0
        if metric == .dot {
            for row in 0..<rows.count {
                longest = max(longest, apus_code_bias(APUS_METRIC_EUCLIDEAN, UInt32(rows.dimension), rows.base + row * rows.stride))
            }
        }
        self.init(
            kind, metric, dimension: rows.dimension, offsets: offsets, steps: steps, order: order, longestSquared: longest)
    }

    /// Bytes of one row's code, a multiple of 64.
    public var stride: Int { apus_code_stride(kind.c, UInt32(dimension)) }

    /// Whether codes alone do not give the distance, and a number beside each row's is needed.
    var needsBias: Bool { metric == .euclidean && kind.isSmall }

    func withC<Value>(_ body: (UnsafePointer<apus_coding>) -> Value) -> Value {
        offsets.withUnsafeBufferPointer { offsets in
            steps.withUnsafeBufferPointer { steps in
                order.withUnsafeBufferPointer { order in
                    var coding = apus_coding(
                        kind: kind.c, metric: metric.c, dimension: UInt32(dimension), stride: stride, offsets: offsets.baseAddress,
                        steps: steps.baseAddress, order: order.isEmpty ? nil : order.baseAddress, longest_squared: longestSquared)
                    return body(&coding)
                }
            }
        }
    }
}

/// Rows of float32 that somebody else owns. For the cosine they have length 1.
public struct FloatRows: @unchecked Sendable {  // the owner changes nothing while this is used
    public let base: UnsafePointer<Float>
    /// Floats from row to row.
    public let stride: Int
    public let count: Int
    public let dimension: Int

    public init(_ base: UnsafePointer<Float>, stride: Int, count: Int, dimension: Int) {
        self.base = base
        self.stride = stride
        self.count = count
        self.dimension = dimension
    }
}

/// The codes of all rows, in memory or in a mapped file.
public struct CodeTable: @unchecked Sendable {  // read only
    public let coding: Coding
    public let count: Int
    let rows: UnsafeRawPointer
    let bias: UnsafePointer<Float>?
    private let owner: any AnyObject & Sendable

    /// `rows` (aligned to 64 bytes) and `bias` stay as long as `owner` lives.
    public init(
        _ coding: Coding, count: Int, rows: UnsafeRawPointer, bias: UnsafePointer<Float>?, owner: any AnyObject & Sendable
    ) {
        precondition(UInt(bitPattern: rows) % 64 == 0, "codes are aligned to 64 bytes")
        precondition(!coding.needsBias || bias != nil || count == 0, "these codes need a bias")
        self.coding = coding
        self.count = count
        self.rows = rows
        self.bias = bias
        self.owner = owner
    }

    /// Codes every row, in memory of its own.
    public init(_ coding: Coding, of rows: FloatRows) {
        let stride = coding.stride
        let biasBytes = coding.needsBias ? rows.count * 4 : 0
        let slab = Slab(rows.count * stride + biasBytes)
        let base = slab.bytes.baseAddress!  // never without memory
        let bias = coding.needsBias ? (base + rows.count * stride).bindMemory(to: Float.self, capacity: rows.count) : nil
        coding.withC { coding in
            for row in 0..<rows.count {
                apus_code_encode(coding, rows.base + row * rows.stride, base + row * stride)
                bias?[row] = apus_code_bias(coding.pointee.metric, coding.pointee.dimension, rows.base + row * rows.stride)
            }
        }
        self.init(coding, count: rows.count, rows: base, bias: bias, owner: slab)
    }

    /// Bytes of memory or file.
    public var bytes: Int { count * (coding.stride + (bias == nil ? 0 : 4)) }

    var rowBytes: SlabBytes { SlabBytes(bytes: UnsafeRawBufferPointer(start: rows, count: count * coding.stride), owner: owner) }
    var biasBytes: SlabBytes? { bias.map { SlabBytes(bytes: UnsafeRawBufferPointer(start: $0, count: count * 4), owner: owner) } }

    func withC<Value>(_ body: (UnsafePointer<apus_codes>) -> Value) -> Value {
        coding.withC { coding in
            var codes = apus_codes(
                coding: coding, rows: rows.assumingMemoryBound(to: UInt8.self), bias: bias, count: UInt32(count))
            return body(&codes)
        }
    }

    /// The distances (see `CVectorGraph`) of some rows from a query.
    func distances(from query: [Float], to rows: [UInt32], level: InstructionSet = .best) -> [Float] {
        precondition(query.count == coding.dimension, "the caller checks the dimension")
        precondition(rows.allSatisfy { $0 < count }, "the caller names rows of the table")
        let memory = Slab(apus_query_bytes(coding.kind.c, UInt32(coding.dimension)))
        return [Float](unsafeUninitializedCapacity: rows.count) { out, written in
            withC { codes in
                var prepared = apus_query()
                apus_query_prepare(codes.pointee.coding, query, memory.bytes.baseAddress, &prepared)
                apus_codes_distances(codes, &prepared, level.c, rows, rows.count, out.baseAddress)
            }
            written = rows.count
        }
    }
}

/// The instructions that distances are computed with, weakest first.
public enum InstructionSet: UInt32, Sendable, CaseIterable {
    case portable = 0
    case avx2 = 1
    /// AVX-512 with its byte and neural-network parts.
    case avx512 = 2

    /// The strongest that this processor has.
    public static let best = InstructionSet(rawValue: apus_isa_best().rawValue) ?? .portable

    var c: apus_isa { apus_isa(rawValue) }
}

extension CodeKind {
    var c: apus_code_kind { apus_code_kind(rawValue) }
}

extension Metric {
    /// The distance, as codes give it, of a row with that score.
    func distance(ofScore score: Float) -> Float {
        switch self {
        case .cosine: 1 - score
        case .dot: -score
        case .euclidean: score * score
        case .manhattan: score
        }
    }

    var c: apus_metric {
        switch self {
        case .cosine: APUS_METRIC_COSINE
        case .dot: APUS_METRIC_DOT
        case .euclidean: APUS_METRIC_EUCLIDEAN
        case .manhattan: APUS_METRIC_MANHATTAN
        }
    }
}
