internal import CVectorGraph
internal import Synchronization

/// How a graph is built. The defaults were measured to be the best between recall 0.97 and 0.99: with more links a search looks at more
/// rows for the same answer, with fewer it does not reach 0.995.
public struct GraphParameters: Sendable, Hashable {
    /// Links of a row.
    public var degree = 24
    /// Candidates looked at for a row's links: more make a better graph, and take longer.
    public var candidates = 192
    /// DiskANN's alpha, on squared distances: a link is left out where a nearer neighbour leads closer to its end than this many times.
    public var angle: Float = 1.1

    public init() {}
}

/// Builds a `VectorGraph`. The caller gives the threads:
///
///     while builder.insert(thread: thread) {}  // on each thread
///     let graph = builder.finish()             // when all are done
///
/// With one thread the same rows give the same graph. Rows must be in random order: a search begins at the first of them.
///
/// Candidates for links are found by codes of the rows, as a search will find them; links are chosen by finer ones of its own.
public final class GraphBuilder: @unchecked Sendable {  // the threads share what the C code locks, and `next`
    /// Rows that a thread takes at a time.
    private static let step = 16

    private let builder: OpaquePointer
    private let count: Int
    private let degree: Int
    private let next = Atomic(0)
    private let codes: CodeTable

    /// `rows` stay until the builder is gone.
    public init(
        _ rows: FloatRows, codes: CodeTable, parameters: GraphParameters = GraphParameters(), threads: Int, level: InstructionSet = .best
    ) {
        precondition(codes.count == rows.count && codes.coding.dimension == rows.dimension, "made for one another")
        precondition(rows.count > 0 && rows.count < 1 << 31 && threads > 0, "a graph has rows, fewer than 2³¹")
        precondition((1...APUS_MOST_LINKS).contains(parameters.degree), "a row has 1 to 64 links")
        var build = apus_build(
            metric: codes.coding.metric.c, dimension: UInt32(rows.dimension), degree: UInt32(parameters.degree),
            pool: UInt32(parameters.candidates),
            slack_angle: parameters.angle, isa: level.c)
        let builder = codes.withC { apus_builder_make(&build, rows.base, rows.stride, UInt32(rows.count), $0, UInt32(threads)) }
        guard let builder else { fatalError("out of memory for a graph over \(rows.count) rows") }
        self.builder = builder
        self.codes = codes
        count = rows.count
        degree = parameters.degree
    }

    deinit { apus_builder_free(builder) }

    /// Inserts a few rows; false when none are left. `thread` is below the number of threads, and no two callers' at once.
    public func insert(thread: Int) -> Bool {
        let first = next.wrappingAdd(Self.step, ordering: .relaxed).oldValue
        guard first < count else { return false }
        for row in first..<min(first + Self.step, count) { apus_builder_insert(builder, UInt32(thread), UInt32(row)) }
        return true
    }

    /// The graph, after all rows were inserted.
    public func finish() -> VectorGraph {
        let links = Slab(count * degree * 4)
        let base = links.bytes.baseAddress!  // there are rows
        apus_builder_finish(builder, base.assumingMemoryBound(to: UInt32.self))
        return VectorGraph(count: count, degree: degree, links: base, owner: links)
    }
}
