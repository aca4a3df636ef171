internal import CVectorGraph
internal import Synchronization

/// How a graph is built. The defaults were measured to be the best between recall 0.97 and 0.99: with more links a search looks at more
/// rows for the same answer, with fewer it does not reach 0.995.
public struct GraphParameters: Sendable, Hashable {
    /// Links of a row.
    public var degree = 24
    /// Candidates looked at for a row's links: more make a better graph, and take longer.
    public var candidates = 128
    /// DiskANN's alpha, on squared distances: a link is left out where a nearer neighbour leads closer to its end than this many times.
    public var angle: Float = 1.1

    public init() {}
}

/// Builds a `VectorGraph`. The caller gives the threads:
///
///     for level in builder.levels.reversed() {
///         // on each thread
///         while builder.insert(in: level, thread: thread) {}
///         // when all are done
///         builder.finish(level)
///     }
///     let graph = builder.graph
///
/// With one thread the same rows give the same graph. Rows must be in random order: the first of them are the upper levels.
public final class GraphBuilder: @unchecked Sendable {  // the threads share what the C code locks, and `next`
    /// Rows that a thread takes at a time.
    private static let step = 16

    private let builder: OpaquePointer
    private var plan = apus_graph()
    private let degree: Int
    private let links: [Slab]
    private let next: [Atomic64]

    public init(
        _ rows: FloatRows, metric: Metric, parameters: GraphParameters = GraphParameters(), threads: Int, level: InstructionSet = .best
    ) {
        precondition(rows.count > 0 && rows.count < 1 << 31 && threads > 0, "a graph has rows, fewer than 2³¹")
        var build = apus_build(
            metric: metric.c, dimension: UInt32(rows.dimension), degree: UInt32(parameters.degree), pool: UInt32(parameters.candidates),
            slack_angle: parameters.angle, isa: level.c)
        guard let builder = apus_builder_make(&build, rows.base, rows.stride, UInt32(rows.count), UInt32(threads)) else {
            fatalError("out of memory for a graph over \(rows.count) rows")
        }
        self.builder = builder
        degree = parameters.degree
        apus_graph_plan(UInt32(rows.count), UInt32(degree), &plan)
        var links: [Slab] = []
        var next: [Atomic64] = []
        for level in 0..<Int(plan.level_count) {
            links.append(Slab(VectorGraph.count(plan, level) * parameters.degree * 4))
            next.append(Atomic64(Int(apus_builder_first(builder, UInt32(level)))))
        }
        self.links = links
        self.next = next
        apus_builder_begin(builder, plan.level_count - 1)
    }

    deinit { apus_builder_free(builder) }

    public var levels: Range<Int> { 0..<Int(plan.level_count) }

    /// Inserts a few rows; false when none are left. `thread` is below the number of threads, and no two callers' at once.
    public func insert(in level: Int, thread: Int) -> Bool {
        let count = VectorGraph.count(plan, level)
        let first = next[level].value.wrappingAdd(Self.step, ordering: .relaxed).oldValue
        guard first < count else { return false }
        for row in first..<min(first + Self.step, count) { apus_builder_insert(builder, UInt32(thread), UInt32(row)) }
        return true
    }

    /// Ends a level, after all its rows were inserted.
    public func finish(_ level: Int) {
        apus_builder_end(builder, links[level].bytes.baseAddress?.assumingMemoryBound(to: UInt32.self))
        if level > 0 { apus_builder_begin(builder, UInt32(level - 1)) }
    }

    /// The graph, when level 0 is finished.
    public var graph: VectorGraph {
        VectorGraph(
            count: VectorGraph.count(plan, 0), degree: degree, links: links.map { UnsafeRawPointer($0.bytes.baseAddress!) },
            owner: Slabs(links))
    }

    private final class Slabs: Sendable {
        let slabs: [Slab]
        init(_ slabs: [Slab]) { self.slabs = slabs }
    }

    private final class Atomic64: Sendable {
        let value: Atomic<Int>
        init(_ start: Int) { value = Atomic(start) }
    }
}
